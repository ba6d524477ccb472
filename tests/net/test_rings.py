"""Rings through the daemon and plain repeaters, which set TTL 255 and send from a port of their own.

        a --- eth0  host  eth1 --- b
    a, b and c are networks; a repeater is a host of its own between two of them.
"""

import json
import socket
import sys
from collections import Counter
from contextlib import ExitStack

import pytest

from harness.daemon import subscribe
from harness.discovery import Wire
from harness.peers import process, send, tutorial_sender
from harness.topology import Host, Network
from harness.waiting import wait_until
from net.test_http import get

GROUP, PORT = "239.1.2.3", 5004
COPIES = 64

REPEATER = """
import selectors, socket, sys
ways, sel = [], selectors.DefaultSelector()
for name in sys.argv[1:]:
    index = socket.if_nametoindex(name)
    request = bytes(8) + index.to_bytes(4, sys.byteorder)
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    receiver.setsockopt(socket.IPPROTO_IP, 49, 0)  # IP_MULTICAST_ALL
    receiver.bind(("GROUP", PORT))
    receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("GROUP") + request[4:])
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
    sel.register(receiver, selectors.EVENT_READ, len(ways))
    ways.append(sender)
print("ready", flush=True)
while True:
    for key, _ in sel.select():
        payload = key.fileobj.recv(65536)
        for number, sender in enumerate(ways):
            if number != key.data:
                sender.sendto(payload, ("GROUP", PORT))
""".replace("GROUP", GROUP).replace("PORT", str(PORT))


class Lan:
    def __init__(self):
        self.host, self.sender = Host(), Host()
        self.networks = {name: Network(f"10.9.{i}", f"fd00:9:{i}") for i, name in enumerate("abc", 1)}
        self.plug(self.host, eth0="a", eth1="b")
        self.plug(self.sender, net_a="a", net_b="b", net_c="c")
        self.repeaters = ExitStack()

    def plug(self, host, **networks):
        for interface, name in networks.items():
            self.networks[name].plug(host, interface, default=False)
            wait_until(lambda: host.has_route(interface), "the links")

    def add_host(self, one, other):
        host = Host()
        self.repeaters.callback(host.close)
        self.plug(host, eth0=one, eth1=other)
        return host

    def add_repeater(self, one, other):
        repeater = self.add_host(one, other)
        program = self.repeaters.enter_context(process(repeater, sys.executable, "-c", REPEATER, "eth0", "eth1"))
        assert program.stdout.readline()


@pytest.fixture(scope="module")
def lan():
    lan = Lan()
    yield lan
    for namespace in (lan.host, lan.sender, *(network.switch for network in lan.networks.values())):
        namespace.close()


@pytest.fixture(scope="module")
def net(lan):
    """What the fixture start() starts daemons on."""
    return lan


@pytest.fixture(autouse=True)
def repeaters(lan):
    yield
    lan.repeaters.close()


BOTH_WAYS = (f'groups: {{ g: {{ address = "{GROUP}"; port = {PORT}; interfaces = ["eth0", "eth1"]; '
             'relay: { ttl = 255; }; }; };')
ONE_WAY = (f'groups: {{ g: {{ address = "{GROUP}"; port = {PORT}; interfaces = ["eth1"]; handlers = ["over"]; }}; }};'
           f'handlers: {{ over: {{ type = "udp"; address = "{GROUP}"; port = {PORT}; interface = "eth0"; '
           'ttl = 255; }; };')


def until_silent(daemon, relay):
    """The number of datagrams that were relayed when no more come."""
    wait_until(lambda: daemon.handler(relay)["dropped"]["loop"], "the ring to be found")
    counts = [-1]

    def is_silent():
        counts.append(daemon.group("g")["received"])
        return counts[-1] == counts[-2]

    wait_until(is_silent, "silence")
    return daemon.handler(relay)["delivered"]


def until_all_is_read(daemons, sent):
    """Each has read what was sent, and what the others relayed, and relays no more of it. Returns what each relayed."""
    def relayed():
        return [daemon.handler("g.relay")["delivered"] for daemon in daemons]

    def is_silent():
        before = relayed()
        arrived = [daemon.arrived("g") for daemon in daemons]
        return arrived == [sent + sum(before) - own for own in before] and relayed() == before and before

    return wait_until(is_silent, "silence")


# Which of the addresses a daemon hears first, and so whom it takes for the sender, depends on what it reads first.
@pytest.mark.parametrize("ttl", [1, 64])
def test_three_daemons_side_by_side_relay_at_most_64_copies_for_each_address_of_the_others(lan, start, ttl):
    payloads = [b"query %d" % number for number in range(100)]
    daemons = [start(BOTH_WAYS, host=host) for host in (lan.host, lan.add_host("a", "b"), lan.add_host("a", "b"))]
    for daemon in daemons:
        daemon.wait_joined("g")
    with ExitStack() as stack, tutorial_sender(lan.sender, GROUP, ttl) as sock:
        events = [stack.enter_context(subscribe(daemon, "events")) for daemon in daemons]
        wires = [stack.enter_context(Wire(lan.sender, interface, PORT)) for interface in ("net_a", "net_b")]
        with lan.sender:
            index = socket.if_nametoindex("net_a")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(8) + index.to_bytes(4, sys.byteorder))
        for payload in payloads:
            sock.sendto(payload, (GROUP, PORT))
        for relayed in until_all_is_read(daemons, len(payloads)):
            assert len(payloads) <= relayed <= len(payloads) * (1 + 4 * COPIES)
        # Of each payload, by each daemon: the sender's once, and the copies of the two others.
        copies = [Counter((source, payload) for source, _, _, payload in wire.read()) for wire in wires]
        assert max(max(wire.values()) for wire in copies) <= 1 + 2 * COPIES
        assert {payload for _, payload in copies[1]} == set(payloads)
        # Those whose copies the others have dropped before may have found nothing.
        found = [daemon.handler("g.relay")["dropped"]["loop"] > 0 for daemon in daemons]
        event = json.loads(events[found.index(True)].result()["datagram"]["text"])
    assert event["event"] == "relayLoop" and event["handler"] == "g.relay"
    assert f"a ring of relays: {event['source']} " in daemons[found.index(True)].log()


def test_beside_a_repeater(lan, start):
    lan.add_repeater("a", "b")
    daemon = start(BOTH_WAYS)
    daemon.wait_joined("g")
    for number in range(20):
        send(lan.sender, b"query %d" % number, GROUP, PORT, interface="net_a")
    # Once, and of both of the repeater's addresses; more where its copy was read before what it is a copy of.
    assert until_silent(daemon, "g.relay") <= 20 * 3 * COPIES
    assert daemon.log().count("a ring of relays") in (1, 2)


def test_the_status_page_says_who_made_a_ring_only_where_addresses_of_senders_are_wanted(lan, start):
    config = BOTH_WAYS + 'http: { listen = ["127.0.0.1:9184"]; };\n'
    lan.add_repeater("a", "b")
    daemon = start(config)
    daemon.wait_joined("g")
    send(lan.sender, b"query", GROUP, PORT, interface="net_a")

    def rings():
        events = json.loads(get(daemon, "/status.json").body)["events"]
        return [event for event in events if event["event"] == "relayLoop"]

    found = wait_until(rings, "the event")
    assert [event for event in found if "source" in event] == []
    daemon.write_config(config.replace("9184\"];", "9184\"]; senders = true;"))
    daemon.ctl("reload")
    assert all(f"a ring of relays: {event['source']} " in daemon.log() for event in rings())


def test_one_way_beside_a_repeater_which_is_all_that_is_heard(lan, start):
    lan.add_repeater("a", "b")
    daemon = start(ONE_WAY)
    daemon.wait_joined("g")
    send(lan.sender, b"query", GROUP, PORT, interface="net_a")
    assert until_silent(daemon, "over") <= COPIES
    assert daemon.log().count("a ring of relays") == 1


def test_in_a_ring_of_three_whose_sender_is_on_the_far_network(lan, start):
    lan.add_repeater("b", "c")
    lan.add_repeater("c", "a")
    daemon = start(BOTH_WAYS)
    daemon.wait_joined("g")
    send(lan.sender, b"query", GROUP, PORT, interface="net_c")
    assert until_silent(daemon, "g.relay") <= 1000
    assert "a ring of relays" in daemon.log()


def test_heartbeats_of_one_host_are_all_relayed(lan, start):
    daemon = start(ONE_WAY)
    daemon.wait_joined("g")
    for _ in range(3000):
        send(lan.sender, b"beat", GROUP, PORT, interface="net_b")
    wait_until(lambda: daemon.handler("over")["received"] == 3000, "all of them")
    assert daemon.handler("over")["delivered"] == 3000
