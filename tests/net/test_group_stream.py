"""The stream beside a group's socket: NAME.stream, where each datagram comes behind its length."""

import json
import os
import socket
import stat
import struct
import subprocess

import pytest

from harness.discovery import SO_RCVBUFFORCE
from harness.peers import LARGEST, receive, send, seqpacket, stream_at_once, tutorial_receiver
from harness.records import ALL_BYTES
from harness.waiting import TIMEOUT, wait_until
from net import FAMILIES

CONFIG = """
groups: {
  news4:  { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; socket = true; };
  news6:  { address = "ff15::1";     port = 5004; interfaces = ["eth0"]; socket = true; };
  large:  { address = "233.252.0.3"; port = 5006; interfaces = ["eth0"]; socket = true; };
  busy:   { address = "233.252.0.4"; port = 5007; interfaces = ["eth0"]; socket = true; receive_buffer = "8M"; };
  secret: { address = "233.252.0.5"; port = 5008; interfaces = ["eth0"]; socket = true; socket_mode = "0600"; };
  filled: { address = "233.252.0.8"; port = 5011; interfaces = ["eth0"]; socket = true; socket_empty = false; };
  mute:   { address = "233.252.0.9"; port = 5012; interfaces = ["eth0"]; socket = true; allow_send = []; };
  plain:  { address = "233.252.0.7"; port = 5010; interfaces = ["eth0"]; };
};
"""

ADDRESS = {"4": "233.252.0.1", "6": "ff15::1"}


def frame(*payloads):
    return b"".join(struct.pack(">I", len(payload)) + payload for payload in payloads)


class Stream:
    """A program that knows nothing but the framing."""

    def __init__(self, path):
        self.socket = stream_at_once(path)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def write(self, *payloads):
        self.socket.sendall(frame(*payloads))

    def read_bytes(self, size):
        while len(self.buffer) < size:
            more = self.socket.recv(1 << 20)
            if not more:
                raise EOFError(self.buffer)
            self.buffer += more
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def read(self, count=1):
        return [self.read_bytes(*struct.unpack(">I", self.read_bytes(4))) for _ in range(count)]

    def ended(self):
        return not self.buffer and self.socket.recv(1) == b""


@pytest.fixture
def stream(daemon, net):
    """Opens a stream that gets what arrives from now on."""
    opened = []

    def stream(group):
        opened.append(Stream(daemon.group_path(group + ".stream")))
        programs = daemon.group(group)
        send(net.other, b"are you there?", programs["address"], programs["port"])
        opened[-1].socket.settimeout(0.05)
        while True:
            try:
                opened[-1].read()
                break
            except TimeoutError:
                send(net.other, b"are you there?", programs["address"], programs["port"])
        arrived = daemon.arrived(group)
        send(net.other, b"last", programs["address"], programs["port"])
        daemon.wait_arrived(group, arrived + 1)
        opened[-1].socket.settimeout(TIMEOUT)
        while opened[-1].read() != [b"last"]:
            pass
        return opened[-1]

    yield stream
    for one in opened:
        one.socket.close()


@FAMILIES
def test_what_is_written_is_sent(daemon, net, family):
    with tutorial_receiver(net.peer, ADDRESS[family], 5004) as peer, \
            Stream(daemon.group_path(f"news{family}.stream")) as program:
        program.write(ALL_BYTES, b"", b"third")
        assert receive(peer, 3) == [ALL_BYTES, b"", b"third"]


@FAMILIES
def test_what_arrives_is_read(stream, net, family):
    program = stream(f"news{family}")
    for payload in (ALL_BYTES, b"", b"third"):
        send(net.peer, payload, ADDRESS[family], 5004)
    assert program.read(3) == [ALL_BYTES, b"", b"third"]


def test_empty_datagrams_are_read_whatever_packets_get(daemon, stream, net):
    program = stream("filled")
    send(net.peer, b"", "233.252.0.8", 5011)
    send(net.peer, b"next", "233.252.0.8", 5011)
    assert program.read(2) == [b"", b"next"]
    assert daemon.group("filled")["emptySkipped"] == 0


def test_a_datagram_may_come_byte_by_byte(daemon, net):
    with tutorial_receiver(net.peer, ADDRESS["4"], 5004) as peer, \
            Stream(daemon.group_path("news4.stream")) as program:
        for byte in frame(b"slow", b"", b"too"):
            program.socket.sendall(bytes([byte]))
            daemon.call("GetStatus")
        assert receive(peer, 3) == [b"slow", b"", b"too"]


def test_many_datagrams_of_one_write_are_sent_in_their_order(daemon, net):
    payloads = [b"%d" % number + bytes(number % 50) for number in range(3000)]
    with tutorial_receiver(net.peer, ADDRESS["4"], 5004) as peer, \
            Stream(daemon.group_path("news4.stream")) as program:
        peer.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        program.write(*payloads)
        assert receive(peer, len(payloads)) == payloads


@pytest.mark.parametrize(("family", "group", "size"), [("4", "large", LARGEST), ("6", "news6", 65527)])
def test_largest_datagrams_go_both_ways(daemon, stream, net, family, group, size):
    numbers, payload = daemon.group(group), os.urandom(size)
    program = stream(group)
    with tutorial_receiver(net.peer, numbers["address"], numbers["port"]) as peer:
        program.write(payload, b"", payload)
        sizes = [len(peer.recv(1 << 17)) for _ in range(3)]
    assert sizes == [size, 0, size]
    assert program.read(3) == [payload, b"", payload]


@pytest.mark.parametrize("length", [LARGEST + 1, 0x80000000, 0xffffffff])
def test_a_wrong_length_ends_the_connection_and_the_log_says_why(daemon, net, length):
    before = daemon.group("large")["sendFailed"]
    with tutorial_receiver(net.peer, "233.252.0.3", 5006) as peer, \
            Stream(daemon.group_path("large.stream")) as program:
        program.socket.sendall(frame(b"good") + struct.pack(">I", length) + b"rest")
        assert receive(peer) == [b"good"]
        with pytest.raises((EOFError, ConnectionResetError)):
            while True:
                program.read()
    assert daemon.group("large")["sendFailed"] == before + 1
    if length == LARGEST + 1:  # the log has one line a second
        wait_until(lambda: f"the length {length}, and the maximum is {LARGEST}" in daemon.log(), "the reason in the log")


def test_a_datagram_that_is_not_whole_at_the_end_is_counted_as_not_sent(daemon, net):
    before = daemon.group("news4")["sendFailed"]
    with tutorial_receiver(net.peer, ADDRESS["4"], 5004) as peer, \
            Stream(daemon.group_path("news4.stream")) as program:
        program.socket.sendall(frame(b"whole", b"cut")[:-1])
        assert receive(peer) == [b"whole"]
    wait_until(lambda: daemon.group("news4")["sendFailed"] == before + 1, "the counter")
    wait_until(lambda: "stopped writing after 6 bytes" in daemon.log(), "a word about it in the log")


def test_a_program_that_only_reads_may_close_its_writing_half(stream, net):
    program = stream("news4")
    program.socket.shutdown(socket.SHUT_WR)
    send(net.other, b"still reading", ADDRESS["4"], 5004)
    assert program.read() == [b"still reading"]


def test_a_program_that_only_writes_may_close_its_reading_half(daemon, net):
    with tutorial_receiver(net.peer, ADDRESS["4"], 5004) as peer, \
            Stream(daemon.group_path("news4.stream")) as program:
        program.socket.shutdown(socket.SHUT_RD)
        unread = daemon.group("news4")["unread"]
        send(net.other, b"for nobody", ADDRESS["4"], 5004)
        assert receive(peer) == [b"for nobody"]
        program.write(b"still sending")
        assert receive(peer) == [b"still sending"]
        assert daemon.group("news4")["unread"] == unread


@pytest.mark.parametrize("size", [100, 1400, LARGEST])
def test_a_program_that_does_not_read_misses_whole_datagrams(daemon, stream, net, blast, size):
    """What was partly written is finished as soon as there is room, also where nothing more comes."""
    program, count = stream("busy"), max(100, 15_000_000 // (size + 300))
    before, arrived = daemon.group("busy"), daemon.arrived("busy")
    daemon.wait_arrived("busy", arrived + blast(net.peer, "233.252.0.4", 5007, count, size))
    after = daemon.group("busy")
    came, missed = (after[key] - before[key] for key in ("received", "unread"))
    assert 0 < missed < came
    assert {len(payload) for payload in program.read(came - missed)} == {size}
    send(net.peer, b"after", "233.252.0.4", 5007)
    assert program.read() == [b"after"]


def test_it_has_the_permissions_of_the_socket_beside_it(daemon):
    files = {name: os.stat(daemon.group_path(name)) for name in ("news4.stream", "secret.stream")}
    assert [stat.S_IMODE(file.st_mode) for file in files.values()] == [0o660, 0o600]
    assert not os.path.exists(daemon.group_path("plain.stream"))


def test_a_program_that_may_not_send_is_told_so_by_the_kernel(stream):
    with pytest.raises(BrokenPipeError):
        stream("mute").write(b"no")


def test_events_are_read_from_a_stream(start, net):
    daemon = start("""groups: { quiet: { address = "233.252.0.1"; port = 5004; interfaces = ["lo"]; expect_within = "1s"; }; };
        events: { socket = true; };""")
    with Stream(daemon.group_path("events.stream")) as program:
        event = json.loads(program.read()[0])
    assert (event["event"], event["group"]) == ("silence", "quiet")


def test_programs_stay_connected_while_a_reload_changes_their_group(daemon, stream, net):
    program, begun = stream("news4"), frame(b"over a reload")
    program.socket.sendall(begun[:7])
    daemon.call("GetStatus")
    daemon.write_config(CONFIG.replace("port = 5004; interfaces", "port = 5004; ttl = 2; interfaces"))
    daemon.ctl("reload")
    with tutorial_receiver(net.peer, ADDRESS["4"], 5004) as peer:
        program.socket.sendall(begun[7:])
        assert receive(peer) == [b"over a reload"]
    assert program.read() == [b"over a reload"]


def test_socat_joins_two_streams(daemon, stream, net):
    """A program of another make, in between: what one group gets, the other one sends."""
    program = stream("large")
    between = subprocess.Popen(["socat", f"UNIX-CONNECT:{daemon.group_path('news4.stream')}",
                                f"UNIX-CONNECT:{daemon.group_path('large.stream')}"])
    try:
        def passes():
            send(net.peer, b"through both", ADDRESS["4"], 5004)
            program.socket.settimeout(0.05)
            try:
                return program.read() == [b"through both"]
            except TimeoutError:
                return False

        wait_until(passes, "a datagram to pass")
    finally:
        between.kill()
        between.wait()


@pytest.mark.parametrize("first", ["too large", "misframed"])
def test_what_the_log_says_of_one_cause_hides_no_other(start, first):
    daemon = start('groups: { two: { address = "233.252.0.12"; port = 5015; interfaces = ["eth0"]; socket = true; }; };')
    said = {"too large": "group two: a datagram from its socket was not sent",
            "misframed": "before a datagram it wrote the length 65508"}
    for cause in sorted(said, key=lambda cause: cause != first):
        if cause == "too large":
            with seqpacket(daemon.group_path("two")) as program:
                program.send(bytes(65508))
                wait_until(lambda: said[cause] in daemon.log(), "the line about " + cause)
        else:
            with stream_at_once(daemon.group_path("two") + ".stream") as program:
                program.sendall(struct.pack(">I", 65508))
                wait_until(lambda: said[cause] in daemon.log(), "the line about " + cause)
