"""Who sends to a group, as ListGroups tells it to who asks and may receive the group; and what each membership received."""

import os
import re
import signal
import socket
import time

import pytest

from harness.daemon import subscribe
from harness.peers import Blast, send, sender_as, seqpacket, tutorial_sender
from harness.strangers import as_stranger
from harness.waiting import TIMEOUT, wait_until

KNOWN = 64
WATCHED = 30  # seconds after senders were asked for

CONFIG = """
groups: {
  count:   { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; };
  json:    { address = "233.252.0.2"; port = 5004; interfaces = ["eth0", "eth1"]; handlers = ["json"]; };
  six:     { address = "ff15::3"; port = 5004; interfaces = ["eth0"]; handlers = ["json"]; };
  host:    { address = "0.0.0.0"; port = 5005; handlers = ["json"]; };
  flood:   { address = "233.252.0.4"; port = 5004; interfaces = ["eth0"]; };
  told:    { address = "233.252.0.5"; port = 5004; interfaces = ["eth0"]; };
  watched: { address = "233.252.0.6"; port = 5004; interfaces = ["eth0"]; };
  open:    { address = "233.252.0.7"; port = 5004; interfaces = ["eth0"]; handlers = ["json"]; allow_receive = ["user:nobody"]; };
  closed:  { address = "233.252.0.8"; port = 5004; interfaces = ["eth0"]; handlers = ["json"]; };
};
handlers: { json: { type = "file"; path = "$DIR/json"; format = "json"; }; };
"""


def ask(daemon, name):
    return daemon.call("ListGroups", groups=[name], senders=True)["groups"][0]


def senders(daemon, name):
    """What was received from each sender."""
    return {(sender["source"], sender["sourcePort"], sender["interface"]): sender["received"]
            for sender in ask(daemon, name)["senders"]}


def membership(daemon, name, interface):
    return next(m for m in ask(daemon, name)["memberships"] if m["interface"] == interface)


def test_they_are_null_unless_asked_for(daemon):
    for parameters in {}, {"senders": False}, {"senders": None}:
        assert all(group["senders"] is None for group in daemon.call("ListGroups", **parameters)["groups"])
    assert all(group["senders"] is None for group in daemon.stats()["groups"])
    assert all(group["senders"] is not None for group in daemon.call("ListGroups", groups=["json", "six"], senders=True)["groups"])


def test_each_sender_is_named_with_port_interface_number_and_time(daemon, net):
    others = senders(daemon, "json")
    with tutorial_sender(net.peer, "233.252.0.2") as sock:
        for _ in range(3):
            sock.sendto(b"x", ("233.252.0.2", 5004))
        port = sock.getsockname()[1]
    other = send(net.side, b"y", "233.252.0.2", 5004)
    expected = {(net.peer.v4, port, "eth0"): 3, (net.side.v4, other, "eth1"): 1}
    wait_until(lambda: senders(daemon, "json") == {**others, **expected}, "both senders")
    group = ask(daemon, "json")
    assert group["sendersForgotten"] == 0
    assert max(sender["lastReceived"] for sender in group["senders"]) == group["lastReceived"]


def test_a_sender_has_the_described_fields(daemon, net):
    text = daemon.call("org.varlink.service.GetInterfaceDescription", interface="io.mcastd")["description"]
    described = set(re.findall(r"^  (\w+):", re.search(r"^type Sender \((.*?)^\)", text, re.M | re.S)[1], re.M))
    send(net.peer, b"x", "233.252.0.2", 5004)
    wait_until(lambda: ask(daemon, "json")["senders"], "a sender")
    assert set(ask(daemon, "json")["senders"][0]) == described


def test_ipv6_senders_are_named(daemon, net):
    port = send(net.peer, b"x", "ff15::3", 5004)
    wait_until(lambda: [key[1:] for key in senders(daemon, "six")] == [(port, "eth0")], "the sender")
    assert ":" in ask(daemon, "six")["senders"][0]["source"]


def test_a_group_that_is_no_multicast_names_the_interface_of_arrival(daemon, net):
    with tutorial_sender(net.side, "0.0.0.0") as sock:
        sock.sendto(b"x", ("198.51.100.1", 5005))
        port = sock.getsockname()[1]
    wait_until(lambda: senders(daemon, "host") == {(net.side.v4, port, "eth1"): 1}, "the sender")


def test_where_nobody_needs_the_source_they_are_kept_once_asked_for(daemon, net):
    send(net.peer, b"before", "233.252.0.1", 5004)
    wait_until(lambda: daemon.group("count")["received"] == 1, "the first datagram")
    assert senders(daemon, "count") == {}
    port = send(net.peer, b"after", "233.252.0.1", 5004)
    wait_until(lambda: senders(daemon, "count") == {(net.peer.v4, port, "eth0"): 1}, "the sender")


def test_a_subscriber_needs_the_source_and_they_are_forgotten_with_it(daemon, net):
    with subscribe(daemon, "told"):
        port = send(net.peer, b"x", "233.252.0.5", 5004)
        wait_until(lambda: daemon.group("told")["received"] == 1, "the datagram")
        wait_until(lambda: (net.peer.v4, port, "eth0") in senders(daemon, "told"), "the sender")


def test_the_last_64_are_known_and_the_others_counted_as_forgotten(daemon, net):
    assert senders(daemon, "flood") == {}
    socks = [tutorial_sender(net.peer, "233.252.0.4") for _ in range(KNOWN + 10)]
    for sock in socks:
        sock.sendto(b"x", ("233.252.0.4", 5004))
    wait_until(lambda: daemon.group("flood")["received"] == KNOWN + 10, "all of them")
    group = ask(daemon, "flood")
    assert [sender["sourcePort"] for sender in group["senders"]] == [sock.getsockname()[1] for sock in socks[:9:-1]]
    assert group["sendersForgotten"] == 10
    for sock in socks:
        sock.close()


def test_who_may_not_receive_the_group_is_not_told_and_starts_nothing(daemon, net):
    port = send(net.peer, b"x", "233.252.0.7", 5004), send(net.peer, b"x", "233.252.0.8", 5004)
    wait_until(lambda: len(senders(daemon, "open")) == len(senders(daemon, "closed")) == 1, "both groups")
    words = as_stranger(daemon, """
stream = connect()
stream.sendall(request("ListGroups", groups=["open", "closed"], senders=True))
for group in json.loads(stream.makefile().readline())["parameters"]["groups"]:
    print(group["name"], group["sources"] is None, group["senders"] and group["senders"][0]["sourcePort"])
""")
    assert words == ["closed", "True", "None", "open", "False", str(port[0])]


def test_they_stay_over_a_reload_that_changes_nothing_of_what_is_received(start, net):
    config = 'groups: {{ g: {{ address = "233.252.0.9"; port = 5004; interfaces = ["eth0"]; ttl = {}; handlers = ["log"]; }}; }};'
    daemon = start(config.format(1))
    daemon.wait_joined("g")
    port = send(net.peer, b"x", "233.252.0.9", 5004)
    wait_until(lambda: senders(daemon, "g"), "the sender")
    daemon.write_config(config.format(2))
    daemon.call("Reload")
    assert senders(daemon, "g") == {(net.peer.v4, port, "eth0"): 1}
    daemon.write_config(config.format(2).replace("233.252.0.9", "233.252.0.10"))
    daemon.call("Reload")
    assert senders(daemon, "g") == {}


def test_spoofed_senders_at_random_lose_nothing(start, net, blast):
    daemon = start('groups: { g: { address = "233.252.0.11"; port = 5004; interfaces = ["eth0"]; receive_buffer = "16M"; }; };')
    daemon.wait_joined("g")
    assert senders(daemon, "g") == {}
    socks = [sender_as(net.peer, f"10.{number // 100}.{number % 100}.1", 6000 + number) for number in range(300)]
    net.host.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.eth0.rp_filter=0")
    for _ in range(10):
        for sock in socks:
            sock.sendto(b"x", ("233.252.0.11", 5004))
    for sock in socks:
        sock.close()
    daemon.wait_arrived("g", 3000)
    group = ask(daemon, "g")
    assert (group["kernelDropped"], len(group["senders"]), group["sendersForgotten"]) == (0, KNOWN, 3000 - KNOWN)


@pytest.mark.long
def test_half_a_minute_after_the_last_question_they_are_forgotten(daemon, net):
    assert senders(daemon, "watched") == {}
    send(net.peer, b"x", "233.252.0.6", 5004)
    wait_until(lambda: daemon.group("watched")["received"], "the datagram")
    asked = time.monotonic()
    assert len(senders(daemon, "watched")) == 1
    while time.monotonic() < asked + WATCHED + 2:
        assert daemon.group("watched")["senders"] is None  # this does not go on with it
        time.sleep(1)
    assert senders(daemon, "watched") == {}


# What each membership received


def test_each_membership_counts_what_its_socket_brought(start, net):
    daemon = start('groups: { g: { address = "233.252.0.12"; port = 5004; interfaces = ["eth0", "eth1"]; }; };')
    daemon.wait_joined("g")
    assert membership(daemon, "g", "eth0")["lastReceived"] is None
    for payload in b"a", b"bcd":
        send(net.peer, payload, "233.252.0.12", 5004)
    wait_until(lambda: daemon.group("g")["received"] == 2, "two datagrams")
    last = daemon.group("g")["lastReceived"]
    first, second = (membership(daemon, "g", name) for name in ("eth0", "eth1"))
    assert (first["received"], first["receivedBytes"], first["lastReceived"]) == (2, 4, last)
    assert (second["received"], second["receivedBytes"], second["lastReceived"]) == (0, 0, None)
    send(net.side, b"ef", "233.252.0.12", 5004)
    wait_until(lambda: membership(daemon, "g", "eth1")["received"] == 1, "one on the other interface")
    assert membership(daemon, "g", "eth1")["receivedBytes"] == 2


def test_together_they_received_what_the_group_did_but_for_replies_and_what_has_gone(start, net):
    daemon = start('groups: { g: { address = "233.252.0.13"; port = 5004; interfaces = ["eth0"]; socket = true; replies = true; }; };')
    daemon.wait_joined("g")
    with seqpacket(daemon.group_path("g")) as program, tutorial_sender(net.peer, "233.252.0.13") as sock, net.peer:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                        socket.inet_aton("233.252.0.13") + socket.inet_aton(net.peer.v4))
        sock.bind(("", 5004))
        program.send(b"who is there")
        _, answer_to = sock.recvfrom(100)
        sock.sendto(b"me", answer_to)
        sock.sendto(b"all", ("233.252.0.13", 5004))
        wait_until(lambda: daemon.group("g")["replies"] == 1, "the reply", TIMEOUT)
        wait_until(lambda: daemon.group("g")["received"] >= 2, "both")
    group = daemon.group("g")
    assert group["received"] == group["replies"] + group["memberships"][0]["received"]


def test_what_is_read_at_the_end_is_freed_with_its_senders(start, net, tmp_path):
    """The sanitizer would say so when the daemon ends."""
    daemon = start('groups: { g: { address = "233.252.0.14"; port = 5004; interfaces = ["eth0"]; }; };')
    with Blast(tmp_path).stream(net.peer, "233.252.0.14", 5004, rate=20_000):
        wait_until(lambda: senders(daemon, "g"), "the sender")
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait(TIMEOUT) == 0, daemon.log()


# GetStatus


def test_the_network_namespace_is_that_of_the_daemon(daemon):
    assert daemon.call("GetStatus")["networkNamespace"] == os.stat(f"/proc/{daemon.process.pid}/ns/net").st_ino
    assert daemon.call("GetStatus")["networkNamespace"] != os.stat("/proc/self/ns/net").st_ino


# Names and portions


def names(reply):
    return [group["name"] for group in reply["groups"]]


def test_only_the_named_groups_are_listed_sorted_and_once(daemon):
    assert names(daemon.call("ListGroups", groups=["six", "count", "six"])) == ["count", "six"]
    assert names(daemon.call("ListGroups", groups=[])) == names(daemon.call("ListGroups"))
    assert names(daemon.call("ListGroups", groups=["events"])) == ["events"]


def test_a_name_of_no_group_is_an_error(daemon):
    error = daemon.error("ListGroups", groups=["count", "nobody"])
    assert (error.name, error.parameters["group"]) == ("io.mcastd.NoSuchGroup", "nobody")


def test_more_names_than_1024_are_refused(daemon):
    error = daemon.error("ListGroups", groups=["count"] * 1025)
    assert (error.name, error.parameters["parameter"]) == ("org.varlink.service.InvalidParameter", "groups")


def listed_with_more(daemon, **parameters):
    with daemon.connect() as control:
        control.send("ListGroups", parameters, more=True)
        replies = [control.reply()]
        while replies[-1].get("continues"):
            replies.append(control.reply())
        control.send("GetStatus")  # the connection goes on
        assert "version" in control.result()
    return [reply["parameters"] for reply in replies]


def test_with_more_each_answer_has_at_most_64_groups(start):
    groups = "".join(f'g{number:03}: {{ address = "233.252.1.{number}"; port = 5004; interfaces = ["eth0"]; }};\n'
                     for number in range(200))
    daemon = start(f"groups: {{ {groups} }};")
    answers = listed_with_more(daemon)
    assert [len(answer["groups"]) for answer in answers[:3]] == [64, 64, 64]
    assert [name for answer in answers for name in names(answer)] == [f"g{number:03}" for number in range(200)]
    assert [group for answer in answers for group in answer["groups"]] == daemon.call("ListGroups")["groups"]
    assert [names(answer) for answer in listed_with_more(daemon, groups=["g007", "g003"])] == [["g003", "g007"]]
    few = [f"g{number:03}" for number in range(100)]
    assert [len(answer["groups"]) for answer in listed_with_more(daemon, groups=few, senders=True)] == [64, 36]
