"""Groups whose address is no multicast: broadcast, one of this host's own addresses, or any."""

import json
import socket

import pytest

from harness.daemon import run_mcastd
from harness.peers import packed, udp_socket
from harness.records import lines_of
from harness.tunnels import Tunnel
from harness.waiting import wait_until


def group(address, more="", name="g"):
    return f'{name}: {{ address = "{address}"; port = 7001; handlers = ["lines"]; {more} }};'


def config(*groups):
    return "groups: { " + " ".join(groups) + ''' };
    handlers: { lines: { type = "file"; path = "$DIR/lines"; format = "line"; }; };'''


def send(host, payload, address, port=7001, interface=None, source=None):
    """Sends one datagram, broadcast too."""
    with host, udp_socket(address) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if interface:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        if source:
            sock.bind((source, 0))
        sock.sendto(payload, (address, port))


def holder(host, address, port=7001, reuse=False):
    with host:
        sock = udp_socket(address)
        if reuse:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
    return sock


def states(daemon, name="g"):
    return {m["interface"]: m["state"] for m in daemon.group(name)["memberships"]}


def wait_lines(daemon, count, name="g"):
    wait_until(lambda: len(lines_of(daemon, "lines", name)) >= count, f"{count} lines of {name}")
    return lines_of(daemon, "lines", name)


@pytest.mark.parametrize("coalesce", ["", "coalesce = true;"])
@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8:1::1"])
def test_a_datagram_to_an_address_says_on_which_interface_it_came_in(start, net, address, coalesce):
    """Also on one that has another name now."""
    daemon = start(config(group(address, coalesce)))
    net.side.ip("route replace 192.0.2.0/24 via 198.51.100.1", "route replace 2001:db8:1::/64 via 2001:db8:2::1")
    for _ in range(3):
        send(net.peer, b"eth0", address)
        send(net.side, b"eth1", address)
    found = wait_lines(daemon, 6)
    assert [line["interface"] for line in found] == [line["payload"] for line in found]
    net.host.ip("link set eth1 down", "link set eth1 name renamed", "link set renamed up")
    try:
        wait_until(lambda: daemon.call("GetStatus") and net.host.has_route("renamed"), "the new name")
        wait_until(lambda: (send(net.side, b"again", address),
                            [line for line in lines_of(daemon, "lines", "g") if line["interface"] == b"renamed"])[1],
                   "a datagram by the new name")
    finally:
        net.host.ip("link set renamed down", "link set renamed name eth1", "link set eth1 up",
                    "address replace 2001:db8:2::1/64 dev eth1 nodad")
        wait_until(lambda: net.host.has_route("eth1"), "the old name")


def test_any_address_is_received_on_a_link_without_one(start, net):
    """An unnumbered link, where datagrams come to another address of the host."""
    tunnel = Tunnel(net.host, "tun9")
    net.host.ip("link set tun9 up")
    for setting in ("all", "tun9"):
        net.host.run("sysctl", "-qw", f"net.ipv4.conf.{setting}.rp_filter=0")
    daemon = start(config(group("0.0.0.0"), group("::", name="six")))
    assert states(daemon)["tun9"] == states(daemon, "six")["tun9"] == "joined"
    tunnel.put_in("203.0.113.9", "192.0.2.1", 7001, b"tun9")
    tunnel.put_in("2001:db8:99::9", "2001:db8:1::1", 7001, b"tun9")
    for name in "g", "six":
        (line,) = wait_lines(daemon, 1, name)
        assert line["payload"] == line["interface"] == b"tun9"
    net.host.ip("link set tun9 down")
    wait_until(lambda: "tun9" not in states(daemon), "the end of the membership")
    net.host.ip("link set tun9 up")
    wait_until(lambda: states(daemon).get("tun9") == "joined", "the membership")
    tunnel.close()
    wait_until(lambda: "tun9" not in states(daemon), "the end of the link")


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8:1::1"])
def test_an_address_of_this_host_has_one_membership_and_is_received_on(start, net, address):
    daemon = start(config(group(address)))
    assert states(daemon) == {"eth0": "joined"}
    assert "nothing can be sent" not in daemon.log()
    send(net.peer, b"from the peer", address)
    send(net.host, b"from the host", address)
    net.side.ip("route replace 192.0.2.0/24 via 198.51.100.1", "route replace 2001:db8:1::/64 via 2001:db8:2::1")
    send(net.side, b"by eth1", address)
    assert {line["payload"] for line in wait_lines(daemon, 3)} == {b"from the peer", b"from the host", b"by eth1"}


def test_a_link_local_address_is_received_on_the_interface_that_has_it(start, net):
    shown = json.loads(net.host.run("ip", "-j", "-6", "address", "show", "dev", "eth0"))
    address = next(a["local"] for link in shown for a in link.get("addr_info", []) if a.get("scope") == "link")
    daemon = start(config(group(address)))
    assert states(daemon) == {"eth0": "joined"}
    with net.peer, udp_socket(address) as sock:
        sock.sendto(b"x", (address, 7001, 0, socket.if_nametoindex("eth0")))
    wait_lines(daemon, 1)


@pytest.mark.parametrize("address, first", [
    ("255.255.255.255", "255.255.255.255"), ("192.0.2.255", "192.0.2.255"), ("0.0.0.0", "192.0.2.1"),
    ("0.0.0.0", "192.0.2.255"), ("::", "2001:db8:1::1"), ("192.0.2.1", "192.0.2.1"),
])
def test_where_an_interface_is_named_nothing_else_is_received(start, net, address, first):
    net.side.ip("route replace 192.0.2.0/24 via 198.51.100.1")
    daemon = start(config(group(address, 'interfaces = ["eth0"];')))
    assert states(daemon) == {"eth0": "joined"}
    second = {"255.255.255.255": "255.255.255.255", "::": "2001:db8:2::1"}.get(address, "192.0.2.1")
    for number in range(5):
        send(net.side, b"foreign", second, interface="eth0")
        send(net.peer, b"own", first, interface="eth0")
    assert [line["payload"] for line in wait_lines(daemon, 5)] == 5 * [b"own"]
    assert daemon.group("g")["received"] == 5


def test_any_address_is_received_on_every_interface_that_has_one_and_says_which(start, net):
    daemon = start(config(group("0.0.0.0")))
    assert states(daemon) == {"lo": "joined", "eth0": "joined", "eth1": "joined"}
    send(net.peer, b"eth0", "192.0.2.1")
    send(net.side, b"eth1", "198.51.100.1")
    send(net.host, b"lo", "127.0.0.1")
    assert all(line["payload"] == line["interface"] for line in wait_lines(daemon, 3))


def test_any_address_does_not_receive_groups_that_others_have_joined(start, net):
    with net.host, udp_socket("233.252.0.1") as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("233.252.0.1", 7001))
        other.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, packed("233.252.0.1") + packed("192.0.2.1"))
        daemon = start(config(group("0.0.0.0", 'interfaces = ["eth0", "eth1"];')))
        assert states(daemon) == {"eth0": "joined", "eth1": "joined"}
        send(net.peer, b"multicast", "233.252.0.1")
        send(net.peer, b"unicast", "192.0.2.1")
        assert other.recv(99) == b"multicast"
        assert [line["payload"] for line in wait_lines(daemon, 1)] == [b"unicast"]


def test_all_that_comes_to_a_port_is_three_groups(start, net):
    daemon = start(config(group("0.0.0.0", 'interfaces = ["eth*"];', "a"), group("233.252.0.1", 'interfaces = ["eth0"];', "b"),
                          group("192.0.2.255", "", "c")))
    assert {state for name in "abc" for state in states(daemon, name).values()} == {"joined"}
    send(net.peer, b"unicast", "192.0.2.1")
    send(net.peer, b"multicast", "233.252.0.1")
    send(net.peer, b"broadcast", "192.0.2.255")
    assert b"unicast" in {line["payload"] for line in wait_lines(daemon, 2, "a")}
    assert wait_lines(daemon, 1, "b")[0]["payload"] == b"multicast"
    assert wait_lines(daemon, 1, "c")[0]["payload"] == b"broadcast"


@pytest.mark.parametrize("address, held", [
    ("192.0.2.1", "192.0.2.1"), ("192.0.2.1", "0.0.0.0"), ("0.0.0.0", "0.0.0.0"), ("2001:db8:1::1", "::"),
])
def test_unicast_of_another_program_is_not_taken_even_where_it_shares(start, net, address, held):
    to = "192.0.2.1" if "." in address else address
    with holder(net.host, held, reuse=True) as other:
        daemon = start(config(group(address, 'interfaces = ["eth0"];')))
        membership = daemon.membership("g", "eth0")
        assert membership["state"] == "failed"
        assert "port 7001 is held by uid 0, which does not share it" in membership["error"]
        for _ in range(20):
            send(net.peer, b"theirs", to)
            assert other.recv(99) == b"theirs"
    wait_until(lambda: states(daemon) == {"eth0": "joined"}, "the port that is free again")


def plain(name, address, port, more=""):
    return f'{name}: {{ address = "{address}"; port = {port}; {more} }};'


@pytest.mark.parametrize("first, again", [
    (("192.0.2.1", ""), ("0.0.0.0", 'interfaces = ["eth0"];')), (("0.0.0.0", 'interfaces = ["eth0"];'), ("192.0.2.1", "")),
    (("192.0.2.1", ""), ("0.0.0.0", 'interfaces = ["eth1"];')), (("2001:db8:1::1", ""), ("::", 'interfaces = ["eth0"];')),
], ids=["any", "one", "other interface", "v6"])
def test_a_port_that_another_group_holds_names_the_group(start, net, first, again):
    daemon = start("groups: { " + plain("a", first[0], 7001, first[1]) + plain("b", again[0], 7001, again[1]) + " };")
    [membership] = daemon.group("b")["memberships"]
    assert membership["state"] == "failed"
    assert membership["error"].startswith(f"port 7001 is held by group a of this daemon, which receives {first[0]}: ")
    assert "and only one of them can be joined" in daemon.log()


def test_a_reload_that_hands_a_port_to_another_group_reports_no_failure(start, net):
    daemon = start("groups: { " + plain("a", "ff15::1", 7001, 'interfaces = ["eth0"];') + plain("b", "192.0.2.1", 7001) + " };")
    daemon.write_config("groups: { " + plain("a", "0.0.0.0", 7001) + plain("b", "192.0.2.1", 7002) + " };")
    daemon.ctl("reload")
    assert set(states(daemon, "a").values()) == set(states(daemon, "b").values()) == {"joined"}
    assert "is held by" not in daemon.log()
    send(net.peer, b"x", "192.0.2.1")
    wait_until(lambda: daemon.group("a")["received"] == 1, "the datagram")


def test_after_a_reload_a_port_that_two_groups_want_is_a_failure_of_one(start, net):
    daemon = start("groups: { " + plain("a", "192.0.2.1", 7001) + " };")
    daemon.write_config("groups: { " + plain("a", "192.0.2.1", 7001) + plain("b", "0.0.0.0", 7001, 'interfaces = ["eth0"];') + " };")
    daemon.ctl("reload")
    wait_until(lambda: states(daemon, "b") == {"eth0": "failed"}, "the port to be refused")
    assert set(states(daemon, "a").values()) == {"joined"}
    assert daemon.log().count("port 7001 is held by group a of this daemon") == 1


def test_other_programs_receive_a_broadcast_as_well(start, net):
    with holder(net.host, "192.0.2.255", reuse=True) as other:
        daemon = start(config(group("192.0.2.255")))
        assert states(daemon) == {"eth0": "joined"}
        send(net.peer, b"all", "192.0.2.255")
        assert other.recv(99) == b"all"
        wait_lines(daemon, 1)


@pytest.mark.parametrize("interfaces", ["", 'interfaces = ["eth0"];'])
def test_an_address_that_is_not_of_this_host_is_waited_for(start, net, interfaces):
    daemon = start(config(group("192.0.2.77", interfaces), group("203.0.113.255", interfaces, "b")))
    for name, address in ("g", "192.0.2.77"), ("b", "203.0.113.255"):
        (membership,) = daemon.group(name)["memberships"]
        assert membership["state"] == "waiting"
        assert membership["error"] == \
            f"{address} is neither an address of this host nor a broadcast address of its networks"
    net.host.ip("address add 192.0.2.77/24 dev eth0", "address add 203.0.113.1/24 dev eth0")
    for name in "gb":
        wait_until(lambda: states(daemon, name) == {"eth0": "joined"}, f"the address of {name}")
    send(net.peer, b"x", "192.0.2.77")
    wait_lines(daemon, 1)
    net.host.ip("address del 192.0.2.77/24 dev eth0", "address del 203.0.113.1/24 dev eth0")
    for name in "gb":
        wait_until(lambda: set(states(daemon, name).values()) == {"waiting"}, f"the end of {name}")


def test_an_address_that_moves_is_received_on_where_it_is(start, net):
    net.host.ip("address add 192.0.2.78/32 dev eth0")
    daemon = start(config(group("192.0.2.78")))
    assert states(daemon) == {"eth0": "joined"}
    net.host.ip("address del 192.0.2.78/32 dev eth0", "address add 192.0.2.78/32 dev eth1")
    wait_until(lambda: states(daemon) == {"eth1": "joined"}, "the other interface")
    net.host.ip("address del 192.0.2.78/32 dev eth1")


@pytest.mark.parametrize("key, passed", [("sources", "peer"), ("block_sources", "other")])
@pytest.mark.parametrize("v", [4, 6])
@pytest.mark.parametrize("handlers", ["lines", ""])
def test_sources_hold_and_what_they_refuse_is_counted(start, net, key, passed, v, handlers):
    """Also where nobody needs the payload."""
    own, peer = (net.host.v4, net.peer.v4) if v == 4 else (net.host.v6, net.peer.v6)
    text = config(group(own, f'{key} = ["{peer}"];'))
    daemon = start(text if handlers else text.replace('["lines"]', "[]"))
    for _ in range(10):
        send(net.peer, b"peer", own)
        send(net.other, b"other", own)
    wait_until(lambda: daemon.group("g")["received"] + daemon.group("g")["refused"] == 20, "all of them")
    found = daemon.group("g")
    assert (found["received"], found["refused"], found["receivedBytes"]) == (10, 10, 10 * len(passed))
    if handlers:
        assert {line["payload"] for line in wait_lines(daemon, 10)} == {passed.encode()}


def test_mcastctl_shows_what_was_refused_where_there_is_any(start, net):
    daemon = start(config(group("192.0.2.1", 'sources = ["192.0.2.2"];')))
    assert "REFUSED" not in daemon.ctl("groups")
    send(net.other, b"x", "192.0.2.1")
    wait_until(lambda: daemon.group("g")["refused"], "a datagram")
    assert "REFUSED" in daemon.ctl("groups")


def test_a_group_that_goes_under_a_flood_does_not_hold_up_the_daemon(start, net, blast):
    """There is nothing to leave: while the socket is read to its end, more comes."""
    daemon = start(config(group("192.0.2.1")))
    with blast.stream(net.peer, "192.0.2.1", 7001, rate=50000):
        wait_until(lambda: daemon.group("g")["received"] > 1000, "traffic")
        daemon.write_config("groups: { };")
        daemon.call("Reload")
        assert not daemon.call("ListGroups")["groups"]


def test_the_sockets_of_an_earlier_run_serve_only_as_they_were_bound(start, net):
    """Interfaces that are named later isolate, also after a reload."""
    daemon = start(config(group("192.0.2.1")))
    daemon.write_config(config(group("192.0.2.1", 'interfaces = ["eth0"];')))
    daemon.call("Reload")
    assert states(daemon) == {"eth0": "joined"}
    net.side.ip("route replace 192.0.2.0/24 via 198.51.100.1")
    send(net.side, b"from eth1", "192.0.2.1")
    send(net.peer, b"from eth0", "192.0.2.1")
    assert [line["payload"] for line in wait_lines(daemon, 1)] == [b"from eth0"]


@pytest.mark.parametrize("text, complaint", [
    ('address = "0.0.0.1"; port = 1;', '"0.0.0.1" is no address of a host, use 0.0.0.0'),
    ('address = "::ffff:192.0.2.1"; port = 1;', "is an IPv4 address, write 192.0.2.1"),
    ('address = "0.0.0.0"; port = 1; ttl = 3;', "ttl: has no effect, nothing can be sent to 0.0.0.0"),
    ('address = "2001:db8::1"; port = 1; send_interface = "eth0";', "send_interface: has no effect"),
    ('address = "192.0.2.1"; port = 1; handlers = ["out"];', '"out" would send to the network what anybody sends'),
    ('address = "0.0.0.0"; port = 1; interfaces = ["!eth1"]; handlers = ["out"];', '"out" would send to the network'),
])
def test_what_can_never_be_right_is_refused(tmp_path, text, complaint):
    path = tmp_path / "mcastd.conf"
    path.write_text("groups: { g: { %s }; };\nhandlers: { out: { type = \"udp\"; address = \"239.8.8.8\"; port = 2; }; };"
                    % text)
    result = run_mcastd("-c", str(path), "--check")
    assert result.returncode == 78 and complaint in result.stderr


@pytest.mark.parametrize("more, filtered", [
    ('interfaces = ["eth0"];', ""), ('sources = ["192.0.2.2"];', ""), ("", 'filter: { sources = ["192.0.2.0/24"]; };'),
])
def test_unicast_may_feed_a_network_where_its_senders_or_interfaces_are_named(tmp_path, more, filtered):
    path = tmp_path / "mcastd.conf"
    path.write_text(f'''groups: {{ g: {{ address = "192.0.2.1"; port = 1; handlers = ["out"]; {more} }}; }};
        handlers: {{ out: {{ type = "udp"; address = "239.8.8.8"; port = 2; {filtered} }}; }};''')
    result = run_mcastd("-c", str(path), "--check")
    assert result.returncode == 0, result.stderr
