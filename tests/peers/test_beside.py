"""A relay beside other relays of the same two networks: at most one copy for each of them, and no circle."""

import socket
import struct

import pytest

from harness import topology
from harness.daemon import Daemon
from harness.discovery import Avahi, Wire, smcroute
from harness.peers import receiver_on, udp_socket
from harness.waiting import wait_until

GROUP, PORT = "239.12.0.1", 5012
QUESTION = struct.pack("!6H", 0, 0, 1, 0, 0, 0) + b"\x05_http\x04_tcp\x05local\x00" + struct.pack("!2H", 12, 1)


def relay(address, port, more=""):
    return f"""groups: {{ both: {{ address = "{address}"; port = {port}; interfaces = ["eth0", "eth1"];
        relay: {{ {more} }}; }}; }};"""


def say(host, payload, address=GROUP, port=PORT, ttl=8, source_port=0):
    """Sends as a host does that does not hear itself."""
    with host, udp_socket(address) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("", source_port))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        sock.sendto(payload, (address, port))


def copies(wire, payload):
    return sum(1 for *_, seen in wire.read() if seen == payload)


def quiet(wires):
    """Whether nothing more has come since the last call; the wires are read meanwhile."""
    before = sum(len(wire.seen) for wire in wires)
    return sum(len(wire.read()) for wire in wires) == before


def wait_for_quiet(*wires):
    """Until nothing has passed for 30 looks in a row, a second: a ring of a few microseconds a round is far from that."""
    silent = [0]

    def is_over():
        silent[0] = silent[0] + 1 if quiet(wires) else 0
        return silent[0] >= 30

    wait_until(is_over, "the networks to be quiet")


@pytest.fixture
def wires(net):
    with Wire(net.peer, "eth0", PORT) as here, Wire(net.side, "eth0", PORT) as there:
        yield here, there


def test_beside_a_multicast_router_there_are_two_copies(net, start, wires, tmp_path):
    here, there = wires
    start(relay(GROUP, PORT))
    with smcroute(net.host, tmp_path, "phyint eth0 enable", "phyint eth1 enable",
                  f"mgroup from eth0 group {GROUP}", f"mroute from eth0 group {GROUP} to eth1",
                  f"mgroup from eth1 group {GROUP}", f"mroute from eth1 group {GROUP} to eth0"), \
            receiver_on(net.side, GROUP, PORT, "eth0"), receiver_on(net.peer, GROUP, PORT, "eth0"):
        wait_until(lambda: net.host.run("cat", "/proc/net/ip_mr_vif").count("eth") == 2, "the router's interfaces")
        for number in range(6):
            say(net.peer, b"from here %d" % number)
            say(net.side, b"from there %d" % number)
            wait_for_quiet(here, there)
            assert copies(there, b"from here %d" % number) == 2 and copies(here, b"from here %d" % number) == 1
            assert copies(here, b"from there %d" % number) == 2 and copies(there, b"from there %d" % number) == 1


def test_beside_avahi_as_reflector_there_are_two_copies_at_most(net, start, tmp_path):
    start(relay("224.0.0.251", 5353, "ttl = 255; source_port = 5353;"))
    with Avahi(net.host, tmp_path, "router", interface="eth0,eth1", reflector=True), \
            Wire(net.peer, "eth0", 5353) as here, Wire(net.side, "eth0", 5353) as there:
        wait_for_quiet(here, there)
        say(net.peer, QUESTION, "224.0.0.251", 5353, 255, 5353)
        wait_for_quiet(here, there)
        assert 1 <= copies(there, QUESTION) <= 2
        assert copies(here, QUESTION) <= 2


def test_two_daemons_of_one_host_relay_one_copy_each(net, start, wires):
    here, there = wires
    for _ in range(2):
        start(relay(GROUP, PORT))
    for number in range(6):
        say(net.peer, b"one %d" % number, ttl=1)
        wait_for_quiet(here, there)
        assert (copies(here, b"one %d" % number), copies(there, b"one %d" % number)) == (1, 2)


@pytest.fixture(scope="module")
def pair():
    """Two hosts that are on both networks."""
    with topology.topology() as net:
        net.second.plug(net.other, "eth1", default=False)
        wait_until(lambda: net.other.has_route("eth1"), "the link of eth1")
        yield net


@pytest.mark.parametrize("ttl, more", [(1, ""), (64, ""), (64, "ttl = 255;")])
def test_a_redundant_pair_relays_one_copy_each_once_they_know_each_other(pair, ttl, more):
    with Daemon(pair.host, relay(GROUP, PORT, more)) as first, Daemon(pair.other, relay(GROUP, PORT, more)) as second, \
            Wire(pair.peer, "eth0", PORT) as here, Wire(pair.side, "eth0", PORT) as there:
        knows = 0
        for number in range(12):
            say(pair.peer, b"both %d" % number, ttl=ttl)
            wait_for_quiet(here, there)
            counts = copies(here, b"both %d" % number), copies(there, b"both %d" % number)
            assert counts[0] <= 130 and 2 <= counts[1] <= 130
            knows = knows + 1 if max(counts) <= 2 else 0
        # Each payload shows at least one of two addresses of each ring, which is known after three.
        assert knows >= 12 - 5
        assert first.handler("both.relay")["dropped"]["loop"] or second.handler("both.relay")["dropped"]["loop"]


def test_a_redundant_pair_that_keeps_sources_never_circles(pair):
    config = relay(GROUP, PORT, "keep_source = true;")
    with Daemon(pair.host, config), Daemon(pair.other, config), \
            Wire(pair.peer, "eth0", PORT) as here, Wire(pair.side, "eth0", PORT) as there:
        pair.host.ip("route replace 192.0.2.0/24 dev eth0")
        for number in range(6):
            say(pair.peer, b"kept %d" % number, ttl=64)
            wait_for_quiet(here, there)
            assert (copies(here, b"kept %d" % number), copies(there, b"kept %d" % number)) == (1, 2)


def answered(host, to, unicast):
    """Whether a responder answers a question for web services that is sent to this address, to all or to who asks."""
    question = QUESTION[:-2] + struct.pack("!H", 0x8001 if unicast else 1)
    with host, udp_socket(to) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        sock.settimeout(2)
        sock.sendto(question, (to, 5353))
        try:
            while b"Web" not in sock.recv(2000):
                pass
        except TimeoutError:
            return False
    return True


def test_avahi_answers_as_before_beside_a_group_that_sends_from_its_port(net, start, tmp_path):
    with Avahi(net.host, tmp_path, "responder", "Web"):
        wait_until(lambda: answered(net.peer, "224.0.0.251", False), "the responder")
        daemon = start("""groups: { mdns: { address = "224.0.0.251"; port = 5353; interfaces = ["eth0"]; ttl = 255;
            source_port = 5353; }; };""")
        for _ in range(20):
            daemon.call("Send", group="mdns", text="from the port")
            assert answered(net.peer, "224.0.0.251", False)
            assert answered(net.peer, "224.0.0.251", True)
            assert answered(net.peer, net.host.v4, False)


@pytest.mark.parametrize("ttl, more", [(1, ""), (64, ""), (64, "ttl = 255;")])
def test_a_hundred_datagrams_circle_in_a_pair_at_most_64_times_for_each_address_and_one_is_named(pair, ttl, more):
    with Daemon(pair.host, relay(GROUP, PORT, more)) as first, Daemon(pair.other, relay(GROUP, PORT, more)) as second, \
            Wire(pair.peer, "eth0", PORT) as here, Wire(pair.side, "eth0", PORT) as there:
        for number in range(100):
            say(pair.peer, b"many %03d" % number, ttl=ttl)
        wait_for_quiet(here, there)
        for number in range(100):
            # Each relay hears the other one's two addresses, and the sender itself.
            assert max(copies(here, b"many %03d" % number), copies(there, b"many %03d" % number)) <= 2 * (2 * 64 + 1)
        assert "a ring of relays" in first.log() + second.log()
        assert first.handler("both.relay")["dropped"]["loop"] + second.handler("both.relay")["dropped"]["loop"] > 0
