"""strip = "rtp": every kind of handler gets the payload of RTP, and what is no RTP is counted."""

import json
import socket
import struct

import pytest

from harness.daemon import balance
from harness.peers import receive, send, tutorial_sender
from harness.waiting import wait_until

GROUP = "233.252.0.1"


def rtp(payload, first=0x80, second=97, sequence=0, more=b""):
    return struct.pack(">BBHII", first, second, sequence, 48 * sequence, 0x1234) + more + payload


# What is sent, and what is left of it; None: it is no RTP.
PACKETS = [
    (rtp(b"plain"), b"plain"),
    (rtp(b"marked", second=0x80 | 97), b"marked"),
    (rtp(b"mixed", first=0x82, more=b"SRC1SRC2"), b"mixed"),
    (rtp(b"extended", first=0x90, more=b"\xbe\xde\0\1EXT1"), b"extended"),
    (rtp(b"padded\0\0\3", first=0xa0), b"padded"),
    (rtp(b"all\0\2", first=0xb1, more=b"SRC1\x10\0\0\1EXT1"), b"all"),
    (rtp(b""), b""),
    (b"", None),
    (b"\x80\x61\0\0", None),
    (b'{"text": "no RTP at all"}', None),
    (rtp(b"", second=200, more=bytes(16)), None),  # a sender report of RTCP
    (rtp(b"x", first=0x9f), None),
    (rtp(b"x\x03", first=0xa0), None),
]
PAYLOADS = [payload for _, payload in PACKETS if payload is not None]


def config(settings, keys=""):
    return f"""
      groups: {{ mic: {{ address = "{GROUP}"; port = 5004; interfaces = ["eth0"]; handlers = ["out"]; }}; }};
      handlers: {{ out: {{ {settings} strip = "rtp"; {keys} }}; }};"""


def send_all(net):
    with tutorial_sender(net.peer, GROUP) as sock:
        for packet, _ in PACKETS:
            sock.sendto(packet, (GROUP, 5004))


def wait_counted(daemon):
    numbers = daemon.wait_idle("out")
    wait_until(lambda: daemon.handler("out")["received"] == len(PACKETS), "all of them")
    numbers = daemon.wait_idle("out")
    assert balance(numbers) == 0
    assert (numbers["delivered"], numbers["dropped"]["strip"]) == (len(PAYLOADS), len(PACKETS) - len(PAYLOADS))
    assert "strip" not in numbers["lost"] and not any(numbers["lost"].values())
    return numbers


def test_files_have_the_payloads_of_rtp(start, net):
    daemon = start(config('type = "file"; path = "$DIR/out"; format = "json";'))
    send_all(net)
    wait_counted(daemon)
    wait_until(lambda: daemon.read("out").count(b"\n") == len(PAYLOADS), "the records")
    records = [json.loads(line) for line in daemon.read("out").splitlines()]
    assert [record["text"].encode() for record in records] == PAYLOADS
    assert [record["size"] for record in records] == list(map(len, PAYLOADS))


def test_udp_sends_the_payloads_of_rtp(start, net):
    daemon = start(config(f'type = "udp"; address = "{net.other.v4}"; port = 6000;'))
    with tutorial_sender(net.other, net.other.v4) as sock:
        sock.bind((net.other.v4, 6000))
        send_all(net)
        assert receive(sock, len(PAYLOADS)) == PAYLOADS
    wait_counted(daemon)


def test_a_program_gets_the_payloads_of_rtp(start, net):
    daemon = start(config('type = "unix"; path = "$DIR/program";'))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(15)
        sock.bind(daemon.path("program"))
        send_all(net)
        assert receive(sock, len(PAYLOADS)) == PAYLOADS
        wait_counted(daemon)


def test_the_filter_sees_what_was_received(start, net):
    daemon = start(config('type = "file"; path = "$DIR/out"; format = "raw";', 'filter: { prefix = "0x8061"; min_size = 13; };'))
    send_all(net)
    wait_until(lambda: daemon.handler("out")["received"] == len(PACKETS), "all of them")
    numbers = daemon.wait_idle("out")
    assert balance(numbers) == 0
    assert (numbers["delivered"], numbers["filtered"], numbers["dropped"]["strip"]) == (1, len(PACKETS) - 1, 0)
    assert daemon.read("out") == b"plain"


def test_a_reload_changes_it(start, net):
    settings = 'type = "file"; path = "$DIR/out"; format = "raw";'
    daemon = start(config(settings))
    send(net.peer, rtp(b"one"), GROUP, 5004)
    wait_until(lambda: daemon.read("out") == b"one", "the payload")
    daemon.write_config(config(settings).replace('"rtp"', '"none"'))
    daemon.ctl("reload")
    send(net.peer, rtp(b"two"), GROUP, 5004)
    wait_until(lambda: daemon.read("out") == b"one" + rtp(b"two"), "the packet")


@pytest.mark.parametrize("coalesce", ["false", "true"])
def test_a_flood_is_stripped_and_counted(start, net, coalesce):
    daemon = start(config('type = "file"; path = "$DIR/out"; format = "raw"; queue = "64M";').replace(
        "port = 5004;", f"port = 5004; coalesce = {coalesce};"))
    samples = [struct.pack(">I", number) * 72 for number in range(5000)]
    with tutorial_sender(net.peer, GROUP) as sock:
        for number, sample in enumerate(samples):
            sock.sendto(rtp(sample, sequence=number), (GROUP, 5004))
    daemon.wait_arrived("mic", len(samples))
    assert daemon.wait_idle("out")["delivered"] == daemon.group("mic")["received"] == len(samples)
    assert daemon.read("out") == b"".join(samples)
