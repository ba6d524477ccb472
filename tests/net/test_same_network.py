"""Two interfaces of a host on one network, as cable and Wi-Fi are: each datagram arrives twice."""

import pytest

from harness.peers import send, seqpacket
from harness.topology import Host, Network
from harness.waiting import wait_until

PORT = 5004
GROUPS = {"4": "233.252.0.7", "6": "ff15::7"}
FAMILIES = pytest.mark.parametrize("family", ["4", "6"], ids=["v4", "v6"])


class Office:
    """A host that is plugged in twice, and a peer."""

    def __init__(self):
        self.host, self.peer = Host(), Host()
        self.lan, self.other = Network("192.0.2", "2001:db8:1"), Network("198.51.100", "2001:db8:2")
        self.lan.plug(self.host, "eth0")
        self.lan.plug(self.host, "wlan0", default=False)
        self.other.plug(self.host, "eth1", default=False)
        self.lan.plug(self.peer, "eth0")
        for host, interface in (self.host, "eth0"), (self.host, "wlan0"), (self.host, "eth1"), (self.peer, "eth0"):
            wait_until(lambda: host.has_route(interface), f"the link of {interface}")

    def close(self):
        for namespace in (self.host, self.peer, self.lan.switch, self.other.switch):
            namespace.close()


@pytest.fixture(scope="module")
def office():
    office = Office()
    yield office
    office.close()


def config(family, *interfaces, more=""):
    names = ", ".join(f'"{name}"' for name in interfaces)
    return (f'groups: {{ g: {{ address = "{GROUPS[family]}"; port = {PORT}; interfaces = [{names}]; {more} '
            'handlers = ["out"]; }; }; handlers: { out: { type = "file"; path = "$DIR/out"; format = "raw"; }; };')


def say(office, family, *payloads):
    for payload in payloads:
        send(office.peer, payload, GROUPS[family], PORT, interface="eth0")


@FAMILIES
def test_two_interfaces_on_one_network_are_named_once(office, start, family):
    daemon = start(config(family, "eth0", "wlan0"), host=office.host)
    daemon.wait_joined("g")
    assert daemon.group("g")["sameNetworkTwice"] is None
    say(office, family, *(b"%d" % number for number in range(10)))
    wait_until(lambda: daemon.group("g")["received"] == 20, "both copies")
    assert sorted(daemon.group("g")["sameNetworkTwice"]) == ["eth0", "wlan0"]
    assert daemon.group("g")["duplicates"] == 0
    assert daemon.log().count("bring the same datagrams") == 1
    assert "eth0, wlan0" in daemon.ctl("groups") or "wlan0, eth0" in daemon.ctl("groups")


def test_a_relay_is_not_told_to_do_without_one_of_them(office, start):
    daemon = start(f'groups: {{ g: {{ address = "{GROUPS["4"]}"; port = {PORT}; interfaces = ["eth0", "wlan0", "eth1"]; '
                   'relay: { }; }; };', host=office.host)
    daemon.wait_joined("g")
    say(office, "4", b"a", b"b", b"c")
    wait_until(lambda: "bring the same datagrams" in daemon.log(), "the line")
    assert 'joins them; set duplicates = "drop"\n' in daemon.log()


def test_it_is_noticed_where_nobody_needs_payloads(office, start):
    daemon = start(f'groups: {{ g: {{ address = "{GROUPS["4"]}"; port = {PORT}; interfaces = ["eth0", "wlan0"]; }}; }};',
                   host=office.host)
    daemon.wait_joined("g")
    say(office, "4", b"a", b"b", b"c")
    wait_until(lambda: daemon.group("g")["sameNetworkTwice"], "the note")


def test_it_is_not_said_again_after_a_reload(office, start):
    daemon = start(config("4", "eth0", "wlan0"), host=office.host)
    daemon.wait_joined("g")
    say(office, "4", b"a", b"b", b"c")
    wait_until(lambda: daemon.group("g")["sameNetworkTwice"], "the note")
    daemon.write_config(config("4", "eth0", "wlan0", more='duplicates = "drop";'))
    daemon.ctl("reload")
    say(office, "4", b"d", b"e", b"f", b"g")
    wait_until(lambda: daemon.group("g")["duplicates"] == 4, "the copies")
    assert daemon.group("g")["sameNetworkTwice"]
    assert daemon.log().count("bring the same datagrams") == 1


def test_it_is_over_when_one_of_the_interfaces_is_gone_and_found_again(office, start):
    daemon = start(config("4", "eth0", "wlan0"), host=office.host)
    daemon.wait_joined("g")
    say(office, "4", b"a", b"b", b"c")
    wait_until(lambda: daemon.group("g")["sameNetworkTwice"], "the note")
    office.host.ip("link delete wlan0")
    wait_until(lambda: daemon.group("g")["sameNetworkTwice"] is None, "its end")
    assert "no longer bring the same datagrams" in daemon.log()
    office.lan.plug(office.host, "wlan0", default=False)
    wait_until(lambda: office.host.has_route("wlan0"), "the link")
    daemon.wait_joined("g")
    say(office, "4", b"d", b"e", b"f")
    wait_until(lambda: daemon.group("g")["sameNetworkTwice"], "the note again")


@FAMILIES
def test_second_copies_are_dropped(office, start, family):
    daemon = start(config(family, "eth0", "wlan0", more='duplicates = "drop"; socket = true;'), host=office.host)
    daemon.wait_joined("g")
    with seqpacket(daemon.group_path("g")) as reader:
        say(office, family, *(b"%d" % number for number in range(200)))
        wait_until(lambda: daemon.group("g")["duplicates"] == 200, "the copies")
        assert daemon.group("g")["received"] == 200
        assert [reader.recv(100) for _ in range(200)] == [b"%d" % number for number in range(200)]
    assert daemon.handler("out")["received"] == 200
    assert daemon.group("g")["receivedBytes"] == len(b"".join(b"%d" % number for number in range(200)))


def test_what_a_sender_repeats_is_delivered_as_often(office, start):
    daemon = start(config("4", "eth0", "wlan0", more='duplicates = "drop";'), host=office.host)
    daemon.wait_joined("g")
    say(office, "4", *[b"beat"] * 20)
    wait_until(lambda: daemon.group("g")["duplicates"] == 20, "the copies")
    assert daemon.group("g")["received"] == 20


def test_what_a_sender_repeats_on_one_interface_is_never_dropped(office, start):
    daemon = start(config("4", "eth0", "eth1", more='duplicates = "drop";'), host=office.host)
    daemon.wait_joined("g")
    say(office, "4", *[b"beat"] * 50)
    wait_until(lambda: daemon.group("g")["received"] == 50, "all of them")
    assert daemon.group("g")["duplicates"] == 0
    assert daemon.group("g")["sameNetworkTwice"] is None


def test_own_datagrams_are_echoes_not_duplicates(office, start):
    daemon = start(config("4", "eth0", "wlan0", more='duplicates = "drop"; loop = true;'), host=office.host)
    daemon.wait_joined("g")
    for number in range(5):
        daemon.ctl("send", "g", str(number))
    wait_until(lambda: daemon.group("g")["received"] + daemon.group("g")["echoed"] == 10, "both ways' copies")
    assert daemon.group("g")["duplicates"] == 0
    assert daemon.group("g")["sameNetworkTwice"] is None
