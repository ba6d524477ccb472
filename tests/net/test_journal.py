"""The journal handler, before a socket that speaks journald's protocol. The daemon sees it in a mount namespace of
its own, so that no journal of this machine is written to."""

import os
import socket
import struct

import pytest

from harness.daemon import Daemon, with_journal
from harness.peers import LARGEST, send
from harness.records import ALL_BYTES, HOSTILE
from harness.waiting import wait_until

ADDRESS = {"4": "233.252.0.1", "6": "ff15::1"}

CONFIG = """
groups: {
  news4: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["journal"]; };
  news6: { address = "ff15::1"; port = 5004; interfaces = ["eth0"]; handlers = ["journal"]; };
};
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


@pytest.mark.parametrize("family", ["4", "6"], ids=["v4", "v6"])
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
    assert len(entry["MESSAGE_ID"]) == 32
    assert b"hello" in entry["MESSAGE"] and b"news" in entry["MESSAGE"]


@pytest.mark.parametrize("payload", [ALL_BYTES, HOSTILE, b"", b"\nMESSAGE=forged\nPRIORITY=0\n", os.urandom(LARGEST)],
                         ids=["all-bytes", "hostile", "empty", "forged", "largest"])
def test_no_payload_forges_a_field_and_all_of_it_is_kept(daemon, net, journal, payload):
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
