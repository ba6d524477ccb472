"""The largest datagrams: 65,527 bytes of payload with IPv6, 65,507 with IPv4."""

import base64
import os
import socket

import pytest

from harness.peers import receiver_on, seqpacket, udp_socket
from harness.waiting import wait_until

CONFIG = """
groups: {
  four: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; };
  six: { address = "ff15::1"; port = 5004; interfaces = ["eth0"]; socket = true; ttl = 2; };
  recorded: { address = "ff15::2"; port = 5004; interfaces = ["eth0"]; handlers = ["capture", "lines"]; };
};
handlers: {
  capture: { type = "pcapng"; path = "$DIR/capture.pcapng"; };
  lines: { type = "file"; path = "$DIR/lines"; format = "raw"; };
};
"""
LARGEST_V6 = 65527
SO_RCVBUFFORCE = 33


@pytest.fixture
def peer(net):
    with receiver_on(net.peer, "ff15::1", 5004, "eth0") as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20)
        yield sock


def test_send_sends_65527_bytes_to_an_ipv6_group(daemon, peer):
    payload = os.urandom(LARGEST_V6)
    daemon.call("Send", group="six", base64=base64.b64encode(payload).decode())
    assert peer.recv(1 << 17) == payload


def test_mcastctl_sends_65527_bytes_to_an_ipv6_group(daemon, peer):
    payload = "x" * LARGEST_V6
    daemon.ctl("send", "six", input=payload)
    assert peer.recv(1 << 17) == payload.encode()


def test_a_group_socket_takes_65527_bytes_for_an_ipv6_group(daemon, peer):
    payload = os.urandom(LARGEST_V6)
    with seqpacket(daemon.group_path("six")) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sock.send(payload)
        assert peer.recv(1 << 17) == payload


@pytest.mark.parametrize("group, size, limit", [("four", 65508, 65507), ("four", LARGEST_V6, 65507),
                                                ("six", LARGEST_V6 + 1, LARGEST_V6)])
def test_send_says_the_limit_of_the_groups_family(daemon, group, size, limit):
    error = daemon.control.error("Send", group=group, text="x" * size)
    assert (error.name, error.parameters["limit"]) == ("io.mcastd.PayloadTooLarge", limit)


def test_recordings_hold_65527_bytes_and_are_replayed(daemon, net, peer):
    payload = os.urandom(LARGEST_V6)
    with net.peer, udp_socket("ff15::2") as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("eth0"))
        sock.sendto(payload, ("ff15::2", 5004))
    wait_until(lambda: daemon.handler("capture")["delivered"] and daemon.handler("lines")["delivered"], "the records")
    assert payload in daemon.read("lines")
    daemon.ctl("replay", daemon.path("capture.pcapng"), "six")
    assert peer.recv(1 << 17) == payload
