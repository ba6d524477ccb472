"""The handler udp: what it sends from, where that leaves, and what becomes of what the network does not take."""

import contextlib
import json
import os
import socket
import struct
import subprocess

import pytest

from harness.daemon import MCASTCTL, run_mcastd
from harness.firewall import refuse_nothing, refuse_one_in
from harness.peers import receive, receiver_on, seqpacket, udp_socket
from harness.waiting import wait_until

IP_RECVTOS, IPV6_RECVTCLASS, SO_REUSEPORT, SO_RCVBUFFORCE = 13, 66, 15, 33
ETH_P_ALL = 3

GROUPS = {socket.AF_INET: ("239.0.0.1", "239.0.0.2"), socket.AF_INET6: ("ff05::1", "ff05::2")}


def relay(to, more="", family=socket.AF_INET, port=5004):
    return f"""
    groups: {{ in: {{ address = "{GROUPS[family][0]}"; port = 5004; interfaces = ["eth0"]; receive_buffer = "8M";
                     handlers = ["relay"]; }}; }};
    handlers: {{ relay: {{ type = "udp"; address = "{to}"; port = {port}; {more} }}; }};
    """


def feed(net, *payloads, family=socket.AF_INET):
    group = GROUPS[family][0]
    with net.peer, udp_socket(group) as sock:
        index = socket.if_nametoindex("eth0")
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 9)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 9)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        for payload in payloads:
            sock.sendto(payload, (group, 5004))


def relayed(daemon):
    return daemon.handler("relay")


def wait_relayed(daemon, count):
    wait_until(lambda: relayed(daemon)["received"] >= count, f"{count} datagrams")
    return relayed(daemon)


def host_receiver(host, port, address="0.0.0.0"):
    with host:
        sock = udp_socket("::" if ":" in address else address)
        sock.bind((address, port))
    return sock


@contextlib.contextmanager
def watch(host, interface):
    """A packet socket: every frame that comes from or goes to the link."""
    with host:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        sock.bind((interface, 0))
    sock.setblocking(False)
    with sock:
        yield sock


def seen(sock, payload):
    """How often the payload was in a frame so far. veth delivers while the sender sends."""
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            count += payload in sock.recv(65536)
    return count


@pytest.fixture
def slow(net):
    """What the host sends to the side is queued behind 1 Mbit/s, and dropped when 30 kB are."""
    try:
        net.host.run(*"tc qdisc replace dev eth1 root tbf rate 1mbit burst 20k limit 30k".split())
    except subprocess.CalledProcessError:
        pytest.skip("this kernel has no queueing discipline tbf")
    yield
    net.host.run("tc", "qdisc", "del", "dev", "eth1", "root", check=False)


@pytest.fixture
def late0(net):
    """An interface of the host without any address; its other end is late1 of the side. Returns a function that gives it one."""
    net.host.ip(f"link add late0 type veth peer name late1 netns {net.side.path}", "link set late0 addrgenmode none")
    net.side.ip("address add 203.0.113.2/24 dev late1", "link set late1 up")
    net.host.ip("link set late0 up")
    yield lambda: net.host.ip("address add 203.0.113.1/24 dev late0")
    net.host.ip("link delete late0")


# What is not sent


@pytest.mark.parametrize("to", ["239.0.0.2", "198.51.100.2"], ids=["group", "host"])
def test_one_refused_datagram_costs_one_datagram(net, start, to):
    daemon = start(relay(to, 'interface = "eth1";'))
    if not refuse_one_in(net.host, 100):
        pytest.skip("this kernel has no nf_tables with numgen")
    try:
        feed(net, *(struct.pack("!I", i) for i in range(3000)))
        daemon.wait_arrived("in", 3000)
        numbers = relayed(daemon)
        lost = daemon.group("in")["kernelDropped"]
        assert numbers["dropped"]["io"] <= 40, numbers  # one that is refused in a batch is tried once more
        assert numbers["delivered"] + lost >= 2960, numbers
    finally:
        refuse_nothing(net.host)


@pytest.mark.parametrize("to", ["239.0.0.2", "198.51.100.2"], ids=["group", "host"])
def test_what_a_queue_of_this_host_drops_is_not_delivered(net, start, slow, to):
    assert net.side.v4 == "198.51.100.2"
    daemon = start(relay(to, 'interface = "eth1";', port=5005))
    with receiver_on(net.side, "239.0.0.2", 5005, "eth0") as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        feed(net, *(struct.pack("!I", i) * 64 for i in range(1000)))
        daemon.wait_arrived("in", 1000)
        numbers = relayed(daemon)
        assert numbers["dropped"]["busy"] > 500, numbers
        assert numbers["delivered"] + numbers["dropped"]["busy"] == numbers["received"] == 1000
        came = 0
        sock.settimeout(2)  # 30 kB at 1 Mbit/s take a quarter of a second
        with contextlib.suppress(TimeoutError):
            while True:
                sock.recv(100)
                came += 1
        assert numbers["delivered"] - 64 <= came <= numbers["delivered"]


@contextlib.contextmanager
def patient(host, interface):
    """A receiver that loses nothing by itself."""
    with receiver_on(host, "239.0.0.2", 5005, interface) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        yield sock


@contextlib.contextmanager
def tight(host, link):
    """tbf drops parts of what is sent as one buffer, and reports that it took it."""
    try:
        host.run(*f"tc qdisc replace dev {link} root tbf rate 1mbit burst 5000 limit 10000".split())
    except subprocess.CalledProcessError:
        pytest.skip("this kernel has no queueing discipline tbf")
    yield
    host.run("tc", "qdisc", "del", "dev", link, "root", check=False)


def arrived(host, link, receiver):
    """How many datagrams came, when a last one, which the same queue brings, has come as well."""
    came = 0
    with host, udp_socket("239.0.0.2") as last:
        last.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                        bytes(8) + struct.pack("@i", socket.if_nametoindex(link)))
        receiver.settimeout(0.3)
        while True:
            try:
                data = receiver.recv(1000)
            except TimeoutError:
                last.sendto(b"the last", ("239.0.0.2", 5005))
                continue
            if data == b"the last":
                return came
            came += 1


@pytest.fixture
def upper(net):
    """The link upper0 lies on eth1 of the host."""
    net.host.ip("link add link eth1 name upper0 type macvlan mode bridge", "address add 198.51.100.9/24 dev upper0",
                "link set upper0 up")
    wait_until(lambda: net.host.has_route("upper0"), "the link upper0")
    yield
    net.host.ip("link delete upper0")


# (to, key, link of the host, of which this is the queue, host that receives, on this link)
TIGHT = pytest.mark.parametrize("to, key, link, queue, receiver, there", [
    ("239.0.0.2", 'interface = "eth1";', "eth1", "eth1", "side", "eth0"),
    ("198.51.100.2", "", "eth1", "eth1", "side", "eth0"),
    ("239.0.0.2", "", "eth0", "eth0", "peer", "eth0"),
    ("239.0.0.2", 'interface = "upper0";', "upper0", "eth1", "side", "eth0")],
                                ids=["interface", "host", "route", "link below"])


@TIGHT
def test_no_part_of_a_run_is_lost_in_a_queue_that_splits_it(net, start, upper, to, key, link, queue, receiver, there):
    """Runs of 64 that come one after another."""
    host = getattr(net, receiver)
    with patient(host, there) as sock, tight(net.host, queue):
        daemon = start(relay(to, key, port=5005))
        for i in range(10):
            feed(net, *(b"%0200d" % j for j in range(64)))
            daemon.wait_arrived("in", 64 * (i + 1))
        came, numbers = arrived(net.host, link, sock), relayed(daemon)
    assert numbers["delivered"] + numbers["dropped"]["busy"] == numbers["received"]
    assert came == numbers["delivered"] < numbers["received"]


def test_a_queue_that_is_set_later_is_noticed(net, start):
    daemon = start(relay("239.0.0.2", 'interface = "eth1";', port=5005))
    feed(net, *(b"%0200d" % j for j in range(64)))
    total = daemon.wait_arrived("in", 64) or 64

    def run_of_64():
        """How many were delivered, and how many have arrived."""
        nonlocal total
        before = relayed(daemon)["delivered"]
        feed(net, *(b"%0200d" % j for j in range(64)))
        daemon.wait_arrived("in", total := total + 64)
        return relayed(daemon)["delivered"] - before, arrived(net.host, "eth1", sock)

    def is_noticed():
        delivered, came = run_of_64()
        return delivered == came < 64

    with patient(net.side, "eth0") as sock, tight(net.host, "eth1"):
        wait_until(is_noticed, "nothing to be segmented")
        for _ in range(3):
            delivered, came = run_of_64()
            assert delivered == came


@pytest.mark.parametrize("key, link, receiver", [('interfaces = ["eth1"];', "eth1", "side"), ("", "eth0", "peer")],
                         ids=["interface", "route"])
def test_a_burst_of_a_group_counts_as_sent_what_has_arrived(net, start, key, link, receiver):
    host = getattr(net, receiver)
    with patient(host, "eth0") as sock, tight(net.host, link):
        daemon = start(f'groups: {{ g: {{ address = "239.0.0.2"; port = 5005; socket = true; loop = false; {key} }}; }};')
        with seqpacket(daemon.group_path("g")) as program:
            for i in range(1000):
                program.send(b"%064d" % i)
            wait_until(lambda: sum(daemon.group("g")[name] for name in ("sent", "sendFailed")) == 1000, "all")
        came = arrived(net.host, link, sock)
    assert came == daemon.group("g")["sent"] < 1000


@pytest.mark.parametrize("family, to", [(socket.AF_INET, "198.51.100.2"), (socket.AF_INET6, "2001:db8:2::2")])
def test_what_nobody_takes_counts_as_unreachable_beside_delivered(net, start, family, to):
    daemon = start(relay(to, 'interface = "eth1";', family, port=9))
    for i in range(5):
        feed(net, b"%d" % i, family=family)
        wait_relayed(daemon, i + 1)
    numbers = relayed(daemon)
    assert numbers["delivered"] == 5
    assert 1 <= numbers["counters"]["unreachable"] <= 5
    assert daemon.log().count("Connection refused (ICMP)") == 1


def test_what_nobody_takes_on_this_host_does_not_keep_the_rest_of_a_run_back(net, start):
    daemon = start(relay("127.0.0.1", port=9))
    feed(net, *(b"%d" % i for i in range(100)))
    daemon.wait_arrived("in", 100)
    numbers = relayed(daemon)
    assert numbers["delivered"] == numbers["received"]
    assert 1 <= numbers["counters"]["unreachable"] <= 100


def test_ipv6_datagrams_of_the_largest_size_are_relayed(net, start):
    daemon = start(relay("ff05::2", 'interface = "eth1";', socket.AF_INET6))
    payload = os.urandom(65527)
    with receiver_on(net.side, "ff05::2", 5004, "eth0") as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20)
        feed(net, payload, family=socket.AF_INET6)
        assert sock.recv(1 << 16) == payload
    assert relayed(daemon)["delivered"] == 1


# Where it leaves


@pytest.mark.parametrize("family, to", [
    (socket.AF_INET, "239.0.0.2"), (socket.AF_INET, "192.0.2.2"), (socket.AF_INET, "255.255.255.255"),
    (socket.AF_INET6, "ff05::2"), (socket.AF_INET6, "2001:db8:1::2")])
@pytest.mark.parametrize("state", ["absent", "down", "without an address"])
def test_nothing_leaves_by_another_interface(net, start, late0, family, to, state):
    if state == "down":
        net.host.ip("address add 203.0.113.1/24 dev late0", "address add 2001:db8:9::1/64 dev late0 nodad",
                    "link set late0 down")
    daemon = start(relay(to, f'interface = "{"late9" if state == "absent" else "late0"}";', family))
    with watch(net.peer, "eth0") as first, watch(net.side, "eth0") as second, watch(net.side, "late1") as late:
        feed(net, b"nowhere", family=family)
        numbers = wait_relayed(daemon, 1)
        assert numbers["dropped"]["absent"] == 1 and numbers["delivered"] == 0
        # The peer's own is there, once.
        assert [seen(sock, b"nowhere") for sock in (first, second, late)] == [1, 0, 0]
    assert {"absent": "there is no interface late9", "down": "late0 is down",
            "without an address": "ip addr add"}[state] in daemon.log()


@pytest.mark.parametrize("family, to", [
    (socket.AF_INET, "239.0.0.2"), (socket.AF_INET, "203.0.113.2"), (socket.AF_INET, "203.0.113.255"),
    (socket.AF_INET6, "ff05::2"), (socket.AF_INET6, "2001:db8:9::2")])
def test_nothing_leaves_by_another_interface_when_this_one_goes_down(net, start, late0, family, to):
    late0()
    net.host.ip("address add 2001:db8:9::1/64 dev late0 nodad")
    net.side.ip("address add 2001:db8:9::2/64 dev late1 nodad")
    daemon = start(relay(to, 'interface = "late0";', family))
    with watch(net.peer, "eth0") as first, watch(net.side, "eth0") as second, watch(net.side, "late1") as late:
        wait_until(lambda: feed(net, b"before", family=family) or seen(late, b"before"), "a datagram there")
        count = daemon.wait_idle("relay")["received"]
        net.host.ip("link set late0 down")
        feed(net, b"nowhere", family=family)
        numbers = wait_relayed(daemon, count + 1)
        assert numbers["dropped"]["absent"] == 1 and numbers["delivered"] == count
        assert [seen(sock, b"nowhere") for sock in (first, second, late)] == [1, 0, 0]
        net.host.ip("link set late0 up", "address replace 2001:db8:9::1/64 dev late0 nodad")
        wait_until(lambda: feed(net, b"again", family=family) or seen(late, b"again"), "a datagram there again")


@pytest.mark.parametrize("to", ["239.0.0.2", "203.0.113.2"], ids=["group", "host"])
def test_an_interface_that_gets_an_address_is_sent_from_with_it(net, start, late0, to):
    daemon = start(relay(to, 'interface = "late0";', port=5006))
    late0()
    with receiver_on(net.side, "239.0.0.2", 5006, "late1") as sock:
        wait_until(lambda: feed(net, b"x") or relayed(daemon)["delivered"], "a datagram to be relayed")
        assert sock.recvfrom(100)[1][0] == "203.0.113.1"


def test_an_unnumbered_interface_sends_with_a_source_address_that_is_given(net, start, late0):
    daemon = start(relay("239.0.0.2", 'interface = "late0"; source_address = "198.51.100.1";', port=5007))
    with receiver_on(net.side, "239.0.0.2", 5007, "late1") as sock:
        net.side.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.late1.rp_filter=0")
        feed(net, b"x")
        assert sock.recvfrom(100)[1][0] == "198.51.100.1"
    assert relayed(daemon)["delivered"] == 1


def test_an_interface_that_loses_its_address_does_not_send_with_another_ones(net, start, late0):
    late0()
    daemon = start(relay("239.0.0.2", 'interface = "late0";', port=5008))
    with receiver_on(net.side, "239.0.0.2", 5008, "late1") as sock:
        feed(net, b"before")
        assert sock.recvfrom(100)[0] == b"before"
        net.host.ip("address flush dev late0")
        with watch(net.side, "late1") as late:
            feed(net, b"after")
            wait_relayed(daemon, 2)
            assert seen(late, b"after") == 0
    assert relayed(daemon)["dropped"]["absent"] == 1


def test_an_interface_that_loses_its_ipv6_address_does_not_send_to_a_host_with_another_ones(net, start, late0):
    """A route and the neighbour remain, and the kernel would take the address of eth0."""
    mac = json.loads(net.side.run("ip", "-json", "link", "show", "late1"))[0]["address"]
    net.host.ip("address add 2001:db8:9::1/64 dev late0 nodad", "route add 2001:db8:77::/64 dev late0",
                f"neighbor add 2001:db8:77::2 lladdr {mac} dev late0")
    daemon = start(relay("2001:db8:77::2", 'interface = "late0";', socket.AF_INET6))
    with watch(net.side, "late1") as late:
        wait_until(lambda: feed(net, b"before", family=socket.AF_INET6) or seen(late, b"before"), "a datagram there")
        count = daemon.wait_idle("relay")["received"]
        net.host.ip("address delete 2001:db8:9::1/64 dev late0")
        feed(net, b"after", family=socket.AF_INET6)
        wait_relayed(daemon, count + 1)
        assert seen(late, b"after") == 0
    assert relayed(daemon)["dropped"]["absent"] == 1


def test_a_relay_follows_the_name_of_its_interface(net, start, late0):
    late0()
    daemon = start(relay("239.0.0.2", 'interface = "late0";', port=5009))
    with receiver_on(net.side, "239.0.0.2", 5009, "late1") as sock, watch(net.side, "late1") as late:
        feed(net, b"before")
        assert sock.recvfrom(100)[0] == b"before"
        net.host.ip("link set late0 down", "link set late0 name was0", "link set was0 up")
        try:
            wait_until(lambda: feed(net, b"later") or relayed(daemon)["dropped"]["absent"], "the relay to notice")
            seen(late, b"later")
            count = relayed(daemon)["received"]
            feed(net, b"renamed")
            wait_relayed(daemon, count + 1)
            assert seen(late, b"renamed") == 0
        finally:
            net.host.ip("link set was0 down", "link set was0 name late0")


@pytest.mark.parametrize("name", ["uplink-to-the-second-network", "198.51.100.1"], ids=["alternative name", "address"])
def test_the_interface_may_be_given_by_an_alternative_name_or_address(net, start, name):
    net.host.ip("link property add dev eth1 altname uplink-to-the-second-network")
    try:
        start(relay("239.0.0.2", f'interface = "{name}";'))
        with receiver_on(net.side, "239.0.0.2", 5004, "eth0") as sock:
            feed(net, b"x")
            assert receive(sock) == [b"x"]
    finally:
        net.host.ip("link property del dev eth1 altname uplink-to-the-second-network")


@pytest.mark.parametrize("to, more", [("255.255.255.255", 'interface = "eth1";'), ("198.51.100.255", "")])
def test_a_broadcast_address_is_sent_to(net, start, to, more):
    daemon = start(relay(to, more, port=5010))
    with host_receiver(net.side, 5010) as sock:
        feed(net, b"to all")
        data, sender = sock.recvfrom(100)
        assert (data, sender[0]) == (b"to all", "198.51.100.1")
    assert relayed(daemon)["delivered"] == 1


def test_what_becomes_a_broadcast_address_is_guarded_as_one(net, start, late0):
    daemon = start(relay("203.0.113.255", 'interface = "late0";', port=5014))
    late0()
    with host_receiver(net.side, 5014) as sock:
        net.side.run("sysctl", "-qw", "net.ipv4.conf.late1.rp_filter=0")
        wait_until(lambda: feed(net, b"x") or relayed(daemon)["delivered"], "a datagram to be relayed")
        assert sock.recvfrom(100)[1][0] == "203.0.113.1"
    before = relayed(daemon)["received"]
    with net.peer, udp_socket("239.0.0.1") as sock:
        sock.sendto(b"x", ("239.0.0.1", 5004))
    assert wait_relayed(daemon, before + 1)["dropped"]["ttl"] == 1


def test_a_datagram_of_ttl_1_is_not_broadcast(net, start):
    daemon = start(relay("198.51.100.255", port=5012))
    with net.peer, udp_socket("239.0.0.1") as sock:
        sock.sendto(b"x", ("239.0.0.1", 5004))
    assert wait_relayed(daemon, 1)["dropped"]["ttl"] == 1


@pytest.mark.parametrize("to", ["239.0.0.2", "127.0.0.1"])
def test_the_interface_may_be_lo(net, start, to):
    daemon = start(relay(to, 'interface = "lo";', port=5013))
    with receiver_on(net.host, "239.0.0.2", 5013, "lo") as sock:
        feed(net, b"x")
        data, sender = sock.recvfrom(100)
        assert (data, sender[0]) == (b"x", "127.0.0.1")
    assert relayed(daemon)["delivered"] == 1


# What it is sent from


@pytest.mark.parametrize("family, to, source", [
    (socket.AF_INET, "239.0.0.2", "198.51.100.77"), (socket.AF_INET, "198.51.100.2", "198.51.100.77"),
    (socket.AF_INET6, "ff05::2", "2001:db8:2::77"), (socket.AF_INET6, "2001:db8:2::2", "2001:db8:2::77")])
def test_datagrams_have_the_source_address_and_the_dscp_that_are_given(net, start, family, to, source):
    net.host.ip(f"address add {source}/{24 if family == socket.AF_INET else 64} dev eth1"
                + (" nodad" if family == socket.AF_INET6 else ""))
    try:
        daemon = start(relay(to, f'interface = "eth1"; source_address = "{source}"; dscp = 46;', family))
        with receiver_on(net.side, GROUPS[family][1], 5004, "eth0") as sock:
            if family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVTCLASS, 1)
            feed(net, b"0", b"1", b"2", family=family)
            for i in range(3):
                data, ancillary, _, sender = sock.recvmsg(100, 100)
                assert (data, sender[0], ancillary[0][2][0]) == (b"%d" % i, source, 46 << 2)
        assert relayed(daemon)["delivered"] == 3
    finally:
        net.host.ip(f"address delete {source}/{24 if family == socket.AF_INET else 64} dev eth1")


@pytest.mark.parametrize("family, to, source", [
    (socket.AF_INET, "239.0.0.2", "198.51.100.77"), (socket.AF_INET, "198.51.100.2", "198.51.100.77"),
    (socket.AF_INET6, "ff05::2", "2001:db8:2::77"), (socket.AF_INET6, "2001:db8:2::2", "2001:db8:2::77")])
def test_an_interface_that_is_named_by_an_address_sends_from_it(net, start, family, to, source):
    length = 24 if family == socket.AF_INET else 64
    net.host.ip(f"address add {source}/{length} dev eth1" + (" nodad" if family == socket.AF_INET6 else ""))
    try:
        start(relay(to, f'interface = "{source}";', family))
        with receiver_on(net.side, GROUPS[family][1], 5004, "eth0") as sock:
            feed(net, b"x", family=family)
            data, sender = sock.recvfrom(100)
            assert (data, sender[0]) == (b"x", source)
    finally:
        net.host.ip(f"address delete {source}/{length} dev eth1")


@pytest.mark.parametrize("family, to", [(socket.AF_INET, "239.0.0.2"), (socket.AF_INET, "198.51.100.2"),
                                        (socket.AF_INET6, "ff05::2"), (socket.AF_INET6, "2001:db8:2::2")])
@pytest.mark.parametrize("shares", [socket.SO_REUSEADDR, SO_REUSEPORT], ids=["REUSEADDR", "REUSEPORT"])
def test_a_shared_source_port_takes_nothing_from_its_other_holder(net, start, family, to, shares):
    host = net.host.v4 if family == socket.AF_INET else net.host.v6
    with net.host:
        responder = udp_socket(host)
        responder.setsockopt(socket.SOL_SOCKET, shares, 1)
        if family == socket.AF_INET6:
            responder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        responder.bind(("", 5353))
    with responder:
        daemon = start(relay(to, 'interface = "eth1"; source_port = 5353;', family))
        with receiver_on(net.side, GROUPS[family][1], 5004, "eth0") as sock:
            feed(net, b"x", family=family)
            assert sock.recvfrom(100)[1][1] == 5353
        with net.peer, udp_socket(host) as sender:
            for i in range(20):
                sender.sendto(b"%d" % i, (host, 5353))
        assert receive(responder, 20) == [b"%d" % i for i in range(20)]
        assert relayed(daemon)["delivered"] == 1


def test_a_relay_of_a_group_from_its_own_port_takes_nothing_from_the_memberships(net, start):
    daemon = start(relay("239.0.0.1", 'interface = "eth1"; source_port = 5004;'))
    with receiver_on(net.side, "239.0.0.1", 5004, "eth0") as sock:
        for i in range(20):
            feed(net, b"%d" % i)
        assert receive(sock, 20) == [b"%d" % i for i in range(20)]
    assert daemon.group("in")["received"] == 20


def test_a_source_port_that_another_program_holds_is_waited_for(net, start):
    with net.host:
        holder = udp_socket("0.0.0.0")
        holder.bind(("", 5353))
    with holder:
        daemon = start(relay("239.0.0.2", 'interface = "eth1"; source_port = 5353;'))
        feed(net, b"x")
        assert wait_relayed(daemon, 1)["dropped"]["absent"] == 1
        assert "port 5353 is held by a program that does not share it" in daemon.log()
    wait_until(lambda: feed(net, b"x") or relayed(daemon)["delivered"], "a datagram to be relayed")


def test_answers_to_a_relay_are_not_queued_at_its_socket(net, start):
    daemon = start(relay(net.side.v4, port=5011))
    with host_receiver(net.side, 5011) as sock:
        feed(net, b"x")
        _, sender = sock.recvfrom(100)
        for _ in range(20):
            sock.sendto(b"answer", sender)
    with net.host, open("/proc/thread-self/net/udp") as table:
        queues = [line.split()[4].split(":")[1] for line in table.readlines()[1:]]
    assert queues and set(queues) == {"00000000"}, queues
    assert relayed(daemon)["counters"]["unreachable"] == 0


@pytest.mark.parametrize("to, key, words", [
    ("192.0.2.9", 'interface = "eth0,eth1";', "write one name"),
    ("192.0.2.9", 'interface = "eth0@if2";', "write one name"),
    ("192.0.2.9", 'interface = "eth\\x1b";', '"eth\\x1b" cannot be an interface'),
    ("fe80::1", "", "must be set, since the address is link-local"),
    ("192.0.2.9", 'source_address = "2001:db8::1";', "use an IPv4 address"),
    ("192.0.2.9", 'source_address = "239.0.0.1";', "is a group"),
    ("192.0.2.9", "dscp = 64;", "63"),
])
def test_what_cannot_be_a_way_is_refused_with_what_to_write(tmp_path, to, key, words):
    path = tmp_path / "mcastd.conf"
    path.write_text(relay(to, key))
    result = run_mcastd("-c", str(path), "--check")
    assert result.returncode == 78
    assert words in result.stderr


@pytest.fixture
def refused(net):
    """Makes routes by which the kernel refuses to send, for as long as the test."""
    made = []

    def make(kind, address):
        # Each link has the groups of IPv6 in the table local, which comes first.
        route = f"{kind} {address}" + (" table local" if address.startswith("ff") else "")
        net.host.ip("route add " + route)
        made.append("route del " + route)

    yield make
    net.host.ip(*made)


REFUSALS = pytest.mark.parametrize("kind, words", [
    ("blackhole", "is a blackhole"), ("prohibit", "is prohibited"), ("unreachable", "is unreachable")])


@REFUSALS
@pytest.mark.parametrize("keys", ["", "ttl = 0;"], ids=["route", "ttl 0"])
@pytest.mark.parametrize("address", ["239.1.1.3", "ff15::1:3"], ids=["v4", "v6"])
def test_a_route_that_refuses_is_named_as_the_cause(start, refused, kind, words, address, keys):
    refused(kind, address)
    daemon = start(f'groups: {{ nr: {{ address = "{address}"; port = 5003; {keys} }}; }};')
    errors = daemon.ctl("send", "nr", "x", status=1)
    assert f"the route to {address} {words}: ip route get {address}" in errors
    assert "link-local" not in errors


@REFUSALS
@pytest.mark.parametrize("target, address", [("239.1.1.3:5", "239.1.1.3"), ("[ff15::1:3]:5", "ff15::1:3")], ids=["v4", "v6"])
def test_a_route_that_refuses_is_named_without_a_daemon(net, refused, kind, words, target, address):
    refused(kind, address)
    with net.host:
        result = subprocess.run([MCASTCTL, "send", target, "x"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1 and f"the route to {address} {words}: ip route get {address}" in result.stderr


@REFUSALS
@pytest.mark.parametrize("family, address", [(socket.AF_INET, "203.0.113.9"), (socket.AF_INET6, "2001:db8:99::9")],
                         ids=["v4", "v6"])
def test_what_a_route_refuses_is_absent_to_a_handler(start, net, refused, kind, words, family, address):
    refused(kind, address)
    daemon = start(relay(address, family=family))
    feed(net, b"x", family=family)
    dropped = wait_relayed(daemon, 1)["dropped"]
    assert dropped["absent"] == 1 and dropped["io"] == 0
    assert f"the route to {address} {words}: ip route get {address}" in daemon.log()
