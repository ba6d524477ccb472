"""What relays do not relay: their own datagrams, those of this host's other interfaces, what a configuration would feed to itself;
the TTL that they send with; and interfaces that come and go."""

import collections
import contextlib
import re
import socket
import struct
import time

import pytest

from harness.daemon import run_mcastd
from harness.peers import IP_RECVTTL, family, receive, receiver_on, udp_socket
from harness.waiting import wait_until

SO_RCVBUFFORCE = 33
PORT = 5353
GROUPS = ["239.0.9.1", "ff05::9:1"]
BROADCAST = "255.255.255.255"


def group(name, address, interfaces, handlers, port=PORT):
    return f"{name}: {{ address = \"{address}\"; port = {port}; interfaces = [{interfaces}]; handlers = [{handlers}]; }};"


def handler(name, address, more="", port=PORT):
    return f"{name}: {{ type = \"udp\"; address = \"{address}\"; port = {port}; {more} }};"


def config(groups, handlers):
    return f"groups: {{ {' '.join(groups)} }};\nhandlers: {{ {' '.join(handlers)} }};\n"


def one_way(address, there="eth0", here="eth1", more="", to=None):
    """From one interface to the other."""
    return config([group("in", address, f'"{there}"', '"out"')],
                  [handler("out", to or address, f'interface = "{here}"; {more}')])


def both_ways(address, more=""):
    return config([group("first", address, '"eth0"', '"to-second"'), group("second", address, '"eth1"', '"to-first"')],
                  [handler("to-second", address, f'interface = "eth1"; {more}'),
                   handler("to-first", address, f'interface = "eth0"; {more}')])


def sender(host, address, interface="eth0", ttl=1, port=0, source=None, loop=0):
    with host:
        sock = udp_socket(address)
        index = socket.if_nametoindex(interface)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if address == BROADCAST:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    elif sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(8) + struct.pack("@i", index))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, loop)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, loop)
    sock.bind((source or "", port))
    return sock


def say(host, payload, address, **options):
    with sender(host, address, **options) as sock:
        sock.sendto(payload, (address, PORT))


def receiver(host, address, interface="eth0"):
    if address == BROADCAST:
        with host:
            sock = udp_socket(address)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("", PORT))
    else:
        sock = receiver_on(host, address, PORT, interface)
    level, option = (socket.IPPROTO_IP, IP_RECVTTL) if sock.family == socket.AF_INET else (
        socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT)
    sock.setsockopt(level, option, 1)
    return sock


def get_ttl(sock):
    """The payload and the TTL of the next datagram."""
    payload, ancillary, _, _ = sock.recvmsg(100, 100)
    return payload, struct.unpack("i", ancillary[0][2])[0]


def received(daemons):
    return {g["name"]: g["received"] for daemon in daemons for g in daemon.call("ListGroups")["groups"]}


def dropped(daemon, name="out"):
    return {reason: count for reason, count in daemon.handler(name)["dropped"].items() if count}


def wait_handled(daemon, count, name="out"):
    wait_until(lambda: daemon.handler(name)["received"] >= count, f"{count} datagrams for {name}")
    return daemon.handler(name)


def check(tmp_path, text):
    path = tmp_path / "mcastd.conf"
    path.write_text(text)
    return run_mcastd("-c", str(path), "--check")


# Echoes


def assert_each_is_heard_once_on_the_other_side(net, daemons, address):
    """What either side says, the other one hears once, and neither hears itself."""
    with receiver(net.other, address) as first, receiver(net.side, address) as second:
        for i in range(3):
            say(net.peer, b"query %d" % i, address)
            assert receive(first) == receive(second) == [b"query %d" % i]
            say(net.side, b"answer %d" % i, address)
            assert receive(first) == [b"answer %d" % i]
        wait_until(lambda: received(daemons) == {"first": 3, "second": 3}, f"three each, now {received(daemons)}")
        for sock in first, second:
            sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                print(sock.recv(100))


@pytest.mark.parametrize("more", ["ttl = 1;", "ttl = 255; source_port = 5353;"])
@pytest.mark.parametrize("address", GROUPS)
def test_one_daemon_relays_both_ways_without_an_echo(net, start, address, more):
    assert_each_is_heard_once_on_the_other_side(net, [start(both_ways(address, more))], address)


@pytest.mark.parametrize("more", ["ttl = 1;", "ttl = 255; source_port = 5353;"])
@pytest.mark.parametrize("address", GROUPS)
def test_two_daemons_of_one_host_relay_one_way_each_without_an_echo(net, start, address, more):
    daemons = [start(one_way(address, *ways, more).replace("in:", name))
               for name, *ways in (("first:", "eth0", "eth1"), ("second:", "eth1", "eth0"))]
    assert_each_is_heard_once_on_the_other_side(net, daemons, address)


def test_hosts_are_relayed_that_are_of_a_wider_network_of_another_interface(net, start):
    """A tunnel's address without a network, whose hosts are in the network of the LAN as well, but for a route."""
    net.host.ip("address add 10.0.0.1/8 dev eth0", "route add 10.8.0.0/24 dev eth1")
    net.side.ip("address add 10.8.0.5/32 dev eth0")
    try:
        daemon = start(one_way(GROUPS[0], "eth1", "eth0", "ttl = 1;"))
        with receiver(net.peer, GROUPS[0]) as far:
            say(net.side, b"routed here", GROUPS[0], source="10.8.0.5")
            assert receive(far) == [b"routed here"]
            net.host.ip("route del 10.8.0.0/24 dev eth1")
            wait_until(lambda: say(net.side, b"brought", GROUPS[0], source="10.8.0.5") or dropped(daemon),
                       "it to be dropped once there is no such route")
        assert set(dropped(daemon)) == {"loop"}
    finally:
        net.host.ip("address del 10.0.0.1/8 dev eth0")
        net.side.ip("address del 10.8.0.5/32 dev eth0")


def test_the_log_names_once_a_host_of_the_network_of_another_interface(net, start):
    net.side.ip("address add 192.0.2.77/32 dev eth0")
    try:
        daemon = start(one_way(GROUPS[0], "eth1", "eth0", "ttl = 1;"))
        for i in range(3):
            say(net.side, b"%d" % i, GROUPS[0], source="192.0.2.77")
        wait_handled(daemon, 3)
        assert dropped(daemon) == {"loop": 3}
        line = "handler out: 192.0.2.77, which came in on eth1, is of the network of another interface: "
        assert daemon.log().count(line) == 1
        assert "(ip route add 192.0.2.77 dev eth1)" in daemon.log()
        net.host.ip("route add 192.0.2.77 dev eth1")  # as the log says

        def passes():
            say(net.side, b"x", GROUPS[0], source="192.0.2.77")
            return daemon.handler("out")["delivered"]

        wait_until(passes, "the host to be relayed")
    finally:
        net.side.ip("address del 192.0.2.77/32 dev eth0")
        net.host.run("ip", "route", "delete", "192.0.2.77", "dev", "eth1", check=False, stderr=-3)


def test_hosts_of_an_interface_without_addresses_are_relayed(net, start):
    """The addresses of the network may be those of a macvlan on it."""
    net.host.ip("link add link eth1 name shim type macvlan mode bridge", "address flush dev eth1",
                "address add 198.51.100.1/24 dev shim", "link set shim up")
    try:
        daemon = start(one_way(GROUPS[0], "eth1", "eth0", "ttl = 1;"))
        with receiver(net.peer, GROUPS[0]) as far:
            say(net.side, b"x", GROUPS[0])
            assert receive(far) == [b"x"]
        assert not dropped(daemon)
    finally:
        net.host.ip("link del shim", "address add 198.51.100.1/24 dev eth1", "address add 2001:db8:2::1/64 dev eth1 nodad")


def test_one_daemon_relays_broadcasts_both_ways_without_an_echo(net, start):
    daemon = start(both_ways(BROADCAST, "ttl = 1;"))
    with receiver(net.other, BROADCAST) as first, receiver(net.side, BROADCAST) as second:
        for i in range(3):
            say(net.peer, b"query %d" % i, BROADCAST)
            assert receive(first) == receive(second) == [b"query %d" % i]
        # Broadcasts come back to the host that sends them.
        assert dropped(daemon, "to-first") == {"loop": 3}
        assert daemon.handler("to-second")["received"] == 3
        say(net.side, b"answer", BROADCAST)
        assert receive(first) == [b"answer"]


@pytest.mark.parametrize("address", GROUPS)
def test_with_loop_what_comes_back_is_not_relayed_again(net, start, address):
    daemon = start(both_ways(address, "ttl = 9; loop = true;"))
    with receiver(net.side, address) as second:
        for i in range(3):
            say(net.peer, b"query %d" % i, address)
            assert receive(second) == [b"query %d" % i]
    wait_handled(daemon, 3, "to-first")
    assert dropped(daemon, "to-first") == {"loop": 3}
    assert daemon.handler("to-second")["received"] == 3


@pytest.mark.parametrize("address", GROUPS)
def test_programs_of_the_host_hear_what_is_relayed_with_loop_alone(net, start, address):
    for loop in "false", "true":
        daemon = start(one_way(address, more=f"ttl = 2; loop = {loop};"))
        with receiver(net.host, address, "eth1") as local, receiver(net.side, address) as far:
            # A program that is not bound to an interface hears what the daemon has joined, on any.
            local.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth1")
            say(net.peer, b"x", address)
            assert receive(far) == [b"x"]
            local.setblocking(False)
            with contextlib.nullcontext() if loop == "true" else pytest.raises(BlockingIOError):
                assert receive(local) == [b"x"]
        daemon.stop()


def test_another_group_hears_what_is_relayed_with_loop_alone(net, start):
    for loop in "false", "true":
        daemon = start(config([group("in", GROUPS[0], '"eth0"', '"out"'), group("copy", "239.0.9.2", '"eth0"', "")],
                              [handler("out", "239.0.9.2", f'interface = "eth0"; ttl = 2; loop = {loop};')]))
        with receiver(net.other, "239.0.9.2") as far:
            say(net.peer, b"x", GROUPS[0])
            assert receive(far) == [b"x"]
        assert daemon.group("copy")["received"] == (loop == "true")
        daemon.stop()


@pytest.mark.parametrize("address", GROUPS)
def test_what_a_program_of_the_host_sends_from_a_shared_port_is_relayed(net, start, address):
    daemon = start(both_ways(address, "ttl = 255; source_port = 5353;"))
    with receiver(net.side, address) as far:
        for i in range(3):
            say(net.host, b"%d" % i, address, port=PORT, loop=1, ttl=255)
            assert receive(far) == [b"%d" % i]
    assert daemon.handler("to-second")["delivered"] == 3


# Addresses of this host


@pytest.mark.parametrize("address, source", [(GROUPS[0], "198.51.100.1"), (GROUPS[1], "2001:db8:2::1")])
def test_what_comes_from_an_address_of_another_interface_is_dropped(net, start, address, source):
    daemon = start(one_way(address, more="ttl = 2;"))
    say(net.host, b"x", address, source=source, loop=1)
    wait_handled(daemon, 1)
    say(net.host, b"y", address, loop=1)
    assert wait_handled(daemon, 2)["delivered"] == 1
    assert dropped(daemon) == {"loop": 1}


def test_the_log_names_an_address_of_another_interface_once(net, start):
    daemon = start(one_way(GROUPS[0], more="ttl = 2;"))
    for i in range(3):
        say(net.host, b"%d" % i, GROUPS[0], source="198.51.100.1", loop=1)
    wait_handled(daemon, 3)
    line = "handler out: 198.51.100.1, which came in on eth0, is the address of another interface of this host: "
    assert daemon.log().count(line) == 1


def test_the_addresses_of_this_host_are_followed(net, start):
    daemon = start(one_way(GROUPS[1], more="ttl = 2;"))
    source = "2001:db8:9::99"
    net.other.ip(f"address add {source}/128 dev eth0 nodad")
    try:
        say(net.other, b"a host's", GROUPS[1], source=source)
        assert wait_handled(daemon, 1)["delivered"] == 1
        net.host.ip(f"address add {source}/128 dev eth1 nodad")

        def is_own():
            say(net.other, b"our own", GROUPS[1], source=source)
            return dropped(daemon).get("loop")

        wait_until(is_own, "the address to be known")
        net.host.ip(f"address delete {source}/128 dev eth1")
        delivered = daemon.handler("out")["delivered"]

        def is_other():
            say(net.other, b"a host's again", GROUPS[1], source=source)
            return daemon.handler("out")["delivered"] > delivered

        wait_until(is_other, "the address to be forgotten")
    finally:
        net.other.ip(f"address delete {source}/128 dev eth0")
        net.host.run("ip", "address", "delete", f"{source}/128", "dev", "eth1", check=False, stderr=-3)


def test_an_address_that_two_interfaces_have_is_that_of_either(net, start):
    """VLANs have the link-local address of the link below."""
    daemon = start(one_way("ff02::9:1", more="ttl = 2;"))
    commands = [f"address {{}} fe80::77/64 dev {interface}" for interface in ("eth0", "eth1")]
    net.host.ip(*(line.format("add") + " nodad" for line in commands))
    try:
        with net.host:
            index = socket.if_nametoindex("eth0")
            sock = udp_socket("ff02::9:1")
            sock.bind(("fe80::77", 0, 0, index))
        with sock:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            for i in range(20):  # before and after the daemon has noticed
                sock.sendto(b"%d" % i, ("ff02::9:1", PORT))
                wait_handled(daemon, i + 1)
        assert not dropped(daemon)
    finally:
        net.host.ip(*(line.format("delete") for line in commands))


@pytest.fixture
def shared_link_local(net):
    """A link-local address that a host of the network of eth0 has, and eth1: fe80::1 is that of many a router and bridge."""
    hosts = (net.peer, "eth0"), (net.host, "eth1")
    for host, interface in hosts:
        host.ip(f"address add fe80::1/64 dev {interface} nodad")
    yield "fe80::1"
    for host, interface in hosts:
        host.ip(f"address delete fe80::1/64 dev {interface}")


def say_from_link_local(host, payload, address, source, port=0):
    with host:
        index = socket.if_nametoindex("eth0")
        sock = udp_socket(address)
        sock.bind((source, port, 0, index))
    with sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sock.sendto(payload, (address, PORT))


def test_a_host_that_has_the_link_local_address_of_another_interface_is_relayed(net, start, shared_link_local):
    daemon = start(one_way("ff02::9:1", more="ttl = 2;"))
    say_from_link_local(net.peer, b"x", "ff02::9:1", shared_link_local)
    assert wait_handled(daemon, 1)["delivered"] == 1


def test_what_comes_from_the_link_local_address_and_the_port_that_a_handler_sends_from_is_dropped(net, start, shared_link_local):
    daemon = start(one_way("ff02::9:1", more="ttl = 2; source_port = 5353;"))
    say_from_link_local(net.peer, b"x", "ff02::9:1", shared_link_local, port=5353)
    wait_handled(daemon, 1)
    assert dropped(daemon) == {"loop": 1}


def test_the_link_local_address_of_an_interface_that_no_handler_sends_on_is_relayed_from_any_port(net, start):
    net.host.ip("link add far0 type veth peer name far1")
    try:
        for host, interface in (net.peer, "eth0"), (net.host, "far0"):
            host.ip(f"address add fe80::1/64 dev {interface} nodad")
        net.host.ip("link set far0 up")
        net.host.ip("link set far1 up")
        daemon = start(one_way("ff02::9:1", more="ttl = 2; source_port = 5353;"))
        say_from_link_local(net.peer, b"x", "ff02::9:1", "fe80::1", port=5353)
        assert wait_handled(daemon, 1)["delivered"] == 1
    finally:
        net.peer.ip("address delete fe80::1/64 dev eth0")
        net.host.ip("link delete far0")


# Rings that one daemon makes of unicast


def test_a_group_of_all_addresses_does_not_relay_its_own(net, start):
    """Which address is one of this host, the configuration cannot know for ever."""
    daemon = start(config(['in: { address = "0.0.0.0"; port = 5020; handlers = ["out"]; };',
                           group("noticed", GROUPS[0], '"203.0.113.1"', "")],
                          [handler("out", "203.0.113.1", port=5020)]))
    net.host.ip("address add 203.0.113.1/32 dev lo")
    try:
        daemon.wait_joined("noticed")
        with net.host, udp_socket("127.0.0.1") as sock:
            sock.sendto(b"x", ("127.0.0.1", 5020))
        numbers = wait_handled(daemon, 2)
        assert numbers["delivered"] == 1
        assert dropped(daemon) == {"loop": 1}
    finally:
        net.host.ip("address delete 203.0.113.1/32 dev lo")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_two_groups_of_this_host_do_not_circle(net, start, address):
    daemon = start(config([group("a", address, '"lo"', '"to-b"', 5021), group("b", address, '"lo"', '"to-a"', 5022)],
                          [handler("to-b", address, port=5022), handler("to-a", address, port=5021)]))
    with net.host, udp_socket(address) as sock:
        sock.sendto(b"x", (address, 5021))
    wait_handled(daemon, 1, "to-a")
    assert daemon.handler("to-b")["delivered"] == 1
    assert dropped(daemon, "to-a") == {"loop": 1}
    assert daemon.group("a")["received"] == 1


# Configurations


def hub(names):
    """The hub's handlers go to all spokes, theirs to the hub."""
    groups = [group(name, GROUPS[0], f'"{name}"', ", ".join(f'"to-{other}"' for other in (names[1:] if not i else names[:1])))
              for i, name in enumerate(names)]
    return config(groups, [handler(f"to-{name}", GROUPS[0], f'interface = "{name}";') for name in names])


@pytest.mark.parametrize("text", [both_ways(GROUPS[0]), both_ways(GROUPS[1]), hub(["br0", "br1", "br2", "br3"])],
                         ids=["v4", "v6", "hub and spokes"])
def test_groups_of_one_address_may_feed_each_other(tmp_path, text):
    result = check(tmp_path, text)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("address, interfaces, way", [
    (GROUPS[0], '"eth0"', 'interface = "eth0";'), (GROUPS[0], '"eth0"', ""), (GROUPS[1], '"eth*"', 'interface = "eth3";'),
    (GROUPS[0], '"!eth1"', 'interface = "eth0";'), (BROADCAST, '"eth0"', 'interface = "eth0";'),
    ("0.0.0.0", '"lo"', "")])
def test_a_group_that_would_hear_its_own_handler_is_refused(tmp_path, address, interfaces, way):
    to = "127.0.0.1" if address == "0.0.0.0" else address
    result = check(tmp_path, config([group("in", address, interfaces, '"out"')], [handler("out", to, way)]))
    assert result.returncode == 78
    assert 'groups.in.handlers: "out" sends to the address and port of the group' in result.stderr


def test_a_group_that_would_hear_its_own_handler_is_not_joined(net, start):
    daemon = start(config([], [handler("out", GROUPS[0], 'interface = "eth1";')]))
    for interface in "eth1", net.host.run("ip", "-o", "-4", "address", "show", "eth1").split()[3].split("/")[0]:
        said = daemon.ctl("join", f"{GROUPS[0]}:{PORT}", "--interface", interface, "--handler", "out", status=1)
        assert '"out" sends to the address and port of the group on eth1' in said
    daemon.ctl("join", f"{GROUPS[0]}:{PORT}", "--interface", "eth0", "--handler", "out")


@pytest.mark.parametrize("more, words", [
    ('source_address = "192.0.2.1";', "source_address: contradicts keep_source"),
    ("source_port = 5353;", "source_port: contradicts keep_source"),
])
def test_the_source_cannot_be_kept_and_given(tmp_path, more, words):
    result = check(tmp_path, one_way(GROUPS[0], more=f"keep_source = true; {more}"))
    assert result.returncode == 78
    assert words in result.stderr


def test_without_the_capability_no_datagram_leaves_with_another_source(net, start):
    daemon = start(one_way(GROUPS[0], more="keep_source = true; ttl = 2;"),
                   wrapper=["setpriv", "--bounding-set=-net_raw,-net_admin", "--inh-caps=-net_raw,-net_admin"])
    say(net.peer, b"x", GROUPS[0])
    wait_handled(daemon, 1)
    assert dropped(daemon) == {"absent": 1}
    assert "relay-keeps-source.conf" in daemon.log()
    assert "restart" in daemon.log()


# TTL


@pytest.mark.parametrize("ttl", [1, 4, 255])
@pytest.mark.parametrize("came_with", [1, 64])
@pytest.mark.parametrize("address", [*GROUPS, BROADCAST])
def test_a_ttl_that_is_given_is_sent_exactly(net, start, address, came_with, ttl):
    start(one_way(address, more=f"ttl = {ttl};"))
    with receiver(net.side, address) as sock:
        say(net.peer, b"x", address, ttl=came_with)
        assert get_ttl(sock) == (b"x", ttl)


@pytest.mark.parametrize("address", [*GROUPS, BROADCAST])
def test_without_one_a_relay_to_many_takes_one_off(net, start, address):
    start(one_way(address))
    with receiver(net.side, address) as sock:
        for ttl in 255, 2:
            say(net.peer, b"x", address, ttl=ttl)
            assert get_ttl(sock) == (b"x", ttl - 1)


@pytest.mark.parametrize("to", ["198.51.100.2", "2001:db8:2::2"])
def test_without_one_a_host_is_sent_to_with_64(net, start, to):
    address = GROUPS[family(to) == socket.AF_INET6]
    start(one_way(address, to=to))
    with receiver(net.side, address) as sock:
        for ttl in 1, 255:
            say(net.peer, b"x", address, ttl=ttl)
            assert get_ttl(sock) == (b"x", 64)


@pytest.mark.parametrize("address, what", [(GROUPS[0], "TTL"), (GROUPS[1], "hop limit")])
def test_the_log_says_once_what_to_set_for_a_source_of_ttl_1(net, start, address, what):
    daemon = start(one_way(address))
    for i in range(5):
        for host in net.peer, net.other:
            say(host, b"%d" % i, address, ttl=1)
    wait_handled(daemon, 10)
    assert dropped(daemon) == {"ttl": 10}
    source = net.peer.v4 if what == "TTL" else net.peer.v6
    lines = [line for line in daemon.log().splitlines() if "are not relayed" in line]
    assert lines == [f"handler out: datagrams of {source} arrive with {what} 1 and are not relayed; set ttl = 1 "
                     "(or what receivers expect)"]


# Interfaces that come and go


@pytest.fixture
def late0(net):
    """A function that makes an interface of the host; its other end is late1 of the side."""
    def make():
        net.host.ip(f"link add late0 type veth peer name late1 netns {net.side.path}")
        net.side.ip("address add 203.0.113.2/24 dev late1", "link set late1 up")
        net.host.ip("address add 203.0.113.1/24 dev late0", "link set late0 up")

    yield make
    net.host.run("ip", "link", "delete", "late0", check=False, stderr=-3)


@pytest.mark.parametrize("to", ["239.0.9.2", "203.0.113.2", "203.0.113.255"], ids=["group", "host", "broadcast"])
def test_a_relay_opens_and_closes_with_its_interface_and_no_datagram_is_needed(net, start, late0, to):
    daemon = start(one_way(GROUPS[0], here="late0", to=to))
    assert "there is no interface late0" in daemon.new_log()
    for gone, words in (("link delete late0", "there is no interface late0"), ("link set late0 down", "late0 is down"),
                        ("address flush dev late0", "late0 has no IPv4 address")):
        late0()
        wait_until(lambda: "sends on late0 now" in daemon.new_log(), "the relay to open")
        net.host.ip(gone)
        wait_until(lambda: words in daemon.new_log(), "the relay to close")
        net.host.run("ip", "link", "delete", "late0", check=False, stderr=-3)
    assert daemon.handler("out")["received"] == 0


def test_an_interface_that_is_made_again_is_sent_on_at_once(net, start, late0):
    late0()
    daemon = start(one_way(GROUPS[0], here="late0", more="ttl = 2;"))
    with receiver_on(net.side, GROUPS[0], PORT, "late1") as sock:
        say(net.peer, b"before", GROUPS[0])
        assert receive(sock) == [b"before"]
    net.host.ip("link delete late0")
    late0()
    with receiver_on(net.side, GROUPS[0], PORT, "late1") as sock:
        wait_until(lambda: say(net.peer, b"again", GROUPS[0]) or daemon.handler("out")["delivered"] > 1, "a datagram")
        assert receive(sock) == [b"again"]


def test_changes_elsewhere_leave_the_port_as_it_is(net, start, late0):
    daemon = start(one_way(GROUPS[0], more="ttl = 2;"))
    with receiver(net.side, GROUPS[0]) as sock:
        say(net.peer, b"before", GROUPS[0])
        port = sock.recvfrom(100)[1][1]
        late0()
        net.host.ip("address add 198.51.100.9/24 dev eth1", "address delete 198.51.100.9/24 dev eth1", "link delete late0")
        say(net.peer, b"after", GROUPS[0])
        assert sock.recvfrom(100)[1][1] == port
    assert "sends" not in daemon.log()


# Rings of several relays


@pytest.fixture(scope="module")
def second_relay(net):
    """The other host is on both networks, too."""
    net.second.plug(net.other, "eth1", default=False)
    wait_until(lambda: net.other.has_route("eth1"), "the link of eth1")
    return net.other


def addresses(host):
    return {line.split()[3].split("/")[0] for line in host.run("ip", "-o", "address").splitlines()}


COPIES = 64  # that are relayed of what an address brings back


def total(daemons):
    return sum(h["received"] for daemon in daemons for h in daemon.call("ListHandlers")["handlers"] if h["type"] == "udp")


def wait_for_silence(daemons):
    """Until no relay has received anything for a while."""
    last, since = None, 0

    def is_silent():
        nonlocal last, since
        now = total(daemons)
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > 0.5

    wait_until(is_silent, "the ring to end")


def assert_ring_ends(daemons, far, payloads, relays=1):
    """far hears each payload, and not more copies than the relays may send of it."""
    wait_for_silence(daemons)
    copies = collections.Counter()
    far.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            copies[far.recv(100)] += 1
    assert set(copies) == set(payloads)
    # Each relay sends what came first, and what each of the others brings back.
    assert max(copies.values()) <= (relays + 1) * (COPIES * relays + 1), copies
    handlers = [h for daemon in daemons for h in daemon.call("ListHandlers")["handlers"] if h["type"] == "udp"]
    assert sum(h["dropped"]["loop"] for h in handlers) > 0
    log = "".join(daemon.log() for daemon in daemons)
    assert "a ring of relays: " in log
    assert len([line for line in log.splitlines() if "a ring of relays" in line]) <= 4 * len(daemons)


@pytest.mark.parametrize("ttl", [1, 255])
@pytest.mark.parametrize("address", [*GROUPS, BROADCAST])
def test_two_hosts_that_relay_both_ways_end_their_ring(net, start, second_relay, address, ttl):
    daemons = [start(both_ways(address, f"ttl = {ttl};"), host) for host in (net.host, second_relay)]
    payloads = [b"%d" % i for i in range(20)]
    with receiver(net.side, address) as far:
        far.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        for payload in payloads:
            say(net.peer, payload, address)
        assert_ring_ends(daemons, far, payloads)
    for daemon, other in zip(daemons, [second_relay, net.host]):
        named = re.findall(r"a ring of relays: (\S+) sends back", daemon.log())
        assert set(named) <= addresses(other), (named, addresses(other))


@pytest.mark.parametrize("address", [GROUPS[0], BROADCAST])
def test_two_daemons_of_one_host_whose_datagrams_come_back_end_their_ring(net, start, address):
    """Broadcasts, and groups with loop = true: each hears what the other sends."""
    daemons = [start(one_way(address, *ways, "ttl = 255; loop = true;")) for ways in (("eth0", "eth1"), ("eth1", "eth0"))]
    payloads = [b"%d" % i for i in range(20)]
    with receiver(net.side, address) as far:
        far.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        for payload in payloads:
            say(net.peer, payload, address)
        assert_ring_ends(daemons, far, payloads)


def test_two_hosts_that_relay_unicast_to_each_other_end_their_ring(net, start):
    def unicast(own, to):
        return config([f'in: {{ address = "{own}"; port = 5030; handlers = ["out"]; }};'], [handler("out", to, port=5030)])

    daemons = [start(unicast(net.host.v4, net.peer.v4)), start(unicast(net.peer.v4, net.host.v4), net.peer)]
    with net.other, udp_socket("192.0.2.1") as sock:
        for i in range(20):
            sock.sendto(b"%d" % i, (net.host.v4, 5030))
    wait_for_silence(daemons)
    assert all(20 < d.handler("out")["delivered"] <= 20 * (COPIES + 1) for d in daemons)
    assert any(dropped(d) for d in daemons)


def test_equal_payloads_of_several_hosts_are_no_ring(net, start):
    daemon = start(one_way(GROUPS[0], more="ttl = 4;"))
    for _ in range(50):
        for host, ttl in ((net.peer, 255), (net.other, 64), (net.peer, 32), (net.other, 1)):
            say(host, b"beacon", GROUPS[0], ttl=ttl)
    assert wait_handled(daemon, 200)["delivered"] == 200
