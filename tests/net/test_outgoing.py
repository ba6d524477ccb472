"""Where datagrams leave: seen by packet sockets on every link of a host with three interfaces, of which none is named
unless the configuration names it. Nothing ever leaves elsewhere."""

import itertools
import socket
import struct
import subprocess

import pytest

from harness.daemon import MCASTCTL
from harness.firewall import refuse_nothing, refuse_one_in
from harness.peers import receive, seqpacket, send
from harness.topology import Host
from harness.waiting import wait_until

PORT = 5004
GROUPS = {"4": "233.252.0.7", "6": "ff15::7"}
LINKS = ["wan0", "lan1", "lan2"]

FAMILIES = pytest.mark.parametrize("family", ["4", "6"], ids=["v4", "v6"])


class Tap:
    """A packet socket at the far end of a link."""

    def __init__(self, host, interface):
        with host:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
            self.socket.bind((interface, 3))
        self.socket.setblocking(False)

    def seen(self):
        """(payload, source address, source port, DSCP) of what arrived on the port since the last call."""
        found = []
        while True:
            try:
                packet, origin = self.socket.recvfrom(65536)
            except BlockingIOError:
                return found
            if origin[2] == socket.PACKET_OUTGOING:
                continue
            if packet[0] >> 4 == 4 and packet[9] == socket.IPPROTO_UDP:
                udp, source = packet[(packet[0] & 15) * 4:], socket.inet_ntop(socket.AF_INET, packet[12:16])
                traffic_class = packet[1]
            elif packet[0] >> 4 == 6 and packet[6] == socket.IPPROTO_UDP:
                udp, source = packet[40:], socket.inet_ntop(socket.AF_INET6, packet[8:24])
                traffic_class = struct.unpack("!I", packet[:4])[0] >> 20 & 255
            else:
                continue
            source_port, port, length = struct.unpack("!HHH", udp[:6])
            if port == PORT:
                found.append((bytes(udp[8:length]), source, source_port, traffic_class >> 2))


class Office:
    """A host whose route for multicast is wan0, and what is at the other end of each link."""

    def __init__(self):
        self.host, self.far = Host(), Host()
        self.indexes = itertools.count(100)
        for number, link in enumerate(LINKS):
            self.add(link, number)
        self.host.ip("route add 224.0.0.0/4 dev wan0")

    def add(self, link, number=None, address=True):
        number = LINKS.index(link) if number is None else number
        # With other indexes at its ends the carrier is noticed at once, see harness.topology.
        self.host.ip(f"link add {link} index {next(self.indexes)} type veth peer name {link} netns {self.far.path}")
        self.far.ip(f"address add 203.0.{number}.2/24 dev {link}", f"link set {link} up",
                    f"address add 2001:db8:{number}::2/64 dev {link} nodad")
        if address:
            self.host.ip(f"address add 203.0.{number}.1/24 dev {link}",
                         f"address add 2001:db8:{number}::1/64 dev {link} nodad")
        self.host.ip(f"link set {link} up")
        wait_until(lambda: self.host.has_route(link) and self.far.has_route(link), f"the link of {link}")

    def put(self, link, condition):
        """Brings a link into a condition."""
        if condition == "absent":
            self.host.ip(f"link delete {link}")
        elif condition == "down":
            self.host.ip(f"link set {link} down")
        elif condition == "no address":
            self.host.ip(f"address flush dev {link}", f"address flush dev {link}")
            self.host.run("sysctl", "-qw", f"net.ipv6.conf.{link}.disable_ipv6=1")

    def restore(self, link, condition):
        if condition in ("down", "no address"):
            self.host.ip(f"link delete {link}")
        if condition != "present":
            self.add(link)
        if condition != "present" and link == "wan0":
            self.host.ip("route add 224.0.0.0/4 dev wan0")

    def taps(self):
        present = self.far.run("ip", "-br", "link")
        return {link: Tap(self.far, link) for link in LINKS if f"{link}@" in present}

    def close(self):
        self.host.close()
        self.far.close()


@pytest.fixture(scope="module")
def office():
    office = Office()
    yield office
    office.close()


@pytest.fixture
def begin(office, start):
    """Starts a daemon with one group on the host."""

    def begin(family, keys):
        group = f'address = "{GROUPS[family]}"; port = {PORT}; socket = true; {keys}'
        return start(f"groups: {{ g: {{ {group} }}; }};", host=office.host)

    return begin


def try_to_send(daemon, payload):
    """Returns the message of the refusal, or None."""
    daemon.control.send("Send", {"group": "g", "text": payload})
    reply = daemon.control.reply()
    return reply["parameters"]["message"] if "error" in reply else None


def outgoing(daemon):
    return {way["interface"]: way for way in daemon.group("g")["outgoing"]}


CONDITIONS = ["present", "absent", "down", "no address"]
# (interfaces, send_interface, where it leaves while all is there)
CONFIGURATIONS = {
    "route": ("", "", ["wan0"]),
    "one": ('["lan1"]', "", ["lan1"]),
    "two": ('["lan1", "lan2"]', "", ["lan1", "lan2"]),
    "glob": ('["lan*"]', "", ["lan1", "lan2"]),
    "excluding": ('["!wan0"]', "", ["lan1", "lan2"]),
    "send-one": ('["wan0", "lan2"]', '"lan1"', ["lan1"]),
    "send-two": ('["wan0"]', '["lan1", "lan2"]', ["lan1", "lan2"]),
    "send-without-interfaces": ("", '["lan1"]', ["lan1"]),
}


@FAMILIES
@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_nothing_leaves_by_an_interface_that_nobody_named(office, begin, name, condition, family):
    """lan1 is in the condition; what can leave by the others does."""
    interfaces, send_interface, ways = CONFIGURATIONS[name]
    keys = (f"interfaces = {interfaces};" if interfaces else "") + \
           (f"send_interface = {send_interface};" if send_interface else "")
    office.put("lan1", condition)
    try:
        taps = office.taps()
        daemon = begin(family, keys)
        wanted = [link for link in ways if link != "lan1" or condition == "present"]
        refusal = try_to_send(daemon, "one")
        if wanted:
            assert refusal is None
        else:
            assert "lan1" in refusal and "set send_interface" not in refusal
        for link in wanted:
            wait_until(lambda: any(seen[0] == b"one" for seen in taps[link].seen()), f"the datagram on {link}")
        assert {link: [s for s in tap.seen() if s[0] == b"one"] for link, tap in taps.items() if link not in wanted} \
            == {link: [] for link in taps if link not in wanted}
        group = daemon.group("g")
        assert (group["sent"], group["sendFailed"]) == ((1, 0) if wanted else (0, 1))
        is_named = "lan1" in interfaces + send_interface
        assert {way["interface"]: way["notSent"] for way in group["outgoing"] if way["notSent"]} == \
            ({"lan1": 1} if is_named and "lan1" in ways and "lan1" not in wanted else {})
    finally:
        office.restore("lan1", condition)


REASONS = {"absent": "there is no interface lan1", "down": "lan1 is down"}


@FAMILIES
@pytest.mark.parametrize("condition", ["absent", "down", "no address"])
def test_the_refusal_says_why_to_programs_at_both_sockets(office, begin, condition, family):
    office.put("lan1", condition)
    try:
        daemon = begin(family, 'send_interface = "lan1"; interfaces = ["wan0"];')
        reason = REASONS.get(condition) or {"4": "lan1 has no IPv4 address", "6": "IPv6 is disabled on lan1"}[family]
        assert reason in daemon.ctl("send", "g", "x", status=1)
        with seqpacket(daemon.group_path("g")) as program:
            program.send(b"y")
            wait_until(lambda: daemon.group("g")["sendFailed"] == 2, "the failure to be counted")
        assert f"not sent: {reason}" in daemon.log()
        assert reason in outgoing(daemon)["lan1"]["error"]
    finally:
        office.restore("lan1", condition)


@FAMILIES
def test_what_comes_back_is_sent_on_again(office, begin, family):
    office.put("lan1", "absent")
    daemon = begin(family, 'send_interface = ["lan1"]; interfaces = ["wan0"];')
    assert try_to_send(daemon, "lost")
    office.add("lan1")
    taps = office.taps()
    wait_until(lambda: try_to_send(daemon, "found") is None, "lan1 to be sent on")
    wait_until(lambda: any(seen[0] == b"found" for seen in taps["lan1"].seen()), "the datagram")
    assert not taps["wan0"].seen()


def test_without_an_address_no_other_interfaces_is_taken(office, begin):
    office.host.ip("address flush dev lan1")
    try:
        daemon = begin("4", 'interfaces = ["lan1"];')
        assert "ip addr add" in try_to_send(daemon, "x")
        office.host.ip("address add 203.0.1.9/24 dev lan1")
        taps = office.taps()
        wait_until(lambda: try_to_send(daemon, "y") is None, "the address to be noticed")
        assert wait_until(taps["lan1"].seen, "the datagram")[0][:2] == (b"y", "203.0.1.9")
    finally:
        office.restore("lan1", "no address")


def test_between_a_change_and_its_notice_the_kernel_refuses(office, begin):
    """The daemon is stopped while the address goes, and sends before it can have noticed."""
    daemon = begin("4", 'interfaces = ["lan1"];')
    taps = office.taps()
    daemon.pause()
    office.host.ip("address flush dev lan1")
    daemon.control.send("Send", {"group": "g", "text": "x"})
    daemon.resume()
    assert daemon.control.reply()["error"] == "io.mcastd.SendFailed"
    assert not [seen for tap in taps.values() for seen in tap.seen()]
    office.restore("lan1", "no address")


@FAMILIES
@pytest.mark.parametrize("keys", ['interfaces = ["lan1"];', 'interfaces = ["lan1", "lan2"];', ""])
def test_the_source_address_is_the_configured_one(office, begin, keys, family):
    other = {"4": "203.0.1.77", "6": "2001:db8:1::77"}[family]
    office.host.ip(f"address add {other}/{24 if family == '4' else 64} dev lan1" + (" nodad" if family == "6" else ""))
    try:
        daemon = begin(family, f'{keys or "send_interface = [{0}lan1{0}];".format(chr(34))} source_address = "{other}";')
        taps = office.taps()
        assert try_to_send(daemon, "x") is None
        assert wait_until(taps["lan1"].seen, "the datagram")[0][:2] == (b"x", other)
    finally:
        office.host.ip(f"address delete {other}/{24 if family == '4' else 64} dev lan1")


@FAMILIES
@pytest.mark.parametrize("key", ["interfaces", "send_interface"])
def test_an_interface_that_is_named_by_an_address_sends_from_it(office, begin, key, family):
    """The interface has another one before it."""
    other = {"4": "203.0.1.77", "6": "2001:db8:1::77"}[family]
    office.host.ip(f"address add {other}/{24 if family == '4' else 64} dev lan1" + (" nodad" if family == "6" else ""))
    try:
        daemon = begin(family, f'{key} = ["lan2", "{other}"];')
        taps = office.taps()
        assert try_to_send(daemon, "x") is None
        assert wait_until(taps["lan1"].seen, "the datagram")[0][:2] == (b"x", other)
        assert wait_until(taps["lan2"].seen, "the datagram")[0][1] != other
    finally:
        office.host.ip(f"address delete {other}/{24 if family == '4' else 64} dev lan1")


def test_an_unnumbered_link_sends_with_the_address_that_is_configured(office, begin):
    office.host.ip("address flush dev lan1")
    try:
        daemon = begin("4", 'interfaces = ["lan1"]; source_address = "203.0.2.1";')
        taps = office.taps()
        assert try_to_send(daemon, "x") is None
        assert wait_until(taps["lan1"].seen, "the datagram")[0][:2] == (b"x", "203.0.2.1")
        assert not taps["lan2"].seen()
    finally:
        office.restore("lan1", "no address")


def test_a_source_address_that_this_host_does_not_have_is_refused(begin):
    daemon = begin("4", 'interfaces = ["lan1"]; source_address = "203.0.113.9";')
    assert "no interface has the source_address 203.0.113.9" in try_to_send(daemon, "x")


@FAMILIES
def test_the_dscp_is_in_the_header(office, begin, family):
    daemon = begin(family, 'interfaces = ["lan1"]; dscp = 46;')
    taps = office.taps()
    daemon.call("Send", group="g", text="x")
    assert wait_until(taps["lan1"].seen, "the datagram")[0][3] == 46


@FAMILIES
def test_the_port_is_the_configured_one_and_the_host_responder_keeps_its_unicast(office, begin, family):
    """As avahi-daemon holds 5353: with SO_REUSEADDR, on all addresses."""
    with office.host:
        responder = socket.socket(socket.AF_INET if family == "4" else socket.AF_INET6, socket.SOCK_DGRAM)
        responder.settimeout(15)
        responder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        responder.bind(("", 5353))
    daemon = begin(family, 'interfaces = ["lan1", "lan2"]; source_port = 5353;')
    taps = office.taps()
    with responder:
        for number in range(20):
            daemon.call("Send", group="g", text="x")
            send(office.far, b"%d" % number, {"4": "203.0.1.1", "6": "2001:db8:1::1"}[family], 5353)
        assert receive(responder, 20) == [b"%d" % number for number in range(20)]
    for link in ("lan1", "lan2"):
        assert wait_until(taps[link].seen, "the datagram")[0][2] == 5353
    assert unread(office.host, 5353) == 0


@FAMILIES
def test_a_source_address_and_port_go_together(office, begin, family):
    address = {"4": "203.0.2.1", "6": "2001:db8:2::1"}[family]
    daemon = begin(family, f'interfaces = ["lan2"]; source_port = 6001; source_address = "{address}";')
    taps = office.taps()
    daemon.call("Send", group="g", text="x")
    assert wait_until(taps["lan2"].seen, "the datagram")[0][1:3] == (address, 6001)
    send(office.far, b"unicast", address, 6001)
    daemon.call("Send", group="g", text="y")
    assert unread(office.host, 6001) == 0


@FAMILIES
def test_why_nothing_can_be_sent_is_said_once(office, begin, family):
    daemon = begin(family, 'interfaces = ["wan0"]; send_interface = ["lan1", "nowhere0"];')
    for _ in range(3):
        assert try_to_send(daemon, "x") is None
    assert outgoing(daemon)["nowhere0"] == {"interface": "nowhere0", "notSent": 3,
                                            "error": "there is no interface nowhere0"}
    assert daemon.log().count("nothing can be sent on nowhere0: there is no interface nowhere0") == 1
    assert "there is no interface nowhere0" in daemon.ctl("groups")


@FAMILIES
def test_a_group_that_is_joined_after_a_retry_comes_back_once(office, begin, family):
    """Its port is held while the daemon starts."""
    kind = socket.AF_INET if family == "4" else socket.AF_INET6
    with office.host, socket.socket(kind, socket.SOCK_DGRAM) as holder:
        holder.bind(("", PORT))
        daemon = begin(family, 'interfaces = ["lan1", "lan2"];')
        assert {m["state"] for m in daemon.group("g")["memberships"]} == {"failed"}
    daemon.wait_joined("g")
    with seqpacket(daemon.group_path("g")) as program:
        program.send(b"x")
        assert receive(program) == [b"x"]
        wait_until(lambda: daemon.group("g")["echoed"] == 1, "the other copy")
    assert daemon.group("g")["received"] == 1


def unread(host, port):
    """Bytes that lie unread in sockets of the port."""
    total = 0
    for version in ("udp", "udp6"):
        with host, open(f"/proc/thread-self/net/{version}") as table:
            for line in list(table)[1:]:
                fields = line.split()
                if int(fields[1].rpartition(":")[2], 16) == port:
                    total += int(fields[4].rpartition(":")[2], 16)
    return total


@FAMILIES
def test_a_port_that_others_hold_is_waited_for(office, begin, family):
    with office.host:
        holder = socket.socket(socket.AF_INET if family == "4" else socket.AF_INET6, socket.SOCK_DGRAM)
        holder.bind(("", 6000))
    daemon = begin(family, 'interfaces = ["lan1"]; source_port = 6000;')
    assert "port 6000 is held" in try_to_send(daemon, "x")
    holder.close()
    wait_until(lambda: not outgoing(daemon)["lan1"]["error"], "the port to be tried again")
    taps = office.taps()
    daemon.call("Send", group="g", text="y")
    assert wait_until(taps["lan1"].seen, "the datagram")[0][2] == 6000


@FAMILIES
def test_without_replies_nothing_lies_unread(office, begin, family):
    daemon = begin(family, 'interfaces = ["lan1"];')
    taps = office.taps()
    daemon.call("Send", group="g", text="x")
    _, source, port, _ = wait_until(taps["lan1"].seen, "the datagram")[0]
    send(office.far, b"an answer", source, port, *(["lan1"] if family == "6" else []))
    before = daemon.group("g")["received"]
    daemon.call("Send", group="g", text="y")
    assert unread(office.host, port) == 0 and daemon.group("g")["replies"] == 0
    assert before <= daemon.group("g")["received"]


@FAMILIES
def test_a_program_gets_its_own_datagrams_back_once(office, begin, family):
    daemon = begin(family, 'interfaces = ["lan1", "lan2"]; handlers = ["log"];')
    daemon.wait_joined("g")
    with seqpacket(daemon.group_path("g")) as program:
        for number in range(200):
            program.send(b"%d" % number)
        assert receive(program, 200) == [b"%d" % number for number in range(200)]
        wait_until(lambda: daemon.group("g")["echoed"] == 200, "the other copies")
        send(office.far, b"from the second", GROUPS[family], PORT, "lan2")
        assert receive(program) == [b"from the second"]
    assert daemon.group("g")["received"] == 201
    assert daemon.handler("log")["received"] == 201


@FAMILIES
def test_what_leaves_where_the_group_is_not_joined_comes_back_from_where_it_is(office, begin, family):
    daemon = begin(family, 'interfaces = ["lan2"]; send_interface = ["lan1", "lan2"];')
    daemon.wait_joined("g")
    with seqpacket(daemon.group_path("g")) as program:
        program.send(b"x")
        assert receive(program) == [b"x"]
    assert daemon.group("g")["echoed"] == 0


@FAMILIES
def test_another_program_on_the_port_is_no_echo(office, begin, family):
    """It has the same address and port, as the host's mDNS responder has."""
    daemon = begin(family, 'interfaces = ["lan1", "lan2"]; source_port = 5353;')
    daemon.wait_joined("g")
    kind = socket.AF_INET if family == "4" else socket.AF_INET6
    with seqpacket(daemon.group_path("g")) as program, office.host, socket.socket(kind, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("", 5353))
        program.send(b"ours")
        assert receive(program) == [b"ours"]
        index = socket.if_nametoindex("lan2")
        if family == "4":
            other.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(8) + struct.pack("@i", index))
        else:
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        other.sendto(b"its own", (GROUPS[family], PORT))
        assert receive(program) == [b"its own"]


def test_each_datagram_counts_where_it_left_and_none_leaves_twice(office, begin):
    """A filter of this host refuses every third packet, on any interface."""
    daemon = begin("4", 'interfaces = ["lan1", "lan2"]; loop = false;')
    if not refuse_one_in(office.host, 3):
        pytest.skip("this kernel has no nf_tables")
    taps = office.taps()
    try:
        with seqpacket(daemon.group_path("g")) as program:
            for number in range(300):
                program.send(b"%04d" % number)
            wait_until(lambda: sum(daemon.group("g")[key] for key in ("sent", "sendFailed")) == 300, "all to be tried")
    finally:
        refuse_nothing(office.host)
    # Several may be in one buffer that the far end would split.
    seen = {link: b"".join(s[0] for s in taps[link].seen()) for link in ("lan1", "lan2")}
    seen = {link: [data[i:i + 4] for i in range(0, len(data), 4)] for link, data in seen.items()}
    group, ways = daemon.group("g"), outgoing(daemon)
    for link in ("lan1", "lan2"):
        assert seen[link] == sorted(set(seen[link]))
        assert len(seen[link]) + ways[link]["notSent"] == 300
        assert daemon.membership("g", link)["notSent"] == ways[link]["notSent"]
    assert group["sent"] == len({*seen["lan1"], *seen["lan2"]})


@FAMILIES
def test_an_interface_of_one_call_is_checked_like_the_others(office, begin, family):
    daemon = begin(family, 'interfaces = ["lan1"];')
    taps = office.taps()
    office.put("lan2", "down")
    try:
        assert "lan2 is down" in daemon.error("Send", group="g", text="x", interface="lan2").parameters["message"]
    finally:
        office.restore("lan2", "down")
    taps = office.taps()
    daemon.call("Send", group="g", text="y", interface="lan2")
    wait_until(lambda: any(seen[0] == b"y" for seen in taps["lan2"].seen()), "the datagram")
    assert not [seen for seen in taps["lan1"].seen() if seen[0] != b"y"] and not taps["wan0"].seen()


def test_a_broadcast_leaves_by_the_interface_that_is_named(office, begin, start):
    daemon = start('groups: { g: { address = "255.255.255.255"; port = 5004; send_interface = "lan2"; }; };',
                   host=office.host)
    taps = office.taps()
    daemon.call("Send", group="g", text="x")
    assert wait_until(taps["lan2"].seen, "the broadcast")[0][:2] == (b"x", "203.0.2.1")
    assert not taps["wan0"].seen() and not taps["lan1"].seen()


# TTL 0 stays on this host


def left(office, taps, payload):
    """On which links the payload left. What is sent after it on each link shows that it would have been seen."""
    with office.host, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for link in taps:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                            bytes(8) + struct.pack("@i", socket.if_nametoindex(link)))
            sock.sendto(b"marker", (GROUPS["4"], PORT))
    found = []
    for link, tap in taps.items():
        seen = []
        wait_until(lambda: seen.extend(tap.seen()) or any(s[0] == b"marker" for s in seen), f"the marker on {link}")
        found += [link for s in seen if s[0] == payload]
    return found


OTHER = {"4": "203.0.1.99", "6": "2001:db8:1::99"}
# (keys, whether it is received here)
TTL_0 = {
    "joined": ('interfaces = ["lan1"];', True),
    "joined on all": ("", True),
    "lo": ('send_interface = "lo"; interfaces = ["lo"];', True),
    "lo, not joined": ('send_interface = "lo"; interfaces = ["lan1"];', None),
    "not joined there": ('send_interface = "lan1"; interfaces = ["lan2"];', False),
    "joined for another sender": ('interfaces = ["lan1"]; sources = ["OTHER"];', False),
    "joined without loop": ('interfaces = ["lan1"]; loop = false;', False),
}


@pytest.mark.parametrize("family, name", [(family, name) for family in GROUPS for name in TTL_0
                                          if family == "4" or "lo" not in name.split(",")])  # no route there
@pytest.mark.parametrize("by", ["Send", "group socket", "ttl of Send"])
def test_ttl_0_never_leaves_this_host(office, begin, family, name, by):
    keys, heard = TTL_0[name]
    daemon = begin(family, keys.replace("OTHER", OTHER[family]) + ("" if by == "ttl of Send" else " ttl = 0;"))
    daemon.wait_joined("g")
    taps = office.taps()
    payload = f"{by} {name} {family}".encode()
    if by == "group socket":
        with seqpacket(daemon.group_path("g")) as program:
            program.send(payload)
            wait_until(lambda: sum(daemon.group("g")[key] for key in ("sent", "sendFailed")) == 1, "it to be tried")
    elif heard is False:
        error = daemon.error("Send", group="g", text=payload.decode(), **({"ttl": 0} if "ttl" in by else {}))
        assert "with TTL 0 it would leave this host by lan1" in error.parameters["message"]
    else:
        daemon.call("Send", group="g", text=payload.decode(), **({"ttl": 0} if "ttl" in by else {}))
    assert not left(office, taps, payload)
    group = daemon.group("g")
    assert (group["sent"], group["sendFailed"]) == ((0, 1) if heard is False else (1, 0))
    if heard:
        wait_until(lambda: daemon.group("g")["received"] >= 1, "its own datagram")


def test_ttl_0_goes_no_further_where_only_another_interface_is_joined(office, begin):
    daemon = begin("4", 'interfaces = ["lan1"]; send_interface = ["lan1", "lan2"]; ttl = 0;')
    daemon.wait_joined("g")
    taps = office.taps()
    daemon.call("Send", group="g", text="x")
    assert not left(office, taps, b"x")
    assert {name: way["notSent"] for name, way in outgoing(daemon).items()} == {"lan1": 0, "lan2": 1}


@FAMILIES
def test_ttl_0_to_a_target_stays_here_and_is_refused_where_nobody_has_joined(office, begin, family):
    daemon = begin(family, 'interfaces = ["lan1"];')
    daemon.wait_joined("g")
    taps = office.taps()
    target = {"4": "233.252.0.7:5004", "6": "[ff15::7]:5004"}[family]
    office.host.run(MCASTCTL, "send", f"{target}%lan1", "x", "--ttl", "0")
    wait_until(lambda: daemon.group("g")["received"] >= 1, "the datagram")
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        office.host.run(MCASTCTL, "send", f"{target}%lan2", "x", "--ttl", "0", stderr=subprocess.PIPE)
    assert "nobody here has joined" in refusal.value.stderr
    assert not left(office, taps, b"x")


def test_a_broadcast_of_ttl_0_to_a_target_is_refused(office):
    taps = office.taps()
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        office.host.run(MCASTCTL, "send", f"203.0.1.255:{PORT}", "x", "--ttl", "0", stderr=subprocess.PIPE)
    assert "with TTL 0 only this host would receive it, and a broadcast leaves it" in refusal.value.stderr
    assert not any(tap.seen() for tap in taps.values())


# Without a carrier


@pytest.fixture
def unplugged(office):
    """lan1 has no carrier."""
    office.far.ip("link set lan1 down")
    wait_until(lambda: "LOWER_UP" not in office.host.run("ip", "link", "show", "lan1"), "the carrier to be lost")
    yield
    office.far.ip("link set lan1 up")
    wait_until(lambda: office.host.has_route("lan1") and office.far.has_route("lan1"), "the link of lan1")
    office.restore("lan1", "no address")


@FAMILIES
def test_without_a_carrier_what_only_this_host_receives_counts_as_not_sent_there(begin, unplugged, family):
    daemon = begin(family, 'interfaces = ["lan1"];')
    assert daemon.call("Send", group="g", text="x") == {"bytes": 1, "stayedHere": True}
    _, notes = daemon.ctl_start("send", "g", "x").communicate(timeout=15)
    assert b"only this host receives it" in notes
    group = daemon.group("g")
    assert (group["sent"], group["sendFailed"], group["outgoing"][0]["notSent"]) == (2, 0, 2)
    wait_until(lambda: daemon.group("g")["received"] == 2, "its own datagrams")


@FAMILIES
def test_a_glob_misses_nothing_where_there_is_no_carrier(begin, unplugged, family):
    daemon = begin(family, 'interfaces = ["lan*"];')
    assert daemon.call("Send", group="g", text="x") == {"bytes": 1}
    assert {name: (way["notSent"], bool(way.get("error"))) for name, way in outgoing(daemon).items()} == \
        {"lan1": (0, True), "lan2": (0, False)}
    assert daemon.group("g")["sent"] == 1


def test_a_glob_that_matches_nothing_misses_nothing(office, begin):
    daemon = begin("4", 'interfaces = ["zz*", "lan2"];')
    daemon.call("Send", group="g", text="x")
    assert {name: way["notSent"] for name, way in outgoing(daemon).items()} == {"zz*": 0, "lan2": 0}


def test_with_one_carrier_of_two_it_has_left(begin, unplugged):
    daemon = begin("4", 'interfaces = ["lan1", "lan2"];')
    assert daemon.call("Send", group="g", text="x") == {"bytes": 1}
    assert {name: way["notSent"] for name, way in outgoing(daemon).items()} == {"lan1": 1, "lan2": 0}
    assert daemon.group("g")["sent"] == 1


@FAMILIES
@pytest.mark.parametrize("keys", ['interfaces = ["lan1"]; loop = false;',
                                  'interfaces = ["lan2"]; send_interface = "lan1";'], ids=["no loop", "not joined"])
def test_without_a_carrier_what_nobody_receives_is_refused(begin, unplugged, family, keys):
    daemon = begin(family, keys)
    assert "lan1 has no carrier" in try_to_send(daemon, "x")
    assert (daemon.group("g")["sent"], daemon.group("g")["sendFailed"]) == (0, 1)


@pytest.mark.parametrize("keys", ["", "loop = false;"], ids=["loop", "no loop"])
def test_a_route_by_an_interface_without_a_carrier_is_noticed(office, begin, keys):
    office.host.ip("route add 233.252.0.7 dev lan1")
    daemon = begin("4", keys)
    taps = office.taps()
    try:
        assert daemon.call("Send", group="g", text="x") == {"bytes": 1}
        wait_until(taps["lan1"].seen, "the datagram")
        office.far.ip("link set lan1 down")
        if keys:
            wait_until(lambda: "has no carrier" in (try_to_send(daemon, "x") or ""), "the carrier to be lost")
        else:
            wait_until(lambda: try_to_send(daemon, "x") is None and "stayedHere" in daemon.call("Send", group="g", text="x"),
                       "the carrier to be lost")
        with pytest.raises(subprocess.CalledProcessError) as refusal:
            office.host.run(MCASTCTL, "send", "233.252.0.7:5004", "x", stderr=subprocess.PIPE)
        assert "lan1 has no carrier" in refusal.value.stderr
    finally:
        office.far.ip("link set lan1 up")
        office.restore("lan1", "no address")


def test_what_cannot_be_broadcast_without_a_route_says_what_to_set(start, office):
    daemon = start('groups: { g: { address = "255.255.255.255"; port = 5004; }; };', host=office.host)
    assert try_to_send(daemon, "x") == "no route for 255.255.255.255: set send_interface"
