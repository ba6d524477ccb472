"""The control socket as programs use it: Varlink, or a line of JSON and nothing else."""

import datetime
import json
import os
import re
import socket
import subprocess
import time

import pytest

from harness.daemon import MCASTD, Daemon, subscribe
from harness.peers import has_membership, receive, send, tutorial_receiver
from harness.strangers import as_stranger
from harness.waiting import wait_until

CONFIG = """
groups: {
  news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["log", "lines"]; };
  ssm:  { address = "232.1.1.1"; port = 5005; interfaces = ["eth0", "later0"]; sources = ["192.0.2.7"]; };
  six:  { address = "ff15::1"; port = 5006; interfaces = ["eth0"]; };
};
handlers: { lines: { type = "file"; path = "$DIR/lines"; format = "line"; }; };
"""

TERMINATORS = pytest.mark.parametrize("terminator", [b"\0", b"\n"], ids=["nul", "lf"])
ISSUED = {"Send", "Subscribe", "GetStatus", "ListGroups", "ListHandlers", "GetStats", "Join", "Leave", "Reload"}


# Framing


@TERMINATORS
def test_an_answer_ends_as_its_request_did(daemon, terminator):
    with daemon.connect(terminator) as control:
        control.send("GetStatus")
        assert b"\n" not in (answer := control.read()) and b"\0" not in answer
        assert "parameters" in json.loads(answer)


def test_both_terminators_may_alternate_on_one_connection(daemon):
    with daemon.connect() as control:
        for terminator in (b"\0", b"\n", b"\0", b"\n"):
            control.terminator = terminator
            control.send("GetStatus")
            assert "parameters" in control.reply()


def test_what_was_asked_is_done_although_the_client_leaves_its_answers_unread(daemon):
    before = daemon.group("news")["sent"]
    for _ in range(20):
        with daemon.connect(b"\n") as control:
            for _ in range(50):
                control.send("Send", {"group": "news", "text": "and gone"})
    wait_until(lambda: daemon.group("news")["sent"] == before + 1000, "all requests to be carried out")


@TERMINATORS
def test_pipelined_requests_are_answered_in_order(daemon, terminator):
    with daemon.connect(terminator) as control:
        requests = [{"method": "io.mcastd.Send", "parameters": {"group": "news", "text": "x" * (n % 7)}}
                    for n in range(3000)]
        requests[1234]["parameters"]["group"] = "nobody"
        data = b"".join(json.dumps(request).encode() + terminator for request in requests)
        pid = os.fork()  # somebody has to write while we read
        if pid == 0:
            control.socket.sendall(data)
            os._exit(0)
        for number in range(3000):
            reply = control.reply()
            if number == 1234:
                assert reply["error"] == "io.mcastd.NoSuchGroup"
            else:
                assert reply["parameters"] == {"bytes": number % 7}
        assert os.waitpid(pid, 0)[1] == 0


def test_a_request_may_arrive_byte_by_byte(daemon):
    with daemon.connect() as control:
        control.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        for byte in b'{"method":"io.mcastd.GetStatus"}\0':
            control.write(bytes([byte]))
        assert "parameters" in control.reply()


def test_pretty_printed_requests_may_span_lines(daemon):
    with daemon.connect(b"\n") as control:
        control.write(b'{\n  "method": "io.mcastd.GetStatus",\n  "parameters": {}\n}\n')
        assert "parameters" in control.reply()


@pytest.mark.parametrize("ending", [b"\n", b"\0", b""], ids=["lf", "nul", "none"])
def test_a_half_closed_connection_gets_its_answers(daemon, ending):
    with daemon.connect(b"\0" if ending == b"\0" else b"\n") as control:
        control.write(b'{"method":"io.mcastd.GetStatus"}\n' * 3 + b'{"method":"io.mcastd.GetStatus"}' + ending)
        control.socket.shutdown(socket.SHUT_WR)
        answers = control.stream.read().replace(b"\0", b"\n").splitlines()
        assert len(answers) == 4
        assert all("parameters" in json.loads(answer) for answer in answers)


def test_the_line_of_the_readme_answers_and_exits(daemon, net):
    line = ("printf '{\"method\":\"io.mcastd.Send\",\"parameters\":{\"group\":\"news\",\"text\":\"hi\"}}\\n'"
            f" | socat - UNIX-CONNECT:{daemon.control_path}")
    with tutorial_receiver(net.peer, "233.252.0.1", 5004) as sock:
        output = subprocess.run(["sh", "-c", line], check=True, stdout=subprocess.PIPE, timeout=30).stdout
        assert receive(sock) == [b"hi"]
    assert json.loads(output) == {"parameters": {"bytes": 2}}


def test_oneway_calls_have_no_answer(daemon, net):
    with daemon.connect() as control, tutorial_receiver(net.peer, "233.252.0.1", 5004) as sock:
        control.send("Send", {"group": "news", "text": "one way"}, oneway=True)
        control.send("GetInfo-nonsense", oneway=True)
        control.send("GetStatus")
        assert "version" in control.result()
        assert receive(sock) == [b"one way"]


@pytest.mark.parametrize("parameters", ["", ',"parameters":null', ',"parameters":{}'], ids=["absent", "null", "empty"])
def test_absent_null_and_empty_parameters_are_alike(daemon, parameters):
    with daemon.connect() as control:
        control.write(b'{"method":"io.mcastd.GetStatus"%s}\0' % parameters.encode())
        assert "version" in control.result()


def test_optional_parameters_may_be_null(daemon, net):
    with tutorial_receiver(net.peer, "233.252.0.1", 5004) as sock:
        daemon.call("Send", group="news", text="x", base64=None, ttl=None, interface=None)
        assert receive(sock) == [b"x"]
    daemon.call("Reload", dryRun=None)


# Introspection


def described(daemon):
    """The description, and the methods and errors in it."""
    text = daemon.call("org.varlink.service.GetInterfaceDescription", interface="io.mcastd")["description"]
    return text, set(re.findall(r"^method (\w+)\(", text, re.M)), set(re.findall(r"^error (\w+)", text, re.M))


def names_in_the_program():
    """What there is of io.mcastd."""
    with open(MCASTD, "rb") as binary:
        return {name.decode() for name in re.findall(rb"\0io\.mcastd\.([A-Z]\w+)(?=\0)", binary.read())}


def test_get_info_names_the_program_and_its_interfaces(daemon):
    info = daemon.call("org.varlink.service.GetInfo")
    assert set(info) == {"vendor", "product", "version", "url", "interfaces"}
    assert info["product"] == "mcastd" and info["version"] == daemon.call("GetStatus")["version"]
    assert sorted(info["interfaces"]) == ["io.mcastd", "org.varlink.service"]


def test_the_description_lists_exactly_the_methods_that_exist(daemon):
    _, methods, errors = described(daemon)
    assert methods >= ISSUED
    with daemon.connect() as control:
        for method in methods:
            control.send(method, {"noSuchParameter": 1}, more=True)
            assert control.reply()["error"] == "org.varlink.service.InvalidParameter", method
        for method in ("Nothing", "send", "Send2", ""):
            assert control.error(f"io.mcastd.{method}").name == "org.varlink.service.MethodNotFound"
    assert names_in_the_program() - errors - methods == set()
    assert methods - names_in_the_program() == set()


def test_the_description_lists_exactly_the_errors_that_exist(daemon):
    _, methods, errors = described(daemon)
    assert names_in_the_program() - methods == errors


def test_replies_have_the_described_fields(daemon, net):
    text, _, _ = described(daemon)

    def fields(name, ends=r"type {} \((.*?)^\)"):
        body = re.search("^" + ends.format(name), text, re.M | re.S)[1]
        return set(re.findall(r"^\s+(\w+):", body, re.M))

    assert set(daemon.call("GetStatus")) == fields("GetStatus", r"method {}\(\) -> \((.*?)^\)")
    with subscribe(daemon, "news") as subscription:
        send(net.peer, b"x", "233.252.0.1", 5004)
        assert set(subscription.result()["datagram"]) == fields("Datagram") - {"base64", "reply"}
    stats = daemon.call("GetStats")
    for group in stats["groups"]:
        assert set(group) == fields("Group")
        for membership in group["memberships"]:
            assert set(membership) == fields("Membership")
    for handler in stats["handlers"]:
        assert set(handler) == fields("Handler")


def test_other_interfaces_are_not_found(daemon):
    error = daemon.error("org.varlink.service.GetInterfaceDescription", interface="io.nothing")
    assert (error.name, error.parameters) == ("org.varlink.service.InterfaceNotFound", {"interface": "io.nothing"})


# What the answers say


def test_status_says_who_runs_since_when_and_with_what(daemon):
    status = daemon.call("GetStatus")
    assert status["pid"] == daemon.process.pid
    assert status["configuration"] == daemon.config_path
    started = datetime.datetime.fromisoformat(status["started"][:19] + "+00:00").timestamp()
    assert status["started"].endswith("Z") and started <= time.time() < started + 600
    assert (status["groups"], status["handlers"]) == (3, 3)
    assert status["memberships"] == {"joined": 3, "waiting": 1, "failed": 0}
    assert status["connections"] >= 1


def test_groups_are_listed_with_all_that_is_configured(daemon):
    groups = {group["name"]: group for group in daemon.call("ListGroups")["groups"]}
    assert set(groups) == {"news", "ssm", "six"}
    assert groups["news"]["handlers"] == ["log", "lines"] and groups["news"]["sources"] == []
    assert (groups["ssm"]["address"], groups["ssm"]["port"]) == ("232.1.1.1", 5005)
    assert groups["ssm"]["sources"] == ["192.0.2.7"] and groups["ssm"]["handlers"] == []
    assert groups["six"]["address"] == "ff15::1"
    states = {m["interface"]: (m["state"], m["error"]) for m in groups["ssm"]["memberships"]}
    assert states["eth0"] == ("joined", None)
    assert states["later0"] == ("waiting", "there is no such interface")


def test_handlers_are_listed_with_their_groups_and_numbers(daemon):
    handlers = {handler["name"]: handler for handler in daemon.call("ListHandlers")["handlers"]}
    assert {name: handler["type"] for name, handler in handlers.items()} == \
        {"log": "log", "journal": "journal", "lines": "file"}
    assert handlers["lines"]["groups"] == ["news"] and handlers["journal"]["groups"] == []
    assert "queue" in handlers["lines"]["dropped"]


def test_stats_are_the_two_lists_in_one(daemon):
    stats = daemon.call("GetStats")
    assert set(stats) == {"groups", "handlers"}
    assert [group["name"] for group in stats["groups"]] == \
        [group["name"] for group in daemon.call("ListGroups")["groups"]]


# Join and Leave


def test_a_joined_group_receives_and_sends_until_it_is_left(daemon, net):
    joined = daemon.call("Join", address="233.252.0.20", port=5020, name="extra", interfaces=["eth0"],
                         handlers=["lines"])
    assert joined["name"] == "extra"
    assert [(m["interface"], m["state"]) for m in joined["memberships"]] == [("eth0", "joined")]
    assert has_membership(net.host, "233.252.0.20")
    send(net.peer, b"to the joined group", "233.252.0.20", 5020)
    wait_until(lambda: b" extra " in daemon.read("lines"), "the datagram in the file")
    with tutorial_receiver(net.peer, "233.252.0.20", 5020) as sock:
        daemon.call("Send", group="extra", text="from the joined group")
        assert receive(sock) == [b"from the joined group"]
    assert daemon.call("Leave", name="extra") == {}
    assert not has_membership(net.host, "233.252.0.20")
    assert daemon.error("Send", group="extra", text="x").name == "io.mcastd.NoSuchGroup"


@pytest.mark.parametrize("address, name", [("233.252.0.21", "233.252.0.21:5021"), ("ff15::21", "[ff15::21]:5021")],
                         ids=["v4", "v6"])
def test_a_joined_group_is_named_after_its_address(daemon, net, address, name):
    assert daemon.call("Join", address=address, port=5021, interfaces=["eth0"])["name"] == name
    assert has_membership(net.host, address)
    daemon.call("Leave", name=name)


def test_joined_groups_may_be_source_specific(daemon, net):
    daemon.call("Join", address="232.1.1.9", port=5022, name="ssm-joined", interfaces=["eth0"], sources=[net.peer.v4])
    send(net.other, b"foreign", "232.1.1.9", 5022)
    send(net.peer, b"own", "232.1.1.9", 5022)
    daemon.wait_arrived("ssm-joined", 1)
    assert daemon.group("ssm-joined")["receivedBytes"] == 3
    daemon.call("Leave", name="ssm-joined")


def test_a_name_can_be_joined_once(daemon):
    assert daemon.error("Join", address="233.252.0.9", port=5004, name="news").name == "io.mcastd.GroupExists"


def test_configured_groups_cannot_be_left(daemon):
    assert daemon.error("Leave", name="news").name == "io.mcastd.GroupConfigured"


def test_leaving_what_was_never_joined_is_a_named_error(daemon):
    error = daemon.error("Leave", name="nobody")
    assert error.name == "io.mcastd.NoSuchGroup" and error.parameters["group"] == "nobody"


@pytest.mark.parametrize("changes, parameter, words", [
    ({"address": "0.0.0.1"}, None, '"0.0.0.1" is no address of a host'),
    ({"address": "news"}, "address", '"news" is not an IP address'),
    ({"port": 0}, "port", "0 is out of range, use 1 to 65535"),
    ({"port": 65536}, "port", "65536 is out of range, use 1 to 65535"),
    ({"name": "a/b"}, None, "group a/b: the name has other characters than letters, digits and "),
    ({"name": ".."}, None, "group ..: the name begins with a dot"),
    ({"handlers": ["nobody"]}, None, 'group x: handlers: there is no handler "nobody"'),
    ({"sources": ["ff15::1"]}, None, 'group x: sources: "ff15::1" is not the address of a sender'),
    ({"interfaces": ["a/b"]}, None, 'group x: interfaces: "a/b" cannot be an interface'),
], ids=["unicast", "no-address", "port-0", "port-65536", "slash", "dot", "handler", "source", "interface"])
def test_a_join_is_checked_like_the_configuration(daemon, changes, parameter, words):
    error = daemon.error("Join", **{"address": "233.252.0.1", "port": 5004, "name": "x", **changes})
    assert error.name == ("org.varlink.service.InvalidParameter" if parameter else "io.mcastd.JoinFailed")
    assert error.parameters.get("parameter") == parameter and words in error.parameters["message"]
    assert daemon.call("GetStatus")["groups"] == 3


def test_strangers_may_look_but_not_change(daemon):
    words = as_stranger(daemon, """
stream = connect()
print(call(stream, "GetStatus"), call(stream, "GetStats"), call(stream, "Join", address="233.252.0.1", port=1),
      call(stream, "Leave", name="news"), call(stream, "Reload"), call(stream, "Rotate"))""")
    assert words == ["ok", "ok", *["io.mcastd.NotPermitted"] * 4]


def test_one_user_with_too_many_connections_does_not_keep_the_others_out(daemon):
    words = as_stranger(daemon, """
streams = [connect() for _ in range(2017)]
print(call(streams[2015], "GetStatus"), answer(streams[2016]))""")
    assert words == ["ok", "io.mcastd.TooManyConnections"]
    with daemon.connect() as control:
        assert "version" in control.call("GetStatus")


def test_errors_carry_a_message_for_people(daemon):
    for method, parameters, message in (
            ("Send", {"group": "nobody", "text": "x"}, 'there is no group "nobody"; mcastctl groups lists them'),
            ("Leave", {"name": "nobody"}, 'there is no group "nobody"; mcastctl groups lists them'),
            ("Leave", {"name": "news"}, "the configuration has this group; remove it there and reload"),
            ("Send", {"group": "news", "text": "x" * 66000}, "the payload has 66000 bytes, a datagram holds at most 65507"),
            ("Rotate", {"handler": "log"}, 'the handler "log" does not record to a file')):
        assert daemon.error(method, **parameters).parameters["message"] == message


# Long answers

MANY = 2500  # more than fits into what may wait to be read


@pytest.fixture(scope="module")
def crowded(net):
    """A daemon with many groups."""
    groups = "".join(f'g{n:04}: {{ address = "233.252.1.1"; port = {6000 + n}; interfaces = ["later0"]; '
                     'handlers = ["log"]; };\n' for n in range(MANY))
    with Daemon(net.host, f"groups: {{\n{groups} }};\n") as daemon:
        yield daemon


def test_a_long_answer_has_every_group_once_and_in_order(crowded):
    names = [f"g{n:04}" for n in range(MANY)]
    stats = crowded.call("GetStats")
    assert [group["name"] for group in stats["groups"]] == names
    assert [group["name"] for group in crowded.call("ListGroups")["groups"]] == names
    assert next(handler for handler in stats["handlers"] if handler["name"] == "log")["groups"] == names


@TERMINATORS
def test_long_and_short_answers_come_in_order(crowded, terminator):
    with crowded.connect(terminator) as control:
        for _ in range(2):
            control.send("ListGroups")
            control.send("GetStatus")
            control.send("GetStats", oneway=True)
        for _ in range(2):
            assert len(control.result()["groups"]) == MANY
            assert control.result()["groups"] == MANY


def test_a_long_answer_is_made_while_it_is_read(crowded):
    """Groups come and go meanwhile: those that were there all the time are in it, once."""
    crowded.call("Join", address="233.252.2.1", port=5000, name="a-first", interfaces=["later0"])
    with crowded.connect() as control:
        control.send("ListGroups")
        assert control.socket.recv(1, socket.MSG_PEEK)
        crowded.call("Leave", name="a-first")
        crowded.call("Join", address="233.252.2.2", port=5000, name="z-last", interfaces=["later0"])
        names = [group["name"] for group in control.result()["groups"]]
    crowded.call("Leave", name="z-last")
    assert names == ["a-first", *(f"g{n:04}" for n in range(MANY)), "z-last"]


def test_whoever_waits_for_a_long_answer_may_go(crowded):
    before = crowded.call("GetStatus")["connections"]
    for _ in range(10):
        with crowded.connect() as control:
            for _ in range(20):
                control.send("GetStats")
    wait_until(lambda: crowded.call("GetStatus")["connections"] == before, "the connections to be gone")
