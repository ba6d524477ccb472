"""The block "relay" of a group: what arrives on one of its interfaces leaves on all others, and never comes back.

        a --- eth0  host  eth1 --- b
                     |
                    eth2 --- c
"""

import contextlib
import socket
import struct

import pytest

from harness.daemon import balance
from harness.peers import IP_RECVTTL, LARGEST, Blast, receive, receiver_on, send, seqpacket, udp_socket
from harness.topology import Host, Network
from harness.waiting import wait_until

PORT = 5004
GROUPS = {"v4": "239.1.2.3", "v6": "ff15::1:2:3", "v6-link": "ff02::1:2:3"}
IP_MULTICAST_ALL = 49  # ip(7); missing from the socket module
SO_RCVBUFFORCE = 33
ALL = ("eth0", "eth1", "eth2")


class Lan:
    """The host of the daemon, between three networks with a host each."""

    def __init__(self):
        self.host, self.a, self.b, self.c = self.hosts = [Host() for _ in range(4)]
        self.networks = [Network(f"10.9.{i}", f"fd00:9:{i}") for i in range(1, 4)]
        for network, interface, host in zip(self.networks, ALL, self.hosts[1:]):
            network.plug(self.host, interface, default=False)
            network.plug(host, "eth0")
            wait_until(lambda: host.has_route("eth0") and self.host.has_route(interface), "the links")

    def close(self):
        for namespace in (*self.hosts, *(network.switch for network in self.networks)):
            namespace.close()


@pytest.fixture(scope="module")
def lan():
    lan = Lan()
    yield lan
    lan.close()


@pytest.fixture(scope="module")
def net(lan):
    """What the fixture start() starts daemons on."""
    return lan


@pytest.fixture(scope="module")
def blast(tmp_path_factory):
    return Blast(tmp_path_factory.mktemp("blast"))


def relay(block="", group=GROUPS["v4"], interfaces=ALL, keys="", name="news", port=PORT):
    listed = ", ".join(f'"{interface}"' for interface in interfaces)
    return (f'groups: {{ {name}: {{ address = "{group}"; port = {port}; interfaces = [{listed}]; {keys} '
            f'relay: {{ {block} }}; }}; }};\n')


def numbers(daemon, name="news"):
    """The numbers of a relay: its row, and those of its interfaces."""
    handler = daemon.handler(f"{name}.relay")
    return handler, {interface["interface"]: interface for interface in handler["interfaces"]}


def assert_sums(daemon, name="news"):
    """The identity holds for each interface, and the row is their sum."""
    row, interfaces = numbers(daemon, name)
    for interface in interfaces.values():
        assert balance({**interface, "queued": 0}) == 0, interface
    for key in ("received", "filtered", "delivered"):
        assert row[key] == sum(interface[key] for interface in interfaces.values()), row
    for reason in row["dropped"]:
        assert row["dropped"][reason] == sum(interface["dropped"][reason] for interface in interfaces.values()), row


def until(sock, last):
    """What arrives before this payload, in order."""
    payloads = []
    while (payload := sock.recv(LARGEST)) != last:
        payloads.append(payload)
    return payloads


def receivers(lan, group=GROUPS["v4"], port=PORT):
    return [receiver_on(host, group, port, "eth0") for host in (lan.a, lan.b, lan.c)]


def fences(lan, group=GROUPS["v4"], port=PORT):
    """Each host's sends one after all that came before: what is not there when they arrive does not come."""
    for name in "abc":
        send(getattr(lan, name), b"fence " + name.encode(), group, port)


def heard(sock, own):
    """What a host has heard before the fences of the two others, without their fences."""
    left = {b"fence a", b"fence b", b"fence c"} - {b"fence " + own.encode()}
    payloads = []
    while left:
        payload = sock.recv(LARGEST)
        left.discard(payload)
        if not payload.startswith(b"fence"):
            payloads.append(payload)
    return sorted(payloads)


# ---- What arrives where ----

@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_what_arrives_on_one_interface_leaves_on_all_others_and_never_comes_back(lan, start, group):
    daemon = start(relay(group=group))
    socks = receivers(lan, group)
    for i in range(5):
        for name in "abc":
            send(getattr(lan, name), f"{name}{i}".encode(), group, PORT)
    fences(lan, group)
    everything = sorted(f"{name}{i}".encode() for name in "abc" for i in range(5))
    for sock, name in zip(socks, "abc"):
        with sock:
            assert heard(sock, name) == everything
    row, interfaces = numbers(daemon)
    assert row["received"] == row["delivered"] == 36
    assert {name: interface["delivered"] for name, interface in interfaces.items()} == dict.fromkeys(ALL, 12)
    assert_sums(daemon)


def test_to_names_the_interfaces_to_send_on(lan, start):
    daemon = start(relay('to = ["eth*", "!eth1"];'))
    a, b, c = receivers(lan)
    with a, b, c:
        for name in "abc":
            send(getattr(lan, name), name.encode(), GROUPS["v4"], PORT)
        fences(lan)
        assert heard(a, "a") == heard(c, "c") == [b"a", b"b", b"c"]
        assert receive(b, 2) == [b"b", b"fence b"]
        assert set(numbers(daemon)[1]) == {"eth0", "eth2"}
        b.settimeout(0)
        with pytest.raises(BlockingIOError):
            b.recv(100)


def test_two_groups_of_one_address_are_hub_and_spokes(lan, start):
    """The hub hears all spokes, the spokes only the hub."""
    head = f'address = "{GROUPS["v4"]}"; port = {PORT};'
    daemon = start(f"""
    groups: {{
      hub:    {{ {head} interfaces = ["eth0"];         relay: {{ to = ["eth[12]"]; }}; }};
      spokes: {{ {head} interfaces = ["eth1", "eth2"]; relay: {{ to = ["eth0"]; }}; }};
    }};
    """)
    a, b, c = receivers(lan)
    with a, b, c:
        for name in "bca":
            send(getattr(lan, name), name.encode(), GROUPS["v4"], PORT)
        send(lan.a, b"last", GROUPS["v4"], PORT)
        assert until(b, b"last") == [b"b", b"a"]
        assert until(c, b"last") == [b"c", b"a"]
        assert sorted(receive(a, 4)) == [b"a", b"b", b"c", b"last"]
    assert daemon.group("hub")["received"] == daemon.group("spokes")["received"] == 2
    assert_sums(daemon, "hub")
    assert_sums(daemon, "spokes")


def test_an_interface_may_be_in_two_groups_of_one_address(lan, start):
    """Each receives what arrives there, and relays it to its own networks."""
    head = f'address = "{GROUPS["v4"]}"; port = {PORT};'
    daemon = start(f"""
    groups: {{
      one: {{ {head} interfaces = ["eth0"];         relay: {{ to = "eth1"; }}; }};
      two: {{ {head} interfaces = ["eth0", "eth1"]; relay: {{ to = "eth2"; }}; }};
    }};
    """)
    a, b, c = receivers(lan)
    with a, b, c:
        send(lan.a, b"a", GROUPS["v4"], PORT)
        send(lan.a, b"fence a", GROUPS["v4"], PORT)
        assert until(b, b"fence a") == until(c, b"fence a") == [b"a"]
    assert daemon.group("one")["received"] == daemon.group("two")["received"] == 2


@pytest.mark.parametrize("name", ["uplink-of-b", "10.9.2.1", "fd00:9:2::1", "eth1"])
def test_to_takes_alternative_names_and_addresses(lan, start, name):
    lan.host.ip("link property add dev eth1 altname uplink-of-b")
    try:
        daemon = start(relay(f'to = "{name}";'))
        assert set(numbers(daemon)[1]) == {"eth1"}
        with receiver_on(lan.b, GROUPS["v4"], PORT, "eth0") as sock:
            send(lan.a, b"x", GROUPS["v4"], PORT)
            assert receive(sock) == [b"x"]
    finally:
        lan.host.ip("link property del dev eth1 altname uplink-of-b")


@pytest.mark.parametrize("group, address, length", [(GROUPS["v4"], "10.9.2.77", 24), (GROUPS["v6"], "fd00:9:2::77", 64)],
                         ids=["v4", "v6"])
def test_to_of_an_address_sends_from_it(lan, start, group, address, length):
    lan.host.ip(f"address add {address}/{length} dev eth1" + (" nodad" if length == 64 else ""))
    try:
        start(relay(f'to = "{address}";', group))
        with receiver_on(lan.b, group, PORT, "eth0") as sock:
            send(lan.a, b"x", group, PORT)
            assert sock.recvfrom(100)[1][0] == address
    finally:
        lan.host.ip(f"address delete {address}/{length} dev eth1")


def test_a_port_of_a_bridge_is_sent_on_where_it_is_named_only(lan, start):
    lan.host.ip("link add br0 type bridge", "link set br0 up", "link add new1 type veth peer name far1",
                "link set new1 master br0", "link set new1 up", "link set far1 up")
    try:
        assert set(numbers(start(relay(interfaces=["eth0", "new*"])))[1]) == {"eth0"}
        assert set(numbers(start(relay('to = "new1";')))[1]) == {"new1"}
    finally:
        lan.host.ip("link delete new1", "link delete br0")


@pytest.mark.parametrize("block, sent, received", [
    ("", 1, 1), ("", 2, 1), ("", 255, 254), ("ttl = 255;", 1, 255), ("ttl = 3;", 64, 3)])
@pytest.mark.parametrize("group", [GROUPS["v4"], GROUPS["v6"]], ids=["v4", "v6"])
def test_ttl_is_one_less_and_at_least_1_or_what_is_set(lan, start, group, block, sent, received):
    start(relay(block, group))
    with receiver_on(lan.b, group, PORT, "eth0") as sock, lan.a, udp_socket(group) as sender:
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, sent)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
            sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, sent)
        sender.sendto(b"x", (group, PORT))
        _, ancillary, _, _ = sock.recvmsg(100, 100)
        assert struct.unpack("i", ancillary[0][2]) == (received,)


def test_runs_of_one_size_come_through_whole_and_in_order(lan, start, blast):
    daemon = start(relay())
    with receiver_on(lan.b, GROUPS["v4"], PORT, "eth0") as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        sent = blast(lan.a, GROUPS["v4"], PORT, 3000, 700, bulk=True, rate=20000)
        daemon.wait_arrived("news", sent)
        expected = numbers(daemon)[1]["eth1"]["delivered"]
        assert expected == daemon.group("news")["received"]
        received = receive(sock, expected)
        assert len(set(received)) == len(received)


@pytest.mark.parametrize("group", [GROUPS["v4"], GROUPS["v6"]], ids=["v4", "v6"])
def test_with_keep_source_receivers_see_the_sender_and_nothing_comes_back(lan, start, group):
    start(relay("keep_source = true;", group))
    for host in (lan.a, lan.b, lan.c):
        # A receiver refuses senders that it has no route to.
        host.ip("route replace default via " + host.v4.rpartition(".")[0] + ".1",
                "route replace default via " + host.v6.rpartition(":")[0] + ":1")
    socks = receivers(lan, group)
    ports = {name: send(getattr(lan, name), name.encode(), group, PORT) for name in "abc"}
    fences(lan, group)
    for sock, name in zip(socks, "abc"):
        with sock:
            others = {}
            while len(others) < 4:
                payload, source = sock.recvfrom(100)
                if not payload.endswith(name.encode()):
                    assert payload not in others
                    others[payload] = source[:2]
            for other in set("abc") - {name}:
                host = getattr(lan, other)
                assert others[other.encode()] == (host.v6 if ":" in group else host.v4, ports[other])


# ---- Beside others on the host ----

def wildcard_receiver(lan, group, interfaces):
    """A program of the relay's host that hears several interfaces with one socket."""
    sock = receiver_on(lan.host, group, PORT, interfaces[0])
    with lan.host:
        for interface in interfaces[1:]:
            index = socket.if_nametoindex(interface)
            if sock.family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                                socket.inet_aton(group) + bytes(4) + struct.pack("@i", index))
            else:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                                socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", index))
    return sock


@pytest.mark.parametrize("group", [GROUPS["v4"], GROUPS["v6"]], ids=["v4", "v6"])
def test_programs_of_the_host_hear_all_sides_once(lan, start, group):
    start(relay(group=group))
    with wildcard_receiver(lan, group, ALL) as sock:
        for name in "abc":
            send(getattr(lan, name), name.encode(), group, PORT)
        fences(lan, group)
        payloads = [payload for payload in receive(sock, 6) if not payload.startswith(b"fence")]
        assert payloads == [b"a", b"b", b"c"]


def test_with_loop_programs_of_the_host_hear_what_is_relayed(lan, start):
    start(relay("loop = true;"))
    with receiver_on(lan.host, GROUPS["v4"], PORT, "eth1") as sock:
        sock.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        send(lan.a, b"x", GROUPS["v4"], PORT)
        assert receive(sock) == [b"x"]


@pytest.mark.parametrize("block", ["", "ttl = 255;"])
def test_two_daemons_of_one_host_do_not_echo(lan, start, block):
    daemons = [start(relay(block)), start(relay(block))]
    socks = receivers(lan)
    for name in "abc":
        send(getattr(lan, name), name.encode(), GROUPS["v4"], PORT)
    fences(lan)
    for sock, name in zip(socks, "abc"):
        with sock:
            assert set(heard(sock, name)) == {b"a", b"b", b"c"}
    wait_until(lambda: all(numbers(d)[0]["delivered"] == 12 for d in daemons), "two copies of each")


def test_a_port_that_a_responder_has_is_shared_and_the_responder_keeps_its_unicast(lan, start):
    with lan.host, udp_socket(GROUPS["v4"]) as responder:
        responder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        responder.bind(("", 5353))
        daemon = start(relay("source_port = 5353; ttl = 255;", port=5353))
        with receiver_on(lan.b, GROUPS["v4"], 5353, "eth0") as sock:
            send(lan.a, b"query", GROUPS["v4"], 5353)
            payload, source = sock.recvfrom(100)
            assert (payload, source) == (b"query", (lan.networks[1].v4 + ".1", 5353))
            for i in range(20):
                sock.sendto(b"%d" % i, source)
        assert until(responder, b"19") == [b"query"] + [b"%d" % i for i in range(19)]
    assert numbers(daemon)[0]["delivered"] == 2


def test_an_answer_by_unicast_gets_to_the_other_network_by_a_group_of_this_hosts_addresses(lan, start):
    """As doc/discovery-between-networks.md has it for questions of mDNS that ask for one."""
    group, hosts = GROUPS["v4"], lan.networks[1].v4 + ".0/24"
    start(f"""groups: {{
  mdns: {{ address = "{group}"; port = 5353; interfaces = ["eth0", "eth1"]; relay: {{ ttl = 255; source_port = 5353; }}; }};
  answers: {{ address = "0.0.0.0"; port = 5353; interfaces = ["eth1"]; handlers = ["back"]; }};
}};
handlers: {{ back: {{ type = "udp"; address = "{group}"; port = 5353; interface = "eth0"; ttl = 255; source_port = 5353;
                   filter: {{ sources = ["{hosts}"]; }}; }}; }};
""")
    with receiver_on(lan.a, group, 5353, "eth0") as asker, receiver_on(lan.b, group, 5353, "eth0") as responder:
        send(lan.a, b"question", group, 5353)
        payload, source = responder.recvfrom(100)
        assert (payload, source) == (b"question", (lan.networks[1].v4 + ".1", 5353))
        responder.sendto(b"answer", source)
        send(lan.b, b"fence", group, 5353)
        assert until(asker, b"fence") == [b"question", b"answer"]
        assert receive(responder) == [b"fence"]


def test_what_a_local_program_sends_is_relayed(lan, start):
    start(relay())
    with receiver_on(lan.b, GROUPS["v4"], PORT, "eth0") as sock:
        send(lan.host, b"local", GROUPS["v4"], PORT, interface="eth0")
        assert receive(sock) == [b"local"]


@pytest.mark.parametrize("group", [GROUPS["v4"], GROUPS["v6"]], ids=["v4", "v6"])
@pytest.mark.parametrize("keys", ["", "source_port = 5004;"])
def test_what_is_sent_to_the_group_arrives_on_each_network_once(lan, start, group, keys):
    daemon = start(relay(group=group, keys=keys))
    daemon.wait_joined("news")
    socks = receivers(lan, group)
    daemon.ctl("send", "news", "own")
    fences(lan, group)
    for sock, name in zip(socks, "abc"):
        with sock:
            assert heard(sock, name) == [b"own"]


def test_replies_are_never_relayed(lan, start):
    daemon = start(relay(keys="replies = true; socket = true;"))
    daemon.wait_joined("news")
    socks = receivers(lan)
    with seqpacket(daemon.group_path("news")) as program, socks[0] as a, socks[1] as b:
        program.send(b"who is there?")
        question, source = a.recvfrom(100)
        assert question == b"who is there?"
        with lan.a:
            a.sendto(b"me", source)
        wait_until(lambda: daemon.group("news")["replies"] == 1, "the reply")
        fences(lan)
        assert heard(b, "b") == [b"who is there?"]
    assert numbers(daemon)[0]["filtered"] == 2
    assert_sums(daemon)
    socks[2].close()


@pytest.mark.parametrize("block", ["", "ttl = 255;"])
@pytest.mark.parametrize("group", [GROUPS["v4"], GROUPS["v6"]], ids=["v4", "v6"])
def test_a_ring_of_two_relays_on_two_hosts_falls_silent(lan, start, group, block):
    second = Host()
    try:
        for network, interface in zip(lan.networks, ALL[:2]):
            network.plug(second, interface, default=False)
            wait_until(lambda: second.has_route(interface), "the links")
        daemons = [start(relay(block, group, ALL[:2]), host) for host in (lan.host, second)]
        with lan.a, udp_socket(group) as sender:  # of TTL 1
            for i in range(20):
                sender.sendto(b"payload %d" % i, (group, PORT))

        def looped():
            return any(numbers(daemon)[0]["dropped"]["loop"] for daemon in daemons)

        wait_until(looped, "the ring to be found")
        last = None
        while (now := [numbers(daemon)[0]["delivered"] for daemon in daemons]) != last:
            last = now
            for daemon in daemons:
                daemon.call("GetStats")
        # 64 of each payload for each of the two addresses of the other relay, and some on the way.
        assert all(count <= 20 * 2 * 70 for count in now), now
        assert any("a ring of relays" in daemon.log() for daemon in daemons)
        # Anything else still passes.
        with receiver_on(lan.b, group, PORT, "eth0") as sock:
            send(lan.a, b"other", group, PORT)
            while sock.recv(LARGEST) != b"other":
                pass
    finally:
        second.close()


# ---- Interfaces that come and go ----

def plug(lan, name, number):
    """A new interface of the host with a host behind it."""
    far = Host()
    lan.host.ip(f"link add {name} type veth peer name eth0 netns {far.path}",
                f"address add 10.8.{number}.1/24 dev {name}", f"link set {name} up")
    far.ip(f"address add 10.8.{number}.2/24 dev eth0", "link set eth0 up", "route add 224.0.0.0/4 dev eth0")
    return far


def test_what_came_with_ttl_0_is_dropped_and_told_once_for_all_interfaces(lan, start):
    daemon = start(relay())
    with lan.a, udp_socket(GROUPS["v4"]) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
        sock.sendto(b"for the host alone", (GROUPS["v4"], PORT))
    wait_until(lambda: numbers(daemon)[0]["dropped"]["ttl"] == 2, "the datagram to be dropped")
    assert daemon.log().count("handler news.relay: datagrams of 10.9.1.2 arrive with TTL 0 and are not relayed") == 1


def test_a_relay_follows_the_interfaces_of_its_glob(lan, start):
    daemon = start(relay(interfaces=["eth0", "new*"]))
    assert daemon.handler("news.relay")["error"] == (
        "nowhere to send: there is no other interface than the one that datagrams come from")
    send(lan.a, b"too early", GROUPS["v4"], PORT)
    wait_until(lambda: daemon.group("news")["received"] == 1, "the datagram")
    assert numbers(daemon)[0]["received"] == 0
    for i in range(2):
        far = plug(lan, "new1", 1)
        try:
            with receiver_on(far, GROUPS["v4"], PORT, "eth0") as sock:
                wait_until(lambda: "new1" in numbers(daemon)[1], "the interface to be sent on")
                daemon.wait_joined("news")

                def relayed():
                    send(lan.a, b"x", GROUPS["v4"], PORT)
                    return numbers(daemon)[1]["new1"]["delivered"] > i

                wait_until(relayed, "a datagram to be relayed")
                assert receive(sock) == [b"x"]
                assert daemon.handler("news.relay")["error"] is None
        finally:
            lan.host.ip("link delete new1")
            far.close()
        wait_until(lambda: daemon.handler("news.relay")["error"], "the interface to go")
    assert numbers(daemon)[1]["new1"]["delivered"] >= 2
    assert_sums(daemon)


def test_an_interface_of_a_glob_is_sent_on_after_an_address_that_named_it_as_well_has_gone(lan, start):
    """And from that address when it comes back: a virtual one, as that of VRRP, wanders."""
    address = "10.77.1.1"
    lan.host.ip(f"address add {address}/32 dev eth1")
    try:
        daemon = start(relay(interfaces=["eth*", address]))
        with receiver_on(lan.b, GROUPS["v4"], PORT, "eth0") as sock:
            def comes_from(source):
                send(lan.a, b"x", GROUPS["v4"], PORT)
                sock.settimeout(0.2)
                try:
                    return sock.recvfrom(100)[1][0] == source
                except TimeoutError:
                    return False

            wait_until(lambda: comes_from(address), "a datagram from the address")
            lan.host.ip(f"address delete {address}/32 dev eth1")
            wait_until(lambda: comes_from("10.9.2.1"), "a datagram from the first address of the interface")
            lan.host.ip(f"address add {address}/32 dev eth1")
            wait_until(lambda: comes_from(address), "a datagram from the address again")
        assert numbers(daemon)[1]["eth1"]["error"] is None
        assert_sums(daemon)
    finally:
        lan.host.run("ip", "address", "delete", f"{address}/32", "dev", "eth1", check=False, stderr=-3)


def test_what_should_leave_by_an_absent_interface_is_counted_there(lan, start):
    daemon = start(relay('to = ["eth1", "gone0"];'))
    for _ in range(3):
        send(lan.a, b"x", GROUPS["v4"], PORT)
    wait_until(lambda: numbers(daemon)[0]["received"] == 6, "the datagrams")
    row, interfaces = numbers(daemon)
    assert interfaces["gone0"]["dropped"]["absent"] == 3 and interfaces["eth1"]["delivered"] == 3
    assert row["dropped"]["absent"] == 3
    assert daemon.log().count("there is no interface gone0") == 1
    assert_sums(daemon)


@pytest.fixture
def unplugged(lan):
    """An interface cut0 of the host without a carrier; its other end is far0, in the same namespace."""
    lan.host.ip("link add cut0 type veth peer name far0", "address add 10.8.2.1/24 dev cut0", "link set cut0 up")
    yield
    lan.host.ip("link delete cut0")


@pytest.mark.parametrize("broken, mended, error", [
    ("link set cut0 down", "link set cut0 up", "cut0 is down"),
    ("link set far0 down", "link set far0 up", "cut0 has no carrier"),
    ("address flush dev cut0", "address add 10.8.2.1/24 dev cut0", "cut0 has no IPv4 address")])
def test_a_glob_stands_for_no_interface_that_cannot_be_sent_on(lan, start, unplugged, broken, mended, error):
    lan.host.ip("link set far0 up")
    wait_until(lambda: lan.host.has_route("cut0"), "the carrier")
    lan.host.ip(broken)
    daemon = start(relay('to = ["cut*", "eth1"];'))
    wait_until(lambda: error in (numbers(daemon)[1]["cut0"]["error"] or ""), "the row to say why")
    send(lan.a, b"x", GROUPS["v4"], PORT)
    wait_until(lambda: numbers(daemon)[1]["eth1"]["delivered"] == 1, "the datagram")
    row, interfaces = numbers(daemon)
    assert (row["received"], interfaces["cut0"]["received"]) == (1, 0) and not any(row["lost"].values())
    assert error in daemon.ctl("handlers")
    lan.host.ip(mended)
    wait_until(lambda: numbers(daemon)[1]["cut0"]["error"] is None, "the interface to be used")
    send(lan.a, b"y", GROUPS["v4"], PORT)
    wait_until(lambda: numbers(daemon)[1]["cut0"]["delivered"] == 1, "the datagram")
    lan.host.ip(broken)
    wait_until(lambda: numbers(daemon)[1]["cut0"]["error"], "the interface to be left out again")
    send(lan.a, b"z", GROUPS["v4"], PORT)
    wait_until(lambda: numbers(daemon)[1]["eth1"]["delivered"] == 3, "the datagram")
    assert numbers(daemon)[1]["cut0"]["received"] == 1
    assert_sums(daemon)


def test_an_interface_that_a_glob_matches_and_a_name_means_is_named(lan, start, unplugged):
    daemon = start(relay('to = ["cut*", "cut0"];'))
    send(lan.a, b"x", GROUPS["v4"], PORT)
    wait_until(lambda: numbers(daemon)[1]["cut0"]["dropped"]["absent"] == 1, "the datagram to be dropped")


def test_a_relay_to_a_port_of_a_bridge_names_the_bridge(lan, start, unplugged):
    """The end of a container's link: an address there, as of another interface, would help nobody."""
    lan.host.ip("link add name shop0 type bridge", "link set shop0 up", "address flush dev cut0",
                "link set cut0 master shop0", "link set far0 up")
    try:
        wait_until(lambda: "LOWER_UP" in lan.host.run("ip", "link", "show", "cut0"), "the carrier")
        daemon = start(relay('to = ["cut0"];'))
        assert numbers(daemon)[1]["cut0"]["error"] == (
            "cut0 is a port of the bridge shop0, and has no address to send from: send on shop0")
    finally:
        lan.host.ip("link delete shop0")


def test_a_relay_to_globs_says_that_all_that_match_cannot_be_sent_on(lan, start, unplugged):
    daemon = start(relay('to = ["cut*"];'))
    wait_until(lambda: daemon.handler("news.relay")["error"] == "nowhere to send: no interface that matches can be sent on now",
               "the error")
    lan.host.ip("link set far0 up")
    wait_until(lambda: daemon.handler("news.relay")["error"] is None, "the relay to work")


@pytest.mark.parametrize("block", ["", "keep_source = true;"], ids=["own source", "keep_source"])
def test_what_should_leave_by_an_interface_without_a_carrier_is_counted_as_absent(lan, start, unplugged, block):
    daemon = start(relay('to = ["eth1", "cut0"]; ' + block))

    def relayed(delivered, absent):
        send(lan.a, b"x", GROUPS["v4"], PORT)
        wait_until(lambda: numbers(daemon)[0]["received"] == 2 * (delivered + absent), "the datagram")
        cut = numbers(daemon)[1]["cut0"]
        return (cut["delivered"], cut["dropped"]["absent"]) == (delivered, absent)

    assert relayed(0, 1)
    assert daemon.log().count("cut0 has no carrier") == 1
    lan.host.ip("link set far0 up")
    wait_until(lambda: "sends on cut0 now" in daemon.log(), "the carrier")
    assert relayed(1, 1)
    lan.host.ip("link set far0 down")
    wait_until(lambda: daemon.log().count("cut0 has no carrier") == 2, "the carrier to be lost")
    assert relayed(1, 2)
    assert_sums(daemon)


def test_other_links_that_change_do_not_make_the_log_say_that_one_without_a_carrier_sends(lan, start, unplugged):
    daemon = start(f'''groups: {{ news: {{ address = "{GROUPS["v4"]}"; port = {PORT}; interfaces = ["eth0"];
                                           relay: {{ to = ["cut0", "seen0"]; }}; handlers = ["out"]; }}; }};
                       handlers: {{ out: {{ type = "udp"; address = "239.1.2.9"; port = 1; interface = "cut0"; }}; }};''')
    for time in range(1, 4):
        lan.host.ip("link add seen0 type veth peer name seen1", "link set seen1 up", "link set seen0 up",
                    "address add 10.8.3.1/24 dev seen0")
        wait_until(lambda: daemon.log().count("sends on seen0 now") == time, "the daemon to see the new link")
        lan.host.ip("link delete seen0")
        wait_until(lambda: daemon.log().count("there is no interface seen0") == time + 1, "the daemon to see that it is gone")
    assert "sends on cut0 now" not in daemon.log()
    assert daemon.log().count("cut0 has no carrier") == 2
    send(lan.a, b"x", GROUPS["v4"], PORT)
    wait_until(lambda: numbers(daemon)[1]["cut0"]["dropped"]["absent"] == 1, "the datagram to be dropped")
    assert daemon.handler("out")["dropped"]["absent"] == 1


def test_an_address_that_is_checked_and_then_is_another_hosts_is_told_so(lan, start):
    """Duplicate address detection (RFC 4862): the address is there, and cannot be sent from."""
    mac = "02:00:00:00:00:0d"
    daemon = start(relay(group=GROUPS["v6-link"], interfaces=("eth0", "dup0")))
    lan.host.ip(f"link add dup0 address {mac} type veth peer name dup1 address {mac} netns {lan.c.path}")
    try:
        lan.c.ip("link set dup1 up")
        lan.host.run("sysctl", "-qw", "net.ipv6.conf.dup0.accept_dad=1", "net.ipv6.conf.dup0.dad_transmits=1")
        lan.host.ip("link set dup0 up")
        wait_until(lambda: "dadfailed" in lan.host.run("ip", "address", "show", "dev", "dup0"), "the kernel to find the duplicate")
        wait_until(lambda: "another host has the address fe80::ff:fe00:d of dup0" in (numbers(daemon)[1]["dup0"]["error"] or ""),
                   "the reason")
    finally:
        lan.host.ip("link del dup0")
    log = daemon.log()
    assert "handler news.relay: another host has the address fe80::ff:fe00:d of dup0" in log
    assert "dup0 has no IPv6 address to send from" not in log


def test_with_loop_programs_of_the_host_receive_what_has_no_carrier_to_leave_by(lan, start, unplugged):
    daemon = start(relay('to = ["cut0"]; loop = true;'))
    with receiver_on(lan.host, GROUPS["v4"], PORT, "cut0") as sock:
        send(lan.a, b"x", GROUPS["v4"], PORT)
        assert sock.recv(LARGEST) == b"x"
    assert numbers(daemon)[1]["cut0"]["delivered"] == 1


def test_what_went_to_interfaces_that_are_gone_stays_in_the_sum(lan, start):
    """And the list of them does not grow for ever."""
    daemon = start(relay(interfaces=["eth0", "new*"]))
    for i in range(70):
        name = f"new{i}"
        lan.host.ip(f"link add {name} type veth peer name far0", f"link set {name} up", "link set far0 up",
                    f"address add 10.8.1.1/24 dev {name}")
        wait_until(lambda: not numbers(daemon)[1].get(name, {"error": "absent"})["error"], "the interface to be sent on")
        send(lan.a, b"x", GROUPS["v4"], PORT)
        wait_until(lambda: numbers(daemon)[1][name]["received"] == 1, "the copy")
        lan.host.ip(f"link delete {name}")
        wait_until(lambda: daemon.handler("news.relay")["error"], "the interface to go")
    row, interfaces = numbers(daemon)
    assert row["received"] == 70 and interfaces[None]["received"] == 6 and len(interfaces) == 66
    assert_sums(daemon)
    daemon.ctl("stats", "--check")


def test_a_hub_with_63_spokes_loses_nothing_at_1000_a_second(lan, start, blast):
    far = Host()
    far.run("sysctl", "-qw", "net.ipv4.igmp_max_memberships=100")
    spokes = [f"spoke{i}" for i in range(63)]
    lan.host.ip(*(f"link add {name} type veth peer name {name} netns {far.path}" for name in spokes))
    for host, last in ((lan.host, 1), (far, 2)):
        host.ip(*(f"address add 10.7.{i}.{last}/24 dev {name}" for i, name in enumerate(spokes)),
                *(f"link set {name} up" for name in spokes))
    try:
        daemon = start(relay(interfaces=["eth0", "spoke*"], keys='receive_buffer = "32M";'))
        with receiver_on(far, GROUPS["v4"], PORT, spokes[0]) as sock, far:
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
            for name in spokes[1:]:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUPS["v4"]) + bytes(4) +
                                struct.pack("@i", socket.if_nametoindex(name)))
            daemon.wait_joined("news")
            sent = blast(lan.a, GROUPS["v4"], PORT, 2000, rate=1000)
            daemon.wait_arrived("news", sent)
            received = receive(sock, 63 * sent)
        assert sorted(set(map(received.count, received[:5]))) == [63] and len(set(received)) == sent == 2000
        row, interfaces = numbers(daemon)
        assert row["delivered"] == row["received"] == 63 * sent and len(interfaces) == 64
        assert_sums(daemon)
    finally:
        lan.host.ip(*(f"link delete {name}" for name in spokes))
        far.close()


# ---- Filters, reloads, what is shown ----

def test_filter_and_rate_count_for_each_copy(lan, start):
    daemon = start(relay('filter: { prefix = "go"; }; rate = "1/d"; burst = 2;'))
    with receiver_on(lan.b, GROUPS["v4"], PORT, "eth0") as sock:
        for payload in (b"go 1", b"stay", b"go 2", b"go 3"):
            send(lan.a, payload, GROUPS["v4"], PORT)
        assert receive(sock, 2) == [b"go 1", b"go 2"]
    wait_until(lambda: numbers(daemon)[0]["received"] == 8, "all copies")
    row, interfaces = numbers(daemon)
    assert (row["filtered"], row["delivered"], row["dropped"]["rate"]) == (2, 4, 2)
    for name in ("eth1", "eth2"):
        assert (interfaces[name]["filtered"], interfaces[name]["dropped"]["rate"]) == (1, 1)
    assert interfaces["eth0"]["received"] == 0
    assert_sums(daemon)


def test_reloads_under_traffic_lose_nothing(lan, start, blast):
    daemon = start(relay())
    with receiver_on(lan.b, GROUPS["v4"], PORT, "eth0") as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        with blast.stream(lan.a, GROUPS["v4"], PORT, 64, rate=2000) as stream:
            for ttl in range(2, 12):
                before = daemon.group("news")["received"]
                daemon.write_config(relay(f"ttl = {ttl};"))
                assert "handler news.relay: changed: ttl" in daemon.ctl("reload")
                wait_until(lambda: daemon.group("news")["received"] > before + 20, "traffic")
                assert_sums(daemon)
        daemon.wait_arrived("news", stream.sent)
        assert numbers(daemon)[1]["eth1"]["delivered"] == daemon.group("news")["received"] == stream.sent
        assert len(set(receive(sock, stream.sent))) == stream.sent
    assert_sums(daemon)


def test_a_reload_adds_and_removes_the_relay(lan, start):
    plain = relay().replace("relay: {  };", "")
    daemon = start(plain)
    assert not [h for h in daemon.stats()["handlers"] if h["type"] == "relay"]
    daemon.write_config(relay())
    changes = daemon.ctl("reload")
    assert "handler news.relay: added" in changes and "group news: changed: handlers" in changes
    with receiver_on(lan.b, GROUPS["v4"], PORT, "eth0") as sock:
        send(lan.a, b"x", GROUPS["v4"], PORT)
        assert receive(sock) == [b"x"]
    daemon.write_config(plain)
    assert "handler news.relay: removed" in daemon.ctl("reload")


def test_handlers_shows_a_row_for_each_interface(lan, start):
    daemon = start(relay('to = ["eth1", "gone0"];'))
    send(lan.a, b"x", GROUPS["v4"], PORT)
    wait_until(lambda: numbers(daemon)[0]["received"] == 2, "the copies")
    lines = daemon.ctl("handlers").splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("news.relay"))
    assert lines[at].split()[:6] == ["news.relay", "relay", "2", "0", "1", "1"]
    assert lines[at + 1].split()[:4] == ["eth1", "1", "0", "1"]
    assert lines[at + 2].split()[:5] == ["gone0", "1", "0", "0", "1"]
    assert lines[at + 1].startswith("  eth1")
    daemon.ctl("stats", "--check")


def test_the_relay_of_a_group_is_for_no_other(lan, start):
    daemon = start(relay())
    error = daemon.error("Join", address="239.1.2.4", port=PORT, handlers=["news.relay"])
    assert error.name == "io.mcastd.JoinFailed"
    assert "is for its own group only" in error.parameters["errors"][0]


def test_broadcasts_are_relayed_and_do_not_come_back(lan, start):
    start(relay(group="255.255.255.255"))
    socks = []
    for host in (lan.a, lan.b, lan.c):
        with host:
            sock = udp_socket("0.0.0.0")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
            sock.bind(("", PORT))
            socks.append(sock)
    for sock, name in zip(socks, "abc"):
        sock.sendto(name.encode(), ("255.255.255.255", PORT))
    for sock, name in zip(socks, "abc"):
        sock.sendto(b"fence " + name.encode(), ("255.255.255.255", PORT))
    for sock, name in zip(socks, "abc"):
        with sock:
            assert heard(sock, name) == [b"a", b"b", b"c"]


def broadcaster(host):
    with host:
        sock = udp_socket("0.0.0.0")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    return sock


@pytest.mark.parametrize("group, block", [("255.255.255.255", ""), (GROUPS["v4"], "loop = true;"), (GROUPS["v6"], "loop = true;")],
                         ids=["broadcast", "v4", "v6"])
def test_what_comes_back_of_a_kept_source_does_not_make_one_network_of_two(lan, start, group, block):
    daemon = start(relay("keep_source = true; " + block, group, interfaces=["eth0", "eth1"]))
    with broadcaster(lan.a) if group == "255.255.255.255" else contextlib.nullcontext() as sock:
        for number in range(6):
            if sock:
                sock.sendto(b"%d" % number, (group, PORT))
            else:
                send(lan.a, b"%d" % number, group, PORT)
    wait_until(lambda: daemon.group("news")["received"] == 12, "the datagrams, and what comes back of them")
    row, _ = numbers(daemon)
    assert row["delivered"] == 6 and row["dropped"]["loop"] == 6
    assert daemon.group("news")["sameNetworkTwice"] is None
    assert "bring the same datagrams" not in daemon.log()
    assert "cannot be kept as the source" not in daemon.log()
    assert_sums(daemon)
