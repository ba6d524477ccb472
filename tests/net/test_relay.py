"""Relays: other interfaces, equal content, and no way to feed themselves."""

import socket
import struct

import pytest

from harness.daemon import run_mcastd
from harness.peers import IP_RECVTTL, receive, receiver_on, udp_socket
from harness.waiting import wait_until

SO_RCVBUFFORCE = 33


def relay(number, to, interface="eth0", more=""):
    """The configuration of a relay from one group to another."""
    return f"""
    groups: {{ ring: {{ address = "239.0.0.{number}"; port = 5004; interfaces = ["eth0"]; handlers = ["relay"]; }}; }};
    handlers: {{ relay: {{ type = "udp"; address = "239.0.0.{to}"; port = 5004; interface = "{interface}"; {more} }}; }};
    """


def send_far(host, payload, group, port, ttl=64):
    with host, udp_socket(group) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        sock.sendto(payload, (group, port))


RINGS = pytest.mark.parametrize("more, reason", [("", "ttl"), ("ttl = 64;", "loop")], ids=["ttl less", "ttl exact"])


def assert_ring_ends(daemons, reason):
    """A datagram circles until one relay drops it."""
    def dropped():
        return sum(daemon.handler("relay")["dropped"][reason] for daemon in daemons)

    wait_until(dropped, "a relay to drop its datagram")
    assert dropped() == 1
    assert all(daemon.handler("relay")["delivered"] <= 65 for daemon in daemons)


@RINGS
def test_two_relays_that_point_at_each_other_end_their_ring(net, start, more, reason):
    daemons = [start(relay(1, 2, more=more), net.host), start(relay(2, 1, more=more), net.peer)]
    send_far(net.other, b"once", "239.0.0.1", 5004)
    assert_ring_ends(daemons, reason)


@RINGS
def test_three_relays_in_a_ring_end_it(net, start, more, reason):
    daemons = [start(relay(1, 2, more=more), net.host), start(relay(2, 3, more=more), net.peer),
               start(relay(3, 1, more=more), net.other)]
    send_far(net.peer, b"once", "239.0.0.1", 5004)
    assert_ring_ends(daemons, reason)


def test_what_a_sender_repeats_is_relayed_every_time(net, start):
    daemon = start(relay(1, 2, "eth1"))
    for _ in range(5):
        send_far(net.peer, b"beat", "239.0.0.1", 5004)
    wait_until(lambda: daemon.handler("relay")["delivered"] == 5, "all five")
    assert not any(daemon.handler("relay")["dropped"].values())


def test_a_relay_takes_one_off_the_ttl(net, start):
    start(relay(1, 2, "eth1"))
    with receiver_on(net.side, "239.0.0.2", 5004, "eth0") as sock:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        send_far(net.peer, b"x", "239.0.0.1", 5004, ttl=9)
        _, ancillary, _, _ = sock.recvmsg(100, 100)
        assert struct.unpack("i", ancillary[0][2]) == (8,)


def test_a_datagram_of_ttl_1_goes_no_further(net, start):
    daemon = start(relay(1, 2, "eth1"))
    send_far(net.peer, b"x", "239.0.0.1", 5004, ttl=1)
    wait_until(lambda: daemon.handler("relay")["dropped"]["ttl"] == 1, "the datagram")
    assert daemon.handler("relay")["delivered"] == 0


def test_a_relay_sends_from_its_source_port(net, start):
    start(relay(1, 2, "eth1", "source_port = 7777;"))
    with receiver_on(net.side, "239.0.0.2", 5004, "eth0") as sock:
        send_far(net.peer, b"x", "239.0.0.1", 5004)
        assert sock.recvfrom(100)[1][1] == 7777


def test_datagrams_of_all_sizes_come_through_in_their_order(net, start):
    start(relay(1, 2, "eth1"))
    payloads = [bytes([i]) * size for i, size in enumerate((100, 100, 100, 40, 100, 0, 0, 7, 1400, 1400, 9000, 1400))]
    with receiver_on(net.side, "239.0.0.2", 5004, "eth0") as sock:
        for payload in payloads:
            send_far(net.peer, payload, "239.0.0.1", 5004)
        assert receive(sock, len(payloads)) == payloads


def test_a_flood_of_datagrams_of_one_size_comes_through_in_its_order(net, start):
    daemon = start(relay(1, 2, "eth1"))
    with receiver_on(net.side, "239.0.0.2", 5004, "eth0") as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        with net.peer, udp_socket("239.0.0.1") as sender:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 8)
            for i in range(5000):
                sender.sendto(struct.pack("!Q", i) * 8, ("239.0.0.1", 5004))
        daemon.wait_arrived("ring", 5000)
        expected = daemon.handler("relay")["delivered"]
        assert expected == daemon.group("ring")["received"] > 1000
        numbers = [struct.unpack("!Q", payload[:8])[0] for payload in receive(sock, expected)]
        assert numbers == sorted(set(numbers))


def test_a_relay_waits_for_its_interface(net, start):
    daemon = start(relay(1, 2, "late0"))
    send_far(net.peer, b"too early", "239.0.0.1", 5004)
    wait_until(lambda: daemon.handler("relay")["dropped"]["absent"] == 1, "the datagram")
    net.host.ip("link add late0 type veth peer name late1", "link set late1 up", "link set late0 up",
                "address add 203.0.113.1/24 dev late0")
    try:
        def relayed():
            send_far(net.peer, b"x", "239.0.0.1", 5004)
            return daemon.handler("relay")["delivered"]

        wait_until(relayed, "a datagram to be relayed")
    finally:
        net.host.ip("link delete late0")


@pytest.fixture
def movable(net):
    """An alternative name and an address of eth1, and what moves them to eth2, another link of the host."""
    names = ["uplink-name", "10.77.1.1"]
    net.host.ip("link add eth2 type veth peer name far2", "link set eth2 up", "link set far2 up",
                "address add 203.0.113.1/24 dev eth2", f"link property add dev eth1 altname {names[0]}",
                f"address add {names[1]}/32 dev eth1")
    yield lambda: net.host.ip(f"link property del dev eth1 altname {names[0]}", f"address del {names[1]}/32 dev eth1",
                              f"link property add dev eth2 altname {names[0]}", f"address add {names[1]}/32 dev eth2")
    net.host.ip("link delete eth2")


@pytest.mark.parametrize("interface", ["uplink-name", "10.77.1.1"], ids=["alternative name", "address"])
def test_a_relay_follows_the_alternative_name_and_the_address_of_its_interface(net, start, movable, interface):
    daemon = start(relay(1, 2, interface))
    with net.host:
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x800))
        tap.bind(("far2", 0x800))
    with tap, receiver_on(net.side, "239.0.0.2", 5004, "eth0") as sock:
        send_far(net.peer, b"before", "239.0.0.1", 5004)
        assert receive(sock) == [b"before"]
        movable()

        def leaves_by_eth2():
            send_far(net.peer, b"after", "239.0.0.1", 5004)
            tap.setblocking(False)
            try:
                return b"after" in tap.recv(2000)
            except BlockingIOError:
                return False

        wait_until(leaves_by_eth2, "the change to be followed")
        while True:  # what was sent before the change was noticed
            sock.setblocking(False)
            try:
                sock.recv(100)
            except BlockingIOError:
                break
        count = daemon.handler("relay")["delivered"]
        send_far(net.peer, b"last", "239.0.0.1", 5004)
        wait_until(lambda: daemon.handler("relay")["delivered"] == count + 1, "the datagram")
        with pytest.raises(BlockingIOError):
            sock.recv(100)


def test_one_group_may_be_carried_to_another_interface(net, start):
    start(relay(1, 1, "eth1"))
    with receiver_on(net.side, "239.0.0.1", 5004, "eth0") as sock:
        send_far(net.peer, b"across", "239.0.0.1", 5004)
        assert receive(sock) == [b"across"]


def check(tmp_path, config):
    path = tmp_path / "mcastd.conf"
    path.write_text(config)
    return run_mcastd("-c", str(path), "--check")


def test_relays_to_other_groups_ports_and_interfaces_are_accepted(tmp_path):
    result = check(tmp_path, """
    groups: { a: { address = "239.0.0.1"; port = 1; interfaces = ["eth0", "vlan*"]; handlers = ["to-b", "over"]; };
              b: { address = "239.0.0.2"; port = 1; handlers = ["back"]; }; };
    handlers: { to-b: { type = "udp"; address = "239.0.0.2"; port = 1; };
                over: { type = "udp"; address = "239.0.0.1"; port = 1; interface = "eth1"; };
                back: { type = "udp"; address = "239.0.0.1"; port = 2; }; };
    """)
    assert result.returncode == 0, result.stderr
