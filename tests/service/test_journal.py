"""The handler "journal", before a real journald, from within the sandbox."""

import json
import os
import re
import socket
import time

import pytest

from harness.peers import LARGEST, send, tutorial_sender
from harness.records import ALL_BYTES, HOSTILE
from harness.waiting import wait_until

CONFIG = """
groups: {
  news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["journal"]; };
  news6: { address = "ff15::1"; port = 5006; interfaces = ["eth0"]; handlers = ["journal"]; };
};
"""

FIELDS = """
groups: { sensors: { address = "233.252.0.1"; port = 5005; interfaces = ["eth0"]; handlers = ["fields"]; }; };
handlers: { fields: { type = "journal"; fields = "json"; }; };
"""

GROUPS = {"news": ("233.252.0.1", 5004, "192.0.2.1"), "news6": ("ff15::1", 5006, "2001:db8:1::1"),
          "sensors": ("233.252.0.1", 5005, "192.0.2.1")}


def payload_of(entry):
    """As journald writes it to JSON: text, or an array of bytes; nothing at all for an empty field."""
    payload = entry["MCASTD_PAYLOAD"]
    return payload.encode() if isinstance(payload, str) else bytes(payload)


def record(service, payload, group="news"):
    """Sends a datagram. Returns the entry that it becomes, and the port that it was sent from."""
    address, number, _ = GROUPS[group]
    port = send(service.system, payload, address, number, "eth0")
    entries = wait_until(lambda: service.system.entries(f"MCASTD_GROUP={group}", f"MCASTD_SOURCE_PORT={port}",
                                                        since=service.since), "the entry in the journal")
    assert len(entries) == 1
    return entries[0], port


@pytest.mark.parametrize("group", ["news", "news6"])
def test_the_journal_has_every_field_of_a_datagram(service, group):
    service.start(CONFIG)
    before = time.time_ns()
    entry, port = record(service, b"hello", group)
    address, number, source = GROUPS[group]
    wanted = {
        "MCASTD_GROUP": group, "MCASTD_ADDRESS": address, "MCASTD_PORT": str(number), "MCASTD_SOURCE": source,
        "MCASTD_SOURCE_PORT": str(port), "MCASTD_INTERFACE": "eth0", "MCASTD_TTL": "2", "MCASTD_SIZE": "5",
        "MCASTD_PAYLOAD": "hello", "PRIORITY": "6", "SYSLOG_IDENTIFIER": "mcastd", "_SYSTEMD_UNIT": "mcastd.service",
        "_UID": service.system.run("id", "-u", "mcastd").strip()}
    assert {name: entry[name] for name in wanted} == wanted
    assert {name for name in entry if name.startswith("MCASTD_")} == \
        {name for name in wanted if name.startswith("MCASTD_")} | {"MCASTD_TIMESTAMP"}
    seconds, nanoseconds = re.fullmatch(r"(.*)\.(\d{9})Z", entry["MCASTD_TIMESTAMP"]).groups()
    received = int(time.mktime(time.strptime(f"{seconds} UTC", "%Y-%m-%dT%H:%M:%S %Z")) - time.timezone) * 10**9
    assert before <= received + int(nanoseconds) <= time.time_ns()


def test_members_of_a_json_payload_are_fields_of_the_journal(service):
    service.start(FIELDS)
    longest, members = "n" * 59, {"MESSAGE": "x", "_UID": "y", "größe": 1, "nul": "a\0b", "long": "z" * 4000}
    payload = json.dumps({"sensor": "hall", "temperature": 21.5, "gps": {"lat": 48}, longest: True, **members}).encode()
    entry, port = record(service, payload, "sensors")
    assert {name: value for name, value in entry.items() if name.startswith("JSON_")} == {
        "JSON_SENSOR": "hall", "JSON_TEMPERATURE": "21.5", "JSON_GPS_LAT": "48", f"JSON_{longest.upper()}": "true", "JSON_MESSAGE": "x",
        "JSON__UID": "y", "JSON_GR__E": "1", "JSON_NUL": list(b"a\0b"), "JSON_LONG": "z" * 4000}
    assert entry["MESSAGE"].startswith("sensors: ") and entry["_UID"] == service.system.run("id", "-u", "mcastd").strip()
    # As collectors call it: without --all, which shows no long fields.
    shown = json.loads(service.system.run("journalctl", "-q", "-o", "json", "--since", service.since, "JSON_SENSOR=hall",
                                          "JSON_TEMPERATURE=21.5", f"MCASTD_SOURCE_PORT={port}"))
    assert shown["JSON_LONG"] == "z" * 4000 and shown["MCASTD_PAYLOAD"] is None


@pytest.mark.parametrize("payload", [ALL_BYTES, HOSTILE, b"\nMESSAGE=forged\nPRIORITY=0\n", os.urandom(LARGEST)],
                         ids=["all-bytes", "hostile", "forged", "largest"])
def test_the_journal_has_every_byte_of_a_payload(service, payload):
    service.start(CONFIG)
    entry, _ = record(service, payload)
    assert payload_of(entry) == payload
    assert entry["MCASTD_SIZE"] == str(len(payload))
    assert entry["PRIORITY"] == "6" and entry["MESSAGE"].startswith(f"news: {len(payload)} bytes from ")


def test_a_datagram_without_a_payload_is_an_entry_too(service):
    service.start(CONFIG)
    entry, _ = record(service, b"")
    assert entry["MCASTD_SIZE"] == "0"
    assert payload_of(entry) == b""


def test_the_journal_leaves_none_out(service):
    """journald's limit on repeated messages, which boot-systemd sets to a few thousand, is not for datagrams."""
    count = 8000
    service.start(CONFIG)
    with tutorial_sender(service.system, "233.252.0.1") as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("192.0.2.1"))
        for _ in range(count):
            sock.sendto(b"x", ("233.252.0.1", 5004))
    wait_until(lambda: service.handler("journal")["delivered"] == count, "all to be delivered")
    service.system.run("journalctl", "--sync")
    shown = service.system.run("journalctl", "-q", "-o", "cat", "--since", service.since, "MCASTD_GROUP=news")
    assert len(shown.splitlines()) == count


def test_the_catalog_explains_an_entry(service):
    service.start(CONFIG)
    entry, _ = record(service, b"hello")
    shown = service.system.run("journalctl", "-x", "-q", "--since", service.since, "MCASTD_GROUP=news")
    assert " Subject: A datagram of the multicast group news\n" in shown
    assert " Defined-By: mcastd\n" in shown
    assert "233.252.0.1, port 5004" in shown
    assert "mcastctl stats" in shown
    assert "@" not in shown


def test_the_catalog_explains_every_kind_of_entry(system):
    """Every MESSAGE_ID in the sources has its section."""
    sources = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "src")
    used = set()
    for directory, _, files in os.walk(sources):
        for name in files:
            with open(os.path.join(directory, name)) as file:
                used |= set(re.findall(r'MESSAGE_\w+ "([0-9a-f]{32})"', file.read()))
    assert used
    known = system.run("journalctl", "--list-catalog", *used)
    assert {line.split()[0] for line in known.splitlines()} == used
