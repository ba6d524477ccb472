"""The journal handler, before a socket that speaks journald's protocol. The daemon sees it in a mount namespace of
its own, so that no journal of this machine is written to."""

import json
import os
import socket
import struct

import pytest

from harness.daemon import Daemon, with_journal
from harness.peers import LARGEST, send
from harness.records import ALL_BYTES, HOSTILE
from harness.waiting import wait_until
from net import FAMILIES

ADDRESS = {"4": "233.252.0.1", "6": "ff15::1"}
MESSAGE_DATAGRAM = b"39633774bfd14e6c9a1478d2c0dd0d20"  # programs may rely on it: it never changes

CONFIG = """
groups: {
  news4: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["journal"]; };
  news6: { address = "ff15::1"; port = 5004; interfaces = ["eth0"]; handlers = ["journal"]; };
  sensors: { address = "233.252.0.1"; port = 5005; interfaces = ["eth0"]; handlers = ["fields"]; };
};
handlers: { fields: { type = "journal"; fields = "json"; }; };
"""


def parse_entry(data):
    """The native protocol: NAME=VALUE lines, or NAME, a length and bytes that may hold anything."""
    fields = {}
    while data:
        end = data.index(b"\n")
        name, equals, value = data[:end].partition(b"=")
        data = data[end + 1:]
        if not equals:
            length, = struct.unpack("<Q", data[:8])
            value, data = data[8:8 + length], data[8 + length + 1:]
        assert name not in fields, f"{name} is there twice"
        fields[name.decode()] = value
    return fields


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("journal") / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(15)
        yield sock


@pytest.fixture(scope="module")
def daemon(net, journal):
    with Daemon(net.host, CONFIG, wrapper=with_journal(journal.getsockname())) as daemon:
        yield daemon


def next_entry(journal):
    """The next entry, which is in a sealed file where it does not fit into a datagram."""
    data, descriptors, _, _ = socket.recv_fds(journal, 1 << 20, 1)
    if descriptors:
        with os.fdopen(descriptors[0], "rb") as file:
            file.seek(0)
            data = file.read()
    return parse_entry(data)


@FAMILIES
def test_an_entry_has_every_field_of_the_datagram(daemon, net, journal, family):
    port = send(net.peer, b"hello", ADDRESS[family], 5004)
    entry = next_entry(journal)
    source = net.peer.v4 if family == "4" else net.peer.v6
    wanted = {
        "MCASTD_GROUP": f"news{family}", "MCASTD_ADDRESS": ADDRESS[family], "MCASTD_PORT": "5004",
        "MCASTD_SOURCE": source, "MCASTD_SOURCE_PORT": str(port), "MCASTD_INTERFACE": "eth0", "MCASTD_TTL": "2",
        "MCASTD_SIZE": "5", "MCASTD_PAYLOAD": "hello"}
    assert {name: entry[name].decode() for name in wanted} == wanted
    assert entry["MCASTD_TIMESTAMP"].endswith(b"Z")
    assert {name for name in entry if name.startswith("MCASTD_")} == \
        set(wanted) | {"MCASTD_TIMESTAMP"}
    assert entry["MESSAGE_ID"] == MESSAGE_DATAGRAM
    sender = f"{source}:{port}" if family == "4" else f"[{source}]:{port}"
    assert entry["MESSAGE"].decode() == f"news{family}: 5 bytes from {sender} on eth0: hello"


@pytest.mark.parametrize("payload", [ALL_BYTES, HOSTILE, b"", b"\nMESSAGE=forged\nPRIORITY=0\n", os.urandom(LARGEST)],
                         ids=["all-bytes", "hostile", "empty", "forged", "largest"])
def test_no_payload_forges_a_field_and_all_of_it_is_returned(daemon, net, journal, payload):
    send(net.peer, payload, ADDRESS["4"], 5004)
    entry = next_entry(journal)
    assert entry["MCASTD_PAYLOAD"] == payload
    assert not any(byte < 0x20 or byte == 0x7f for byte in entry["MESSAGE"])
    assert entry["PRIORITY"] == b"6"


def test_entries_of_one_kind_have_one_message_id(daemon, net, journal):
    ids = set()
    for payload in (b"one", b"two"):
        send(net.peer, payload, ADDRESS["4"], 5004)
        ids.add(next_entry(journal)["MESSAGE_ID"])
    assert len(ids) == 1


def own(entry):
    """The fields that the payload itself has made."""
    return {name: value for name, value in entry.items() if name.startswith("JSON_")}


def test_members_of_a_json_payload_are_fields(daemon, net, journal):
    payload = b'{"sensor": "hall", "temperature": 21.30, "gps": {"lat": -48, "ok": true}, "tags": ["a", 1], "note": "two\\nlines"}'
    send(net.peer, payload, ADDRESS["4"], 5005)
    entry = next_entry(journal)
    assert own(entry) == {"JSON_SENSOR": b"hall", "JSON_TEMPERATURE": b"21.30", "JSON_GPS_LAT": b"-48", "JSON_GPS_OK": b"true",
                          "JSON_TAGS": b'["a", 1]', "JSON_NOTE": b"two\nlines"}
    assert (entry["MCASTD_GROUP"], entry["MCASTD_PAYLOAD"]) == (b"sensors", payload)


def test_no_member_of_a_payload_is_a_field_of_another_name(daemon, net, journal):
    send(net.peer, b"{}", ADDRESS["4"], 5005)
    names = set(next_entry(journal))
    members = {name: "forged" for name in (*names, "_UID", "_SYSTEMD_UNIT", "CODE_FILE", "", "=", "A=B\nPRIORITY")}
    members["x"] = "\nPRIORITY=0\nMCASTD_GROUP=forged"
    send(net.peer, json.dumps(members).encode(), ADDRESS["4"], 5005)
    entry = next_entry(journal)
    assert set(entry) - set(own(entry)) == names
    assert len(own(entry)) == len(members)  # "" and "=" become JSON_ and JSON__
    assert (entry["PRIORITY"], entry["MESSAGE_ID"], entry["MCASTD_GROUP"]) == (b"6", MESSAGE_DATAGRAM, b"sensors")
    assert not any(value == b"forged" for name, value in entry.items() if not name.startswith("JSON_"))


@pytest.mark.parametrize("payload", [b"hello", b"[1]", b'{"a":1', b"[" * LARGEST, b'{"a":' * (LARGEST // 5), ALL_BYTES, b""],
                         ids=["text", "array", "cut", "brackets", "braces", "all-bytes", "empty"])
def test_what_is_no_json_object_is_logged_all_the_same_and_counted(daemon, net, journal, payload):
    before = daemon.handler("fields")["counters"]["notJson"]
    send(net.peer, payload, ADDRESS["4"], 5005)
    entry = next_entry(journal)
    assert (own(entry), entry["MCASTD_PAYLOAD"]) == ({}, payload)
    wait_until(lambda: daemon.handler("fields")["counters"]["notJson"] == before + 1, "the count")


def test_members_beyond_the_bounds_are_counted_and_the_payload_has_them(daemon, net, journal):
    before = daemon.handler("fields")["counters"]["membersLeftOut"]
    members = {f"n{number}": number for number in range(100)}
    payload = json.dumps({"x" * 100: 1, "long": "y" * 5000, **members}).encode()
    send(net.peer, payload, ADDRESS["4"], 5005)
    entry = next_entry(journal)
    assert own(entry) == {f"JSON_N{number}": b"%d" % number for number in range(64)}
    assert entry["MCASTD_PAYLOAD"] == payload
    wait_until(lambda: daemon.handler("fields")["counters"]["membersLeftOut"] == before + 2 + 36, "the count")


def test_json_has_no_fields_of_its_own_unless_they_are_asked_for(daemon, net, journal):
    send(net.peer, b'{"sensor": "hall"}', ADDRESS["4"], 5004)
    assert own(next_entry(journal)) == {}


def test_a_failing_handler_is_logged_by_its_name(net, tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
    config = """
      groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["diary"]; }; };
      handlers: { diary: { type = "journal"; }; };"""
    with Daemon(net.host, config, wrapper=with_journal(path)) as daemon:
        send(net.peer, b"nobody reads this", "233.252.0.1", 5004)
        wait_until(lambda: daemon.handler("diary")["dropped"]["io"] == 1, "the drop to be counted")
        wait_until(lambda: "handler diary: writing to the journal: Connection refused" in daemon.log(), "the message")
