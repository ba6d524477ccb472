"""Reading back what mcastd writes, as a stranger would who has only the manual."""

import base64
import json
import re
import struct

from harness.peers import send
from harness.waiting import wait_until

LINE = re.compile(
    rb"(?P<timestamp>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (?P<group>\S+) (?P<source>\S+):(?P<port>\d+) "
    rb"(?P<interface>\S+) (?P<size>\d+) (?P<payload>.*)")

ALL_BYTES = bytes(range(256))

# Those of a stream that tell its datagrams apart.
FRAMINGS = ["lines", "json", "length", "nul"]

# What a hostile sender tries: a second line, a second field, a terminal sequence, text that reads backwards.
HOSTILE = b"a\nMESSAGE=forged\r\n\x1b]0;title\x07\x1b[2J \\n \"quoted\" \xe2\x80\xae\xe2\x80\xa8\x9b31m\x00 end"


def unescape(escaped):
    """The inverse of the escaping in the line format."""
    letters = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\"}

    def byte(match):
        code = match[1]
        return letters[code] if code in letters else bytes([int(code[1:], 16)])

    return re.sub(rb"\\(x[0-9a-f]{2}|[nrt\\])", byte, escaped)


def parse_line(line):
    match = LINE.fullmatch(line)
    assert match, line
    return match


def payload_of(record):
    """The payload of a JSON record, whichever way it was written."""
    assert ("text" in record) != ("base64" in record), record
    payload = record["text"].encode() if "text" in record else base64.b64decode(record["base64"], validate=True)
    assert record["size"] == len(payload)
    return payload


def take_apart(data, framing):
    """The payloads in a stream, and what is left of a record at its end."""
    payloads = []
    if framing == "length":
        while len(data) >= 4 and len(data) >= 4 + (size := struct.unpack(">I", data[:4])[0]):
            payloads.append(data[4:4 + size])
            data = data[4 + size:]
        return payloads, data
    *records, rest = data.split(b"\0" if framing == "nul" else b"\n")
    decode = {"lines": unescape, "json": lambda record: payload_of(json.loads(record)), "nul": bytes}[framing]
    return list(map(decode, records)), rest


def deliver(daemon, net, payload, handler="objects"):
    """Sends one datagram to 233.252.0.1, port 5004, and waits until the handler has written it."""
    before = daemon.handler(handler)["delivered"]
    send(net.peer, payload, "233.252.0.1", 5004)
    wait_until(lambda: daemon.handler(handler)["delivered"] == before + 1, "the datagram to be written")


def lines_of(daemon, name, group):
    """The records of a group in a file of lines."""
    lines = (parse_line(line) for line in daemon.read(name).splitlines())
    return [line for line in lines if line["group"] == group.encode()]


def objects_of(daemon, name, group):
    """The records of a group in a file of JSON objects, as far as it is written."""
    complete = daemon.read(name).split(b"\n")[:-1]
    return [record for record in map(json.loads, complete) if record["group"] == group]


def wait_objects(daemon, name, group, count=1):
    wait_until(lambda: len(objects_of(daemon, name, group)) >= count, f"{count} records of {group} in {name}")
    records = objects_of(daemon, name, group)
    assert len(records) == count
    return records
