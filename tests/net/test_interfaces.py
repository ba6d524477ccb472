"""Every kind of link: which ones are joined by name, by pattern and by default, and that they are received on."""

import subprocess

import pytest

from harness.daemon import VarlinkError, run_mcastd
from harness.peers import receiver_on, send
from harness.records import lines_of
from harness.topology import Host
from harness.tunnels import Tunnel
from harness.waiting import wait_until

GROUPS = {"name": 1, "glob": 2, "default": 3}
WANTED = {"name": '"x0"', "glob": '"x*"', "default": None}


def config(ways=WANTED):
    groups = []
    for way, pattern in ways.items():
        interfaces = f"interfaces = [{pattern}]; " if pattern else ""
        number = GROUPS.get(way, 9)
        groups.append(f'{way}4: {{ address = "233.252.0.{number}"; port = 5004; {interfaces} }};')
        groups.append(f'{way}6: {{ address = "ff15::{number}"; port = 5004; {interfaces} }};')
    return "groups: { " + " ".join(groups) + " };"


class Link:
    """A link x0 of a host, and how datagrams get in."""

    def __init__(self, kind):
        self.host, self.peer, self.tunnel, self.ends = Host(), Host(), None, []
        for setting in ("all", "default"):
            self.host.run("sysctl", "-qw", f"net.ipv4.conf.{setting}.rp_filter=0")
        getattr(self, "make_" + kind)()

    def pair(self, name):
        self.host.ip(f"link add {name} index 100 type veth peer name eth0 netns {self.peer.path}", f"link set {name} up")
        self.peer.ip("address add 203.0.113.2/24 dev eth0", "address add 2001:db8:9::2/64 dev eth0 nodad",
                     "link set eth0 up")

    def number(self):
        self.host.ip("address add 203.0.113.1/24 dev x0", "address add 2001:db8:9::1/64 dev x0 nodad",
                     "link set x0 up")

    def make_veth(self):
        self.pair("x0")
        self.number()

    def make_veth_without_addresses(self):
        self.pair("x0")

    def make_macvlan(self, kind="macvlan"):
        self.pair("base")
        self.host.ip(f"link add x0 link base type {kind} mode bridge")
        self.number()

    def make_macvtap(self):
        self.make_macvlan("macvtap")

    def make_bridge(self):
        self.pair("port")
        self.host.ip("link add x0 type bridge mcast_snooping 0", "link set port master x0")
        self.number()

    def make_port(self):
        self.pair("x0")
        self.host.ip("link add br0 type bridge mcast_snooping 0", "link set x0 master br0", "link set br0 up")
        self.number()

    def make_tun(self, mode="tun", multicast="on"):
        self.tunnel = Tunnel(self.host, "x0", mode)
        self.host.ip(f"link set x0 multicast {multicast}")
        self.number()

    def make_tun_without_multicast(self):
        self.make_tun(multicast="off")

    def make_tap(self):
        self.make_tun("tap")

    def make_ifb(self):
        self.host.ip("link add x0 type ifb")
        self.number()

    def make_vxlan(self):
        self.pair("base")
        self.host.ip("address add 198.51.100.1/24 dev base",
                     "link add x0 type vxlan id 5 remote 198.51.100.2 dstport 4789 dev base")
        self.peer.ip("address flush dev eth0", "address add 198.51.100.2/24 dev eth0",
                     "link add x9 index 77 type vxlan id 5 remote 198.51.100.1 dstport 4789 dev eth0",
                     "address add 203.0.113.2/24 dev x9", "address add 2001:db8:9::2/64 dev x9 nodad", "link set x9 up")
        self.number()

    def send(self, group):
        if self.tunnel:
            self.tunnel.put_in("2001:db8:9::2" if ":" in group else "203.0.113.2", group, 5004, b"x")
        else:
            out = "x9" if "x9" in self.peer.run("ip", "-br", "link") else "eth0"
            if self.peer.has_route(out):
                send(self.peer, b"x", group, 5004, out)

    def close(self):
        if self.tunnel:
            self.tunnel.close()
        self.host.close()
        self.peer.close()


@pytest.fixture
def link(request):
    link = Link(request.param)
    yield link
    link.close()


# kind: the ways by which it is joined, and whether datagrams get to its sockets at all
KINDS = {
    "veth": ("name glob default", True),
    "veth_without_addresses": ("name glob default", True),
    "macvlan": ("name glob default", True),
    "macvtap": ("name glob default", True),
    "bridge": ("name glob default", True),
    "port": ("name", False),  # the bridge takes them
    "tun": ("name glob default", True),
    "tun_without_multicast": ("name", True),
    "tap": ("name glob default", True),
    "ifb": ("name", False),  # the kernel hands its frames back to the link that they came from
    "vxlan": ("name glob default", True),
}


def joined_on(daemon, group):
    return {m["interface"] for m in daemon.group(group)["memberships"] if m["state"] == "joined"}


@pytest.mark.parametrize("link", KINDS, indirect=True)
def test_a_link_of_each_kind_is_joined_and_received_on(start, link, request):
    ways, is_received = KINDS[request.node.callspec.params["link"]]
    daemon = start(config(), host=link.host)
    for way in WANTED:
        for family in "46":
            assert ("x0" in joined_on(daemon, way + family)) == (way in ways.split()), (way, family)
    for way in ways.split() if is_received else ():
        for family, address in ("4", f"233.252.0.{GROUPS[way]}"), ("6", f"ff15::{GROUPS[way]}"):

            def received():
                link.send(address)
                return daemon.group(way + family)["received"]

            wait_until(received, f"a datagram of {way}{family}")


@pytest.mark.parametrize("link", ["port"], indirect=True)
def test_a_port_that_is_named_says_where_its_datagrams_arrive(start, link):
    daemon = start(config({"name": '"x0"'}), host=link.host)
    assert daemon.membership("name4", "x0")["error"] == \
        "x0 is a port of the bridge br0: datagrams arrive there, join br0"
    link.host.ip("link set x0 nomaster")
    wait_until(lambda: not daemon.membership("name4", "x0")["error"], "the port to be none")


@pytest.mark.parametrize("link", ["port"], indirect=True)
@pytest.mark.parametrize("names, why", [
    ('"nope0"', "name4: waiting for nope0: there is no such interface\n"),
    ('"x0"', "name4: joined on x0: x0 is a port of the bridge br0: datagrams arrive there, join br0\n"),
    ('"nope0", "br0"', "")], ids=["absent", "port", "joined elsewhere"])
def test_tail_of_a_group_says_why_it_is_not_received(start, link, names, why):
    daemon = start(config({"name": names}), host=link.host)
    errors = daemon.ctl("tail", "name4", "--timeout", "1s", status=1)
    assert errors == (f"mcastctl: tail: {why}" if why else "") + "mcastctl: tail: timeout: no datagram came\n"


@pytest.mark.parametrize("link", ["veth"], indirect=True)
@pytest.mark.parametrize("name", ["203.0.113.1", "2001:db8:9::1", "lan-port-1", "lan-*"])
def test_an_interface_may_be_named_by_what_the_kernel_knows_it_by(start, link, name):
    link.host.ip("link property add dev x0 altname lan-port-1")
    daemon = start(config({"other": f'"{name}"'}), host=link.host)
    for group in "other4", "other6":
        assert joined_on(daemon, group) == {"x0"}


@pytest.mark.parametrize("link", ["veth"], indirect=True)
def test_an_interface_named_by_its_address_is_joined_when_it_gets_it(start, link):
    daemon = start(config({"other": '"203.0.113.77"'}), host=link.host)
    assert daemon.membership("other4", "203.0.113.77")["error"] == "no interface has this address"
    link.host.ip("address add 203.0.113.77/24 dev x0")
    wait_until(lambda: joined_on(daemon, "other4") == {"x0"}, "the membership")


@pytest.mark.parametrize("link", ["veth"], indirect=True)
def test_an_interface_named_by_its_alternative_name_is_joined_when_it_gets_it(start, link):
    daemon = start(config({"other": '"lan-port-1"'}), host=link.host)
    link.host.ip("link property add dev x0 altname lan-port-1")
    wait_until(lambda: joined_on(daemon, "other4") == {"x0"}, "the membership")
    assert "left on lan-port-1" not in daemon.log()


@pytest.mark.parametrize("link", ["veth"], indirect=True)
def test_an_address_that_no_interface_had_is_not_left(start, link):
    link.host.ip("address add 203.0.113.77/24 dev x0")
    daemon = start(config({"other": '"203.0.113.77"'}), host=link.host)
    assert joined_on(daemon, "other4") == {"x0"}
    link.host.ip("address del 203.0.113.77/24 dev x0")
    wait_until(lambda: "group other4: waiting for 203.0.113.77" in daemon.log(), "the address to be gone")
    link.host.ip("address add 203.0.113.77/24 dev x0")
    wait_until(lambda: "group other4: joined on x0" in daemon.log(), "the line of the join")
    log = daemon.log()  # it leaves before it joins
    assert "left on x0" in log and "left on 203.0.113.77" not in log


@pytest.mark.parametrize("link", ["veth"], indirect=True)
@pytest.mark.parametrize("left_out, wanted", [
    ('"!x0"', {"y0", "y1"}), ('"!y*"', {"x0"}), ('"!203.0.113.1"', {"y0", "y1"}), ('"!other-name"', {"x0", "y1"}),
    ('"y*", "!y1"', {"y0"}), ('"!y1", "*0"', {"x0", "y0"}), ('"y1", "!y*"', {"y1"}),
])
def test_what_is_left_out_is_not_joined(start, link, left_out, wanted):
    """One that is named is wanted, whatever else is left out."""
    link.host.ip("link add y0 type bridge", "link add y1 type bridge", "link set y0 up", "link set y1 up",
                 "link property add dev y0 altname other-name")
    daemon = start(config({"other": left_out}), host=link.host)
    assert joined_on(daemon, "other4") == wanted


@pytest.mark.parametrize("name, what", [
    ("eth0,eth1", 'is a list in one string, write ["eth0", "eth1"]'), ("eth0@if2", "leave out the @ and what follows"),
    ("eth0:10", "no name has a space, a control character or :"), ("10.1.0.0/24", "without /"), ("-eth0", "write ! in front"),
    ("0.0.0.0", 'write a name, or "*" for all'), ("::", 'write a name, or "*" for all'), ("!239.1.1.1", "no interface's address"),
])
def test_what_cannot_be_an_interface_is_refused_with_what_to_write(tmp_path, name, what):
    path = tmp_path / "mcastd.conf"
    path.write_text(f'groups: {{ g: {{ address = "233.252.0.1"; port = 5004; interfaces = ["{name}"]; }}; }};')
    result = run_mcastd("-c", str(path), "--check")
    assert result.returncode == 78 and what in result.stderr


def test_ipv6_is_waited_for_where_it_is_disabled_and_joined_when_it_is_enabled(start):
    host = Host()
    host.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
    host.ip("link add x0 type bridge", "link set x0 up", "address add 203.0.113.1/24 dev x0")
    daemon = start(config({"name": '"x0"'}), host=host)
    assert joined_on(daemon, "name4") == {"x0"}
    assert daemon.membership("name6", "x0")["error"] == \
        "IPv6 is disabled on the interface; sysctl -w net.ipv6.conf.x0.disable_ipv6=0 enables it"
    host.run("sysctl", "-qw", "net.ipv6.conf.x0.disable_ipv6=0")
    wait_until(lambda: joined_on(daemon, "name6") == {"x0"}, "the membership")
    host.run("sysctl", "-qw", "net.ipv6.conf.x0.disable_ipv6=1")
    wait_until(lambda: not joined_on(daemon, "name6"), "the end of the membership")
    host.close()


def receives(daemon, link, group, address):
    """Whether a datagram to the address arrives in the group."""
    before = daemon.group(group)["received"]

    def received():
        link.send(address)
        return daemon.group(group)["received"] > before

    wait_until(received, f"a datagram of {group}")


def second_link(link):
    """y0, to the same peer."""
    link.host.ip(f"link add y0 index 101 type veth peer name eth9 netns {link.peer.path}", "link set y0 up",
                 "address add 198.51.100.1/24 dev y0")
    link.peer.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.eth9.rp_filter=0")
    link.peer.ip("address add 198.51.100.2/24 dev eth9", "link set eth9 up")
    wait_until(lambda: link.peer.has_route("eth9") and link.host.has_route("y0"), "the second link")


def rename(host, old, new):
    """Also on kernels that do not rename what is up."""
    try:
        host.run("ip", "link", "set", old, "name", new, stderr=subprocess.DEVNULL)
    except subprocess.CalledProcessError:
        host.ip(f"link set {old} down", f"link set {old} name {new}", f"address replace 2001:db8:9::1/64 dev {new} nodad",
                f"link set {new} up")


@pytest.mark.parametrize("link", ["veth"], indirect=True)
def test_memberships_follow_the_names_of_interfaces(start, link):
    """A name stands for whatever interface has it; a pattern, an address and an alternative name for the same interface."""
    link.host.ip("link property add dev x0 altname lan-port-1", "link add x7 type bridge", "link set x7 up")
    ways = {"name": '"x0"', "glob": '"x*"', "address": '"203.0.113.1"', "altname": '"lan-port-1"'}
    groups = " ".join(f'{way}{family}: {{ address = "{address}{i}"; port = 5004; interfaces = [{pattern}]; '
                      f'handlers = ["lines"]; }};' for i, (way, pattern) in enumerate(ways.items(), 1)
                      for family, address in (("4", "233.252.0."), ("6", "ff15::")))
    daemon = start("groups: { " + groups + ' }; handlers: { lines: { type = "file"; path = "$DIR/lines"; format = "line"; }; };',
                   host=link.host)

    def check(name, moved):
        for i, way in enumerate(ways, 1):
            for family, address in ("4", f"233.252.0.{i}"), ("6", f"ff15::{i}"):
                if way == "name" and moved:
                    continue
                wait_until(lambda: name in joined_on(daemon, way + family), f"{way}{family} on {name}")
                receives(daemon, link, way + family, address)
                wait_until(lambda: lines_of(daemon, "lines", way + family)[-1:] and
                           lines_of(daemon, "lines", way + family)[-1]["interface"] == name.encode(), (way, family))

    check("x0", False)
    rename(link.host, "x0", "x9")
    wait_until(lambda: daemon.membership("name4", "x0")["error"] == "there is no such interface", "the name to be gone")
    check("x9", True)
    # The old name is that of another interface now.
    link.host.ip("link set x7 down", "link set x7 name x0", "link set x0 up")
    wait_until(lambda: joined_on(daemon, "name4") == joined_on(daemon, "name6") == {"x0"}, "the other interface")
    before = daemon.group("name4")["received"]
    receives(daemon, link, "glob4", "233.252.0.2")
    link.send("233.252.0.1")
    receives(daemon, link, "glob4", "233.252.0.2")
    assert daemon.group("name4")["received"] == before
    # And back.
    link.host.ip("link set x0 down", "link set x0 name x7", "link set x7 up")
    rename(link.host, "x9", "x0")
    check("x0", False)


@pytest.mark.parametrize("link", ["veth"], indirect=True)
def test_memberships_and_ways_follow_an_address_that_moves_and_an_alternative_name_that_goes(start, link):
    second_link(link)
    link.host.ip("address add 203.0.113.77/32 dev x0", "link property add dev x0 altname lan-port-1")
    daemon = start('groups: { moves: { address = "233.252.0.1"; port = 5004; interfaces = ["203.0.113.77"]; }; '
                   'goes: { address = "233.252.0.2"; port = 5004; interfaces = ["lan-port-1"]; }; '
                   'sends: { address = "233.252.0.3"; port = 5004; send_interface = "lan-port-1"; }; };', host=link.host)
    assert joined_on(daemon, "moves") == joined_on(daemon, "goes") == {"x0"}
    daemon.call("Send", group="sends", text="x")
    link.host.ip("address del 203.0.113.77/32 dev x0", "address add 203.0.113.77/32 dev y0")
    wait_until(lambda: joined_on(daemon, "moves") == {"y0"}, "the other interface")
    send(link.peer, b"x", "233.252.0.1", 5004, "eth9")
    wait_until(lambda: daemon.group("moves")["received"] == 1, "a datagram of the other interface")
    link.send("233.252.0.1")
    link.send("233.252.0.2")
    wait_until(lambda: daemon.group("goes")["received"] == 1, "a datagram")
    assert daemon.group("moves")["received"] == 1
    link.host.ip("link property del dev x0 altname lan-port-1")
    wait_until(lambda: not joined_on(daemon, "goes"), "the end of the membership")
    assert daemon.membership("goes", "lan-port-1")["error"] == "there is no such interface"
    assert daemon.error("Send", group="sends", text="x").parameters["message"] == "there is no interface lan-port-1"
    link.host.ip("link property add dev y0 altname lan-port-1")
    wait_until(lambda: joined_on(daemon, "goes") == {"y0"}, "the interface that has the name now")
    daemon.call("Send", group="sends", text="x")


@pytest.mark.parametrize("link", ["veth"], indirect=True)
def test_what_is_sent_follows_the_name_of_its_interface(start, link):
    """An interface that is renamed is no longer the one that is named; one that gets the name is."""
    second_link(link)
    daemon = start('groups: { one: { address = "233.252.0.1"; port = 5004; interfaces = ["x0"]; send_interface = "x0"; }; '
                   'joined: { address = "233.252.0.2"; port = 5004; interfaces = ["x0"]; }; };', host=link.host)
    receivers = {group: receiver_on(link.peer, address, 5004, "eth0")
                 for group, address in (("one", "233.252.0.1"), ("joined", "233.252.0.2"))}
    for address in "233.252.0.1", "233.252.0.2":  # joins for the receivers, too (IP_MULTICAST_ALL)
        receivers[address] = receiver_on(link.peer, address, 5004, "eth9")

    def outcome(group):
        """Why nothing was sent, or from which address what was sent has arrived."""
        try:
            daemon.call("Send", group=group, text="x")
        except VarlinkError as error:
            return error.parameters["message"]
        return receivers[group].recvfrom(99)[1][0]

    assert outcome("one") == outcome("joined") == "203.0.113.1"
    rename(link.host, "x0", "x9")
    for group in "one", "joined":
        wait_until(lambda: outcome(group) == "there is no interface x0", f"the refusal of {group}")
    link.host.ip("link set y0 down", "link set y0 name x0", "link set x0 up")
    for group in "one", "joined":
        wait_until(lambda: "no interface" not in outcome(group), f"the way of {group}")
        wait_until(lambda: outcome(group) == "198.51.100.1", f"the interface that has the name now, of {group}")
