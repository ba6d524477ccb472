"""Replies: what comes back to the port that a group sends from."""

import json
import socket
import time

import pytest

from harness.daemon import subscribe
from harness.peers import receive, receiver_on, seqpacket, send
from harness.topology import Host
from harness.waiting import wait_until

FAMILIES = pytest.mark.parametrize("family", ["4", "6"], ids=["v4", "v6"])
GROUPS = {"4": "239.255.255.250", "6": "ff15::c"}
PORT = 1900


def configuration(family, keys="", handlers=""):
    return f"""
      groups: {{ ssdp: {{ address = "{GROUPS[family]}"; port = {PORT}; interfaces = ["eth0"]; socket = true;
        replies = true; {keys} }}; }};
      handlers: {{ {handlers} }};"""


def search(daemon, host, family, payload="search", interface="eth0"):
    """Sends to the group. Returns where it came from: (address, port)."""
    with receiver_on(host, GROUPS[family], PORT, interface) as device:
        daemon.call("Send", group="ssdp", text=payload)
        while True:
            data, source = device.recvfrom(100)
            if data == payload.encode():
                return source[:2]


def answer(host, source, payload=b"answer"):
    send(host, payload, source[0], source[1])


@FAMILIES
def test_a_reply_is_a_datagram_of_the_group(start, net, family):
    daemon = start(configuration(family, 'handlers = ["json", "raw"];', """
      json: { type = "file"; path = "$DIR/json"; format = "json"; };
      raw: { type = "file"; path = "$DIR/raw"; format = "raw"; };"""))
    source = search(daemon, net.peer, family)
    with subscribe(daemon, "ssdp") as subscriber, seqpacket(daemon.group_path("ssdp")) as program:
        answer(net.peer, source)
        datagram = subscriber.result()["datagram"]
        assert receive(program) == [b"answer"]
    assert (datagram["text"], datagram["reply"], datagram["group"], datagram["interface"], datagram["source"]) == \
        ("answer", True, "ssdp", "eth0", {"4": net.peer.v4, "6": net.peer.v6}[family])
    group = daemon.group("ssdp")
    assert (group["replies"], group["received"]) == (1, 2)  # and its own search
    wait_until(lambda: daemon.read("raw") == b"searchanswer", "the file")
    wait_until(lambda: daemon.read("json").count(b"\n") == 2, "the other file")
    assert [json.loads(line).get("reply") for line in daemon.read("json").splitlines()] == [None, True]


def test_tail_shows_a_reply(start, net):
    daemon = start(configuration("4"))
    source = search(daemon, net.peer, "4")
    before = daemon.call("GetStatus")["subscribers"]
    tail = daemon.ctl_start("tail", "ssdp", "--format", "json", "--count", "1")
    wait_until(lambda: daemon.call("GetStatus")["subscribers"] > before, "the subscription")
    answer(net.peer, source)
    shown, _ = tail.communicate(timeout=15)
    assert json.loads(shown)["reply"] is True


def test_programs_of_exec_learn_that_it_is_a_reply(start, net, programs):
    script = programs.write("env", 'env > "$1.new" && mv "$1.new" "$1"')
    daemon = start(configuration("4", 'loop = false; handlers = ["run"];',
                                 f'run: {{ type = "exec"; command = ["{script}", "$DIR/env"]; }};'))
    answer(net.peer, search(daemon, net.peer, "4"))
    wait_until(lambda: b"MCASTD_REPLY=true\n" in daemon.read("env"), "the environment")


@FAMILIES
def test_the_port_stays_the_same_from_search_to_search(start, net, family):
    daemon = start(configuration(family))
    assert search(daemon, net.peer, family) == search(daemon, net.peer, family, "again")


@FAMILIES
def test_replies_from_other_interfaces_are_not_taken(start, net, family):
    """The other network's router would bring them to this address."""
    daemon = start(configuration(family, "source_port = 1901;"))
    source = search(daemon, net.peer, family)
    route = {"4": ("ip", "route", "add", net.host.v4, "via", "198.51.100.1"),
             "6": ("ip", "-6", "route", "add", net.host.v6, "via", "2001:db8:2::1")}[family]
    net.side.run(*route)
    try:
        answer(net.side, source, b"from the side")
        answer(net.peer, source, b"from the peer")
        wait_until(lambda: daemon.group("ssdp")["replies"] == 1, "the one reply")
    finally:
        net.side.run(*[word if word != "add" else "delete" for word in route])
    assert daemon.group("ssdp")["received"] == 2


@FAMILIES
@pytest.mark.parametrize("key", ["sources", "block_sources"])
def test_replies_obey_the_sources_of_the_group(start, net, family, key):
    peer, other = ({"4": host.v4, "6": host.v6}[family] for host in (net.peer, net.other))
    daemon = start(configuration(family, f'{key} = ["{peer if key == "sources" else other}"]; loop = false;'))
    source = search(daemon, net.peer, family)
    answer(net.other, source)
    answer(net.peer, source)
    wait_until(lambda: daemon.group("ssdp")["replies"] == 1, "the reply")
    group = daemon.group("ssdp")
    assert (group["received"], group["refused"]) == (1, 1)


def test_replies_are_never_relayed(start, net):
    daemon = start(configuration("4", 'loop = false; handlers = ["relay"];',
                                 'relay: { type = "udp"; address = "192.0.2.250"; port = 9; };'))
    answer(net.peer, search(daemon, net.peer, "4"))
    wait_until(lambda: daemon.group("ssdp")["replies"] == 1, "the reply")
    handler = daemon.handler("relay")
    assert (handler["received"], handler["filtered"], handler["delivered"]) == (1, 1, 0)


@FAMILIES
def test_without_a_configured_interface_replies_come_by_the_route(start, net, family):
    daemon = start(configuration(family).replace('interfaces = ["eth0"];', ""))
    source = search(daemon, net.peer, family)
    with subscribe(daemon, "ssdp") as subscriber:
        answer(net.peer, source)
        assert subscriber.result()["datagram"]["interface"] == "eth0"


@FAMILIES
def test_each_interface_has_a_port_and_its_replies(start, net, family):
    daemon = start(configuration(family).replace('["eth0"]', '["eth0", "eth1"]'))
    with subscribe(daemon, "ssdp") as subscriber:
        sources = [search(daemon, host, family, f"search {i}") for i, host in enumerate((net.peer, net.side))]
        assert [subscriber.result()["datagram"]["text"] for _ in sources] == ["search 0", "search 1"]
        for host, source, interface in zip((net.peer, net.side), sources, ("eth0", "eth1")):
            answer(host, source)
            datagram = subscriber.result()["datagram"]
            assert (datagram["interface"], datagram["reply"]) == (interface, True)


@FAMILIES
def test_a_reload_that_changes_other_keys_keeps_the_port(start, net, family):
    daemon = start(configuration(family))
    source = search(daemon, net.peer, family)
    daemon.write_config(configuration(family, "ttl = 3;"))
    daemon.ctl("reload")
    answer(net.peer, source)
    wait_until(lambda: daemon.group("ssdp")["replies"] == 1, "the reply")
    daemon.write_config(configuration(family, "").replace("replies = true;", ""))
    daemon.ctl("reload")
    assert search(daemon, net.peer, family)[1] != source[1]


def test_replies_that_the_kernel_drops_are_counted(start, net):
    daemon = start(configuration("4", 'receive_buffer = "4K"; loop = false;'))
    source = search(daemon, net.peer, "4")
    daemon.pause()
    with net.peer, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(500):
            sock.sendto(b"x", source)
    daemon.resume()
    wait_until(lambda: daemon.group("ssdp")["replies"] + daemon.group("ssdp")["kernelDropped"] == 500, "all replies")
    assert daemon.group("ssdp")["kernelDropped"]


def test_a_link_that_comes_back_has_its_replies(start, net):
    far = Host()
    daemon = start(configuration("4").replace('["eth0"]', '["late0"]'))
    try:
        for _ in range(2):
            net.host.ip(f"link add late0 type veth peer name late0 netns {far.path}",
                        "address add 203.0.113.1/24 dev late0")
            far.ip("address add 203.0.113.2/24 dev late0", "link set late0 up")
            net.host.ip("link set late0 up")
            wait_until(lambda: far.has_route("late0") and net.host.has_route("late0"), "the link")
            daemon.wait_joined("ssdp")
            before = daemon.group("ssdp")["replies"]
            answer(far, search(daemon, far, "4", interface="late0"))
            wait_until(lambda: daemon.group("ssdp")["replies"] == before + 1, "the reply")
            net.host.ip("link delete late0")
    finally:
        far.close()


# Without interfaces: by the kernel's route


def by_route(family):
    return configuration(family, "loop = false;").replace('interfaces = ["eth0"];', "")


@pytest.fixture
def to_the_side(net):
    """Returns a function after which the kernel's route to the group is by eth1."""
    routes = {"4": "route {} 239.255.255.250 dev eth1", "6": "route {} multicast ff15::c/128 dev eth1 table local"}
    changed = []

    def change(family):
        changed.append(family)
        net.host.ip(routes[family].format("add"))

    yield change
    net.host.ip(*(routes[family].format("delete") for family in changed))


def test_the_first_datagram_after_a_route_has_appeared_has_its_answer(start, net):
    net.host.ip("route delete 224.0.0.0/4 dev eth0")
    try:
        daemon = start(by_route("4"))
        assert "no route for 239.255.255.250" in daemon.error("Send", group="ssdp", text="x").parameters["message"]
    finally:
        net.host.ip("route add 224.0.0.0/4 dev eth0")
    with receiver_on(net.peer, GROUPS["4"], PORT, "eth0") as device:
        wait_until(lambda: "result" in call(daemon, "Send", group="ssdp", text="search"), "the route to be noticed")
        answer(net.peer, device.recvfrom(100)[1])
    wait_until(lambda: daemon.group("ssdp")["replies"] == 1, "the reply")


def call(daemon, method, **parameters):
    """{"result": what it returns}, or the error."""
    daemon.control.send(method, parameters)
    reply = daemon.control.reply()
    return reply if "error" in reply else {"result": reply}


def test_a_broadcast_has_its_answers(start, net):
    daemon = start('groups: { ssdp: { address = "198.51.100.255"; port = 1900; replies = true; }; };')
    with net.side, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.settimeout(15)
        device.bind(("", PORT))
        daemon.call("Send", group="ssdp", text="search")
        answer(net.side, device.recvfrom(100)[1])
    wait_until(lambda: daemon.group("ssdp")["replies"] == 1, "the reply")


@FAMILIES
def test_answers_follow_a_change_of_the_route(start, net, to_the_side, family):
    daemon = start(by_route(family))
    answer(net.peer, search(daemon, net.peer, family))
    wait_until(lambda: daemon.group("ssdp")["replies"] == 1, "the reply")
    with receiver_on(net.side, GROUPS[family], PORT, "eth0") as device:
        device.setblocking(False)

        def left_by_eth1():
            daemon.call("Send", group="ssdp", text="search")
            try:
                return device.recvfrom(100)
            except BlockingIOError:
                return None

        to_the_side(family)
        _, source = wait_until(left_by_eth1, "the change to be noticed")
    with subscribe(daemon, "ssdp") as subscriber:
        answer(net.side, source)
        assert subscriber.result()["datagram"]["interface"] == "eth1"


def test_a_storm_of_route_changes_does_not_keep_the_daemon_busy(start, net):
    groups = "".join(f'g{i}: {{ address = "239.255.1.{i}"; port = {PORT}; replies = true; }}; ' for i in range(1, 201))
    daemon = start(f"groups: {{ {groups} }};")

    def used():
        """CPU time of the daemon, in seconds."""
        with open(f"/proc/{daemon.process.pid}/stat") as stat:
            return sum(int(field) for field in stat.read().rpartition(")")[2].split()[11:13]) / 100

    before, began = used(), time.monotonic()
    while time.monotonic() < began + 2:
        net.host.ip(*(f"route {verb} 10.1.{i}.0/24 dev eth1" for i in range(250) for verb in ("add", "delete")))
        daemon.call("GetStatus")
    share = (used() - before) / (time.monotonic() - began)
    assert share < 0.15, share


# On an interface of one call


@FAMILIES
def test_the_interface_of_one_call_has_its_answers(start, net, family):
    """Also after another one was chosen, and after the interfaces have changed."""
    daemon = start(configuration(family, "loop = false;").replace('["eth0"]', '["eth0", "x0"]'))
    with receiver_on(net.side, GROUPS[family], PORT, "eth0") as device:
        daemon.call("Send", group="ssdp", text="search", interface="eth1")
        _, source = device.recvfrom(100)
        with subscribe(daemon, "ssdp") as subscriber:
            answer(net.side, source)
            assert subscriber.result()["datagram"]["interface"] == "eth1"
    call(daemon, "Send", group="ssdp", text="search", interface="lo")
    before = daemon.membership("ssdp", "x0")
    net.host.ip("link add x0 type veth peer name x1")
    try:
        wait_until(lambda: daemon.membership("ssdp", "x0")["error"] != before["error"], "the interface to be noticed")
        answer(net.side, source)
        wait_until(lambda: daemon.group("ssdp")["replies"] == 2, "the second answer")
    finally:
        net.host.ip("link delete x0")
