"""Whatever is written to the control socket: a named error that says what was wrong, the connection goes on, and no
group loses a datagram."""

import base64
import json
import os

import pytest

from harness.daemon import VarlinkError, encode_call
from harness.peers import LARGEST, tutorial_sender
from harness.waiting import wait_until

CONFIG = """
groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["raw"]; }; };
handlers: { raw: { type = "file"; path = "$DIR/raw"; format = "raw"; }; };
"""

LIMIT = 128 * 1024
INVALID = "io.mcastd.InvalidMessage"
PARAMETER = "org.varlink.service.InvalidParameter"


def call(method, **parameters):
    return encode_call(method, parameters)


def large(size):
    """A well-formed call of that many bytes."""
    frame = call("Send", group="news", text="")
    return frame.replace(b'"text": ""', b'"text": "' + b"x" * (size - len(frame)) + b'"')


CASES = {
    "malformed": (b"{nonsense}", INVALID, "near 'nonsense'"),
    "no-json": (b"hello", INVALID, "near 'hello'"),
    "array": (b"[1, 2]", INVALID, "object"),
    "duplicate": (b'{"method": "io.mcastd.GetStatus", "method": "io.mcastd.GetStatus"}', INVALID, "method"),
    "not-utf8": (b'{"method": "io.mcastd.Get\xff"}', INVALID, "0xff"),
    "deep": (b"[" * 3000 + b"]" * 3000, INVALID, "depth"),
    "no-method": (b'{"parameters": {}}', INVALID, "method"),
    "method-number": (b'{"method": 5}', INVALID, "method"),
    "parameters-array": (b'{"method": "io.mcastd.GetStatus", "parameters": [1]}', INVALID, "parameters"),
    "unknown-member": (b'{"method": "io.mcastd.GetStatus", "metod": 1}', INVALID, "metod"),
    "unknown-method": (call("Shout"), "org.varlink.service.MethodNotFound", "io.mcastd.Shout"),
    "unknown-interface": (b'{"method": "io.other.Send"}', "org.varlink.service.MethodNotFound", "io.other.Send"),
    "unknown-field": (call("Send", group="news", text="x", colour="red"), PARAMETER, "colour"),
    "missing-field": (call("Send", text="x"), PARAMETER, "group"),
    "wrong-type": (call("Send", group="news", text=5), PARAMETER, "text"),
    "wrong-type-number": (call("Send", group="news", text="x", ttl="1"), PARAMETER, "ttl"),
    "ttl-256": (call("Send", group="news", text="x", ttl=256), PARAMETER, "ttl"),
    "ttl-negative": (call("Send", group="news", text="x", ttl=-1), PARAMETER, "ttl"),
    "no-payload": (call("Send", group="news"), PARAMETER, "text"),
    "two-payloads": (call("Send", group="news", text="x", base64="eA=="), PARAMETER, "text"),
    "base64-alphabet": (call("Send", group="news", base64="!!!!"), PARAMETER, "base64"),
    "base64-length": (call("Send", group="news", base64="abc"), PARAMETER, "base64"),
    "base64-padding": (call("Send", group="news", base64="a=bc"), PARAMETER, "base64"),
    "no-such-group": (call("Send", group="nobody", text="x"), "io.mcastd.NoSuchGroup", "nobody"),
    "payload-text": (call("Send", group="news", text="x" * (LARGEST + 1)), "io.mcastd.PayloadTooLarge", "65507"),
    "payload-base64": (call("Send", group="news", base64=base64.b64encode(bytes(LARGEST + 1)).decode()),
                       "io.mcastd.PayloadTooLarge", "65507"),
    "interface-cut-in-a-character": (call("Send", group="news", text="x", interface="é" * 200),
                                     "io.mcastd.SendFailed", r"\\xc3"),  # the reason is cut at WHY_MAX: shown escaped
    "interface-cut-at-a-character": (call("Send", group="news", text="x", interface="x" + "é" * 200),
                                     "io.mcastd.SendFailed", r"\u00e9"),
    "message-too-large": (large(LIMIT + 1), "io.mcastd.MessageTooLarge", "131072"),
    "message-far-too-large": (large(3 * LIMIT), "io.mcastd.MessageTooLarge", "131072"),
    "subscribe-without-more": (call("Subscribe"), "org.varlink.service.ExpectedMore", None),
    "subscribe-without-answers": (b'{"method":"io.mcastd.Subscribe","more":true,"oneway":true}', INVALID, "oneway"),
    "subscribe-to-nobody": (b'{"method":"io.mcastd.Subscribe","more":true,"parameters":{"groups":["nobody"]}}',
                            "io.mcastd.NoSuchGroup", "nobody"),
    "subscribe-to-numbers": (b'{"method":"io.mcastd.Subscribe","more":true,"parameters":{"groups":[1]}}',
                             PARAMETER, "groups"),
}


class Stream:
    """A group that datagrams keep coming in for while something else happens."""

    def __init__(self, daemon, net):
        self.daemon = daemon
        self.sock = tutorial_sender(net.peer, "233.252.0.1")
        self.sent = 0
        self.before = daemon.arrived("news"), len(daemon.read("raw"))

    def send(self):
        self.sock.sendto(b"%08d" % self.sent, ("233.252.0.1", 5004))
        self.sent += 1

    def assert_nothing_lost(self):
        arrived, size = self.before
        wait_until(lambda: self.daemon.arrived("news") >= arrived + self.sent, "all datagrams")
        wait_until(lambda: len(self.daemon.read("raw")) >= size + 8 * self.sent, "the file")
        assert self.daemon.read("raw")[size:] == b"".join(b"%08d" % number for number in range(self.sent))
        assert self.daemon.group("news")["kernelDropped"] == 0
        self.sock.close()


@pytest.fixture
def stream(daemon, net):
    stream = Stream(daemon, net)
    yield stream
    stream.assert_nothing_lost()


@pytest.fixture(scope="module", autouse=True)
def silent(daemon):
    """A connection that has sent half a message and says nothing more, from the first test to the last."""
    with daemon.connect() as control:
        control.write(b'{"method":"io.mcastd.GetSta')
        yield control


@pytest.mark.parametrize("terminator", [b"\0", b"\n"], ids=["nul", "lf"])
@pytest.mark.parametrize("case", CASES)
def test_bad_messages_get_a_named_error_and_the_connection_goes_on(daemon, stream, case, terminator):
    message, name, word = CASES[case]
    with daemon.connect(terminator) as control:
        stream.send()
        control.write(message + terminator)
        reply = control.reply()
        assert reply["error"] == name
        if word is None:  # the error says it all
            assert reply["parameters"] == {}
        elif name == PARAMETER:
            assert reply["parameters"]["parameter"] == word and reply["parameters"]["message"]
        else:
            assert word in json.dumps(reply["parameters"])
        stream.send()
        assert "version" in control.call("GetStatus")


def test_a_message_of_the_limit_is_taken(daemon):
    with daemon.connect() as control:
        control.write(large(LIMIT) + b"\0")
        assert control.reply()["error"] == "io.mcastd.PayloadTooLarge"


@pytest.mark.parametrize("terminator", [b"\0", b"\n"], ids=["nul", "lf"])
def test_good_messages_around_a_bad_one_are_answered(daemon, stream, terminator):
    good = b'{"method":"io.mcastd.GetStatus"}'
    with daemon.connect(terminator) as control:
        stream.send()
        control.write(terminator.join([good, b"{bad", good, large(LIMIT + 1), good, b""]))
        replies = [control.reply() for _ in range(5)]
        assert [reply.get("error") for reply in replies] == [None, INVALID, None, "io.mcastd.MessageTooLarge", None]


def test_random_bytes_do_no_harm(daemon, stream):
    for _ in range(50):
        with daemon.connect() as control:
            control.write(os.urandom(2000) + b"\0")
            stream.send()
    assert "version" in daemon.call("GetStatus")


def test_a_client_that_vanishes_in_the_middle_does_no_harm(daemon, stream):
    for message in (b"{", b'{"method":"io.mcastd.GetStatus"}', b'{"method":"io.mcastd.GetStatus"}\0' * 100,
                    b'{"method":"io.mcastd.Subscribe","more":true}\0'):
        for _ in range(10):
            with daemon.connect() as control:
                control.write(message)
            stream.send()
    # The silent one is disconnected, too, where all of this takes that long.
    wait_until(lambda: daemon.call("GetStatus")["connections"] <= 2, "the connections to be gone")


def test_many_connections_do_not_keep_others_out(daemon, stream):
    connections = [daemon.connect() for _ in range(300)]
    try:
        stream.send()
        with daemon.connect() as control:
            assert "version" in control.call("GetStatus")
        for control in connections:
            assert "version" in control.call("GetStatus")
    finally:
        for control in connections:
            control.close()


def test_running_out_of_descriptors_ends_neither_the_daemon_nor_its_groups(start, net):
    daemon = start(CONFIG, wrapper=("prlimit", "--nofile=64"))
    stream = Stream(daemon, net)
    connections = []
    try:
        for _ in range(100):
            connections.append(daemon.connect())
            stream.send()
        wait_until(lambda: "descriptors are short" in daemon.log(), "connections to be refused")
        assert "version" in daemon.call("GetStatus")
    finally:
        for control in connections:
            control.close()

    def answers():
        with daemon.connect() as control:
            try:
                return control.call("GetStatus")
            except VarlinkError:  # The ends of the old connections may not have been read yet.
                return None

    assert wait_until(answers, "the daemon to answer new connections again")
    stream.assert_nothing_lost()


def test_half_a_message_and_silence_is_said_and_does_not_last(silent):
    """The last test of the module, as the time that it takes has nearly passed by then."""
    silent.socket.settimeout(30)
    reply = silent.reply()
    assert reply["error"] == INVALID and "did not end" in reply["parameters"]["message"]
    assert silent.read() == b""
