"""coalesce: datagrams that come as one buffer are received together, and are datagrams all the same."""

import json
import socket
import struct

import pytest

from harness.daemon import balance
from harness.peers import send, tutorial_sender
from harness.waiting import wait_until

UDP_SEGMENT = 103
ADDRESS = {"4": "233.252.0.1", "6": "ff15::1"}

CONFIG = """
groups: {
  news4: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; coalesce = true; handlers = ["json4"]; };
  news6: { address = "ff15::1"; port = 5004; interfaces = ["eth0"]; coalesce = true; handlers = ["json6"]; };
  bare: { address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; coalesce = true; receive_buffer = "8M"; };
  relayed: { address = "233.252.0.3"; port = 5004; interfaces = ["eth0"]; coalesce = true; handlers = ["relay"]; };
};
handlers: {
  json4: { type = "file"; path = "$DIR/json4"; format = "json"; };
  json6: { type = "file"; path = "$DIR/json6"; format = "json"; };
  relay: { type = "udp"; address = "198.51.100.2"; port = 6000; };
};
"""


def send_segmented(host, address, payload, size):
    """Hands one buffer to the kernel, which is datagrams of this size."""
    with tutorial_sender(host, address) as sock:
        sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
        sock.sendto(payload, (address, 5004))


def records(daemon, name):
    return [json.loads(line) for line in daemon.read(name).splitlines()]


@pytest.mark.parametrize("family", ["4", "6"], ids=["v4", "v6"])
def test_each_segment_is_a_datagram(daemon, net, family):
    payloads = [bytes([65 + number]) * 100 for number in range(20)] + [b"last"]
    send_segmented(net.peer, ADDRESS[family], b"".join(payloads), 100)
    send(net.peer, b"single", ADDRESS[family], 5004)
    wait_until(lambda: len(records(daemon, f"json{family}")) == 22, "all records")
    got = records(daemon, f"json{family}")
    assert [record["text"].encode() for record in got] == [*payloads, b"single"]
    assert [record["size"] for record in got] == [100] * 20 + [4, 6]
    assert {record["source"] for record in got} == {net.peer.v4 if family == "4" else net.peer.v6}
    group = daemon.group(f"news{family}")
    assert (group["received"], group["receivedBytes"], group["truncated"]) == (22, 2010, 0)


def test_empty_datagrams_stay_datagrams(daemon, net):
    before = daemon.group("bare")["received"]
    for payload in (b"", b"x", b""):
        send(net.peer, payload, "233.252.0.2", 5004)
    daemon.wait_arrived("bare", before + 3)


def test_every_datagram_of_a_stream_is_counted(daemon, net, blast):
    before = daemon.arrived("bare")
    sent = blast(net.peer, "233.252.0.2", 5004, 100_000, 200, bulk=True)
    daemon.wait_arrived("bare", before + sent)


def test_what_comes_singly_is_not_kept_waiting(daemon, net, blast):
    """A reading that has filled its few slots has not drained the socket: there is nothing to pause for."""
    received, dropped = (daemon.group("bare")[name] for name in ("received", "kernelDropped"))
    sent = blast(net.peer, "233.252.0.2", 5004, 60_000, 64, rate=20_000)
    daemon.wait_arrived("bare", received + dropped + sent)
    assert daemon.group("bare")["kernelDropped"] == dropped


def test_a_relay_passes_on_what_was_received_together(daemon, net):
    with net.side:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("198.51.100.2", 6000))
    with sock:
        sock.settimeout(15)
        send_segmented(net.peer, "233.252.0.3", b"".join(struct.pack("!I", n) * 25 for n in range(50)), 100)
        got = [sock.recv(2000) for _ in range(50)]
    assert got == [struct.pack("!I", n) * 25 for n in range(50)]
    assert balance(daemon.handler("relay")) == 0


def test_it_may_be_switched_on_and_off_under_load(start, net, blast):
    text = 'groups: { g: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; coalesce = %s; handlers = ["f"]; }; };' \
        'handlers: { f: { type = "file"; path = "$DIR/f"; format = "raw"; }; };'
    daemon = start(text % "true")
    with blast.stream(net.peer, "233.252.0.1", 5004, 100, rate=100_000, bulk=True):
        for value in ("false", "true") * 5:
            before = daemon.group("g")["received"]
            wait_until(lambda: daemon.group("g")["received"] > before + 1000, "the stream")
            daemon.write_config(text % value)
            daemon.ctl("reload")
    group = daemon.group("g")
    assert group["receivedBytes"] == 100 * group["received"]
