"""Each kind of handler: what it writes, and what it does when it cannot."""

import json
import os
import re
import socket

import pytest

from harness.peers import LARGEST, receive, receiver_on, send, tutorial_sender
from harness.records import ALL_BYTES, HOSTILE, parse_line, payload_of, unescape
from harness.waiting import wait_until
from net import FAMILIES

CONFIG = """
groups: {
  files:   { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["line", "json", "hex", "raw"]; };
  empty:   { address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; handlers = ["empty-line", "empty-raw"]; };
  many1:   { address = "233.252.0.4"; port = 5004; interfaces = ["eth0"]; handlers = ["shared"]; };
  many2:   { address = "233.252.0.5"; port = 5004; interfaces = ["eth0"]; handlers = ["shared"]; };
  full:    { address = "233.252.0.6"; port = 5004; interfaces = ["eth0"]; handlers = ["full"]; };
  dgram:   { address = "233.252.0.7"; port = 5004; interfaces = ["eth0"]; handlers = ["dgram"]; };
  packet:  { address = "233.252.0.8"; port = 5004; interfaces = ["eth0"]; handlers = ["packet"]; };
  host4:   { address = "233.252.0.9"; port = 5004; interfaces = ["eth0"]; handlers = ["host4"]; };
  host6:   { address = "ff15::9"; port = 5004; interfaces = ["eth0"]; handlers = ["host6"]; };
  bridge4: { address = "233.252.0.10"; port = 5004; interfaces = ["eth0"]; handlers = ["bridge4"]; };
  bridge6: { address = "ff15::10"; port = 5004; interfaces = ["eth0"]; handlers = ["bridge6"]; };
  builtin: { address = "233.252.0.12"; port = 5004; interfaces = ["eth0"]; handlers = ["log", "journal"]; };
};
handlers: {
  line:   { type = "file"; path = "$DIR/line"; };
  json:   { type = "file"; path = "$DIR/json"; format = "json"; };
  hex:    { type = "file"; path = "$DIR/hex"; format = "hex"; };
  raw:    { type = "file"; path = "$DIR/raw"; format = "raw"; };
  empty-line: { type = "file"; path = "$DIR/empty-line"; format = "line"; };
  empty-raw:  { type = "file"; path = "$DIR/empty-raw"; format = "raw"; };
  shared: { type = "file"; path = "$DIR/shared"; format = "line"; };
  full:   { type = "file"; path = "/dev/full"; format = "line"; };
  dgram:  { type = "unix"; path = "$DIR/dgram"; socket_type = "dgram"; };
  packet: { type = "unix"; path = "$DIR/packet"; socket_type = "seqpacket"; };
  host4:  { type = "udp"; address = "192.0.2.3"; port = 6000; };
  host6:  { type = "udp"; address = "2001:db8:1::3"; port = 6000; };
  bridge4: { type = "udp"; address = "233.252.0.110"; port = 6001; interface = "eth1"; ttl = 5; };
  bridge6: { type = "udp"; address = "ff15::110"; port = 6001; interface = "eth1"; ttl = 5; };
};
"""

PAYLOADS = pytest.mark.parametrize(
    "payload", [ALL_BYTES, HOSTILE, b"plain text", "Grüße ✓".encode(), os.urandom(LARGEST)],
    ids=["all-bytes", "hostile", "plain", "utf8", "largest"])


def next_record(daemon, name, sender):
    """What a file grows by when sender() sends one datagram, after all that was sent before is written."""
    daemon.wait_idle(name)
    before = len(daemon.read(name))
    sender()

    def grown():
        record = daemon.read(name)[before:]
        return record if record.endswith(b"\n") or name.endswith("raw") else None

    return wait_until(grown, f"a record in {name}")


def send_files(net, payload):
    return lambda: send(net.peer, payload, "233.252.0.1", 5004)


@PAYLOADS
def test_line_files_hold_one_harmless_line_that_can_be_read_back(daemon, net, payload):
    record = next_record(daemon, "line", send_files(net, payload))
    assert record.count(b"\n") == 1
    line = parse_line(record[:-1])
    assert not any(byte < 0x20 or byte == 0x7f for byte in record[:-1])
    assert "\u202e" not in record.decode()
    assert int(line["size"]) == len(payload)
    assert unescape(line["payload"]) == payload


@PAYLOADS
def test_json_files_hold_one_object_a_line_with_all_of_the_payload(daemon, net, payload):
    record = next_record(daemon, "json", send_files(net, payload))
    assert record.count(b"\n") == 1
    assert payload_of(json.loads(record)) == payload


@PAYLOADS
def test_hex_files_hold_the_payload_in_hexadecimal(daemon, net, payload):
    record = next_record(daemon, "hex", send_files(net, payload))
    assert record.count(b"\n") == 1
    assert bytes.fromhex(parse_line(record[:-1])["payload"].decode()) == payload


@PAYLOADS
def test_raw_files_hold_the_payload_and_nothing_else(daemon, net, payload):
    assert next_record(daemon, "raw", send_files(net, payload)) == payload


def test_a_datagram_without_payload_is_a_line_and_no_raw_byte(daemon, net):
    record = next_record(daemon, "empty-line", lambda: send(net.peer, b"", "233.252.0.2", 5004))
    assert record.endswith(b" 0 \n")
    assert daemon.wait_idle("empty-raw")["delivered"] == 1
    assert daemon.read("empty-raw") == b""


def test_files_are_appended_to(start, net):
    config = """
      groups: { news: { address = "233.252.0.20"; port = 5004; interfaces = ["eth0"]; handlers = ["raw"]; }; };
      handlers: { raw: { type = "file"; path = "$DIR/raw"; format = "raw"; }; };"""
    first = start(config)
    send(net.peer, b"first ", "233.252.0.20", 5004)
    first.wait_arrived("news", 1)
    first.owned_directory = False
    first.stop()
    second = start(config, directory=first.directory)
    second.owned_directory = True
    send(net.peer, b"second", "233.252.0.20", 5004)
    wait_until(lambda: second.read("raw") == b"first second", "both in the file")


def test_what_is_queued_is_written_before_the_end(start, net):
    daemon = start("""
      groups: { news: { address = "233.252.0.20"; port = 5004; interfaces = ["eth0"]; handlers = ["lines"]; }; };
      handlers: { lines: { type = "file"; path = "$DIR/lines"; format = "line"; }; };""")
    with tutorial_sender(net.peer, "233.252.0.20") as sock:
        for _ in range(100):
            sock.sendto(b"x", ("233.252.0.20", 5004))
    daemon.wait_arrived("news", 100)
    daemon.owned_directory = False
    try:
        daemon.stop()
        assert daemon.read("lines").count(b"\n") == 100
    finally:
        daemon.owned_directory = True
        daemon.kill()


def test_a_handler_may_serve_several_groups(daemon, net):
    send(net.peer, b"one", "233.252.0.4", 5004)
    send(net.peer, b"two", "233.252.0.5", 5004)
    wait_until(lambda: daemon.read("shared").count(b"\n") == 2, "both in the file")
    lines = [parse_line(line) for line in daemon.read("shared").splitlines()]
    assert {(line["group"], line["payload"]) for line in lines} == {(b"many1", b"one"), (b"many2", b"two")}
    assert sorted(daemon.handler("shared")["groups"]) == ["many1", "many2"]


def test_what_cannot_be_written_is_counted_and_said(daemon, net):
    send(net.peer, b"no room", "233.252.0.6", 5004)
    wait_until(lambda: daemon.handler("full")["dropped"].get("io") == 1, "the drop to be counted")
    assert daemon.handler("full")["delivered"] == 0
    wait_until(lambda: "No space left" in daemon.log(), "a word about it in the log")


def test_log_handlers_may_write_to_standard_output(start, net):
    reading, writing = os.pipe()
    daemon = start("""
      groups: { news: { address = "233.252.0.3"; port = 5004; interfaces = ["eth0"]; handlers = ["out"]; }; };
      handlers: { out: { type = "log"; stream = "stdout"; format = "hex"; }; };""", stdout=writing)
    os.close(writing)
    send(net.peer, HOSTILE, "233.252.0.3", 5004)
    with os.fdopen(reading, "rb") as output:
        line = parse_line(output.readline().rstrip(b"\n"))
        assert bytes.fromhex(line["payload"].decode()) == HOSTILE
        daemon.stop()


def test_log_and_journal_exist_without_being_declared(daemon):
    handlers = {handler["name"]: handler["type"] for handler in daemon.call("ListHandlers")["handlers"]}
    assert (handlers["log"], handlers["journal"]) == ("log", "journal")
    assert daemon.handler("journal")["groups"] == ["builtin"]


def test_the_journal_being_absent_is_counted_as_that(daemon, net):
    if os.path.exists("/run/systemd/journal/socket"):
        pytest.skip("this machine has a journal, which is not for tests to write to")
    send(net.peer, b"for no journal", "233.252.0.12", 5004)
    wait_until(lambda: daemon.handler("journal")["dropped"]["absent"] == 1, "the drop to be counted")
    assert sum(daemon.handler("journal")["dropped"].values()) == 1


def consumer(path, kind):
    """Another program's socket. For SOCK_SEQPACKET it is the one that the daemon connects to."""
    sock = socket.socket(socket.AF_UNIX, kind)
    sock.settimeout(15)
    if os.path.exists(path):
        os.unlink(path)
    sock.bind(path)
    if kind == socket.SOCK_SEQPACKET:
        sock.listen()
    return sock


@pytest.mark.parametrize("name, address, kind", [("dgram", "233.252.0.7", socket.SOCK_DGRAM),
                                                ("packet", "233.252.0.8", socket.SOCK_SEQPACKET)],
                         ids=["dgram", "seqpacket"])
def test_unix_consumers_may_be_absent_and_return(daemon, net, name, address, kind):
    def drops():
        return daemon.handler(name)["dropped"]["absent"]

    def accepted(sock):
        if kind == socket.SOCK_DGRAM:
            return sock
        with sock:
            connection, _ = sock.accept()
        connection.settimeout(15)
        return connection

    send(net.peer, b"nobody there", address, 5004)
    wait_until(lambda: drops() == 1, "the drop to be counted")
    for _ in range(2):
        listener = consumer(daemon.path(name), kind)
        send(net.peer, ALL_BYTES, address, 5004)
        with accepted(listener) as sock:
            assert receive(sock) == [ALL_BYTES]
            send(net.peer, b"", address, 5004)
            send(net.peer, b"after an empty one", address, 5004)
            assert receive(sock, 2) == [b"", b"after an empty one"]
        before = drops()
        send(net.peer, b"gone again", address, 5004)
        wait_until(lambda: drops() == before + 1, "the drop to be counted")
    assert daemon.handler(name)["delivered"] == 6
    assert sum(daemon.handler(name)["dropped"].values()) == drops()


@FAMILIES
def test_udp_relays_to_a_host(daemon, net, family):
    target = net.other.v4 if family == "4" else net.other.v6
    with tutorial_sender(net.other, target) as sock:
        sock.bind((target, 6000))
        group = daemon.group(f"host{family}")
        for payload in (ALL_BYTES, b"", b"last"):
            send(net.peer, payload, group["address"], 5004)
        assert receive(sock, 3) == [ALL_BYTES, b"", b"last"]


@FAMILIES
def test_udp_relays_to_another_group_on_another_interface(daemon, net, family):
    target = "233.252.0.110" if family == "4" else "ff15::110"
    with receiver_on(net.side, target, 6001, "eth0") as sock:
        group = daemon.group(f"bridge{family}")
        for payload in (ALL_BYTES, b"", b"last"):
            send(net.peer, payload, group["address"], 5004)
        assert receive(sock, 3) == [ALL_BYTES, b"", b"last"]


def test_handlers_of_one_kind_log_their_names(start, net):
    """Two that fail in the same way log lines that differ by their names only."""
    daemon = start("""
      groups: { news: { address = "233.252.0.20"; port = 5004; interfaces = ["eth0"];
                        handlers = ["first", "second", "third", "fourth"]; }; };
      handlers: { first:  { type = "udp"; address = "203.0.113.1"; port = 6000; };
                  second: { type = "udp"; address = "203.0.113.1"; port = 6000; };
                  third:  { type = "unix"; path = "$DIR/dgram"; socket_type = "seqpacket"; };
                  fourth: { type = "unix"; path = "$DIR/dgram"; socket_type = "seqpacket"; }; };""")

    def errors(name):
        return re.findall(rf"^handler {name}: (.*)$", daemon.log(), re.MULTILINE)

    with consumer(daemon.path("dgram"), socket.SOCK_DGRAM):
        send(net.peer, b"x", "233.252.0.20", 5004)
        for first, second in (("first", "second"), ("third", "fourth")):
            wait_until(lambda: errors(first) and errors(second), f"a line about {first} and {second}")
            assert errors(first) == errors(second)
