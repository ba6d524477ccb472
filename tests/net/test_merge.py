"""Groups that are made of others: redundant feeds as one."""

import json
import os
import random
import re
import struct

import pytest

from harness.daemon import run_mcastd, subscribe
from harness.peers import seqpacket, tutorial_sender
from harness.waiting import wait_until

LEGS = """
  {0}-a: {{ address = "233.252.{1}.1"; port = 5004; interfaces = ["eth0"]; }};
  {0}-b: {{ address = "233.252.{1}.2"; port = 5005; interfaces = ["eth1"]; }};
  {0}: {{ merge = ["{0}-a", "{0}-b"]; {2} }};
"""

CONFIG = "groups: {" + "".join(LEGS.format(*group) for group in [
    ("feed", 0, 'sequence = "u32@0"; handlers = ["feed"];'), ("plain", 1, 'handlers = ["plain"];'),
    ("read", 2, 'sequence = "u32@0"; socket = true;'), ("quiet", 3, 'sequence = "u32@0";'), ("cut", 4, 'sequence = "u32@0";'),
]) + """};
handlers: {
  feed:  { type = "file"; path = "$DIR/feed"; format = "raw"; };
  plain: { type = "file"; path = "$DIR/plain"; format = "raw"; };
};
"""


def number(n):
    return struct.pack(">I", n) + b"feed"


class Legs:
    """Two senders, one on each network."""

    def __init__(self, net, daemon, name, subnet):
        self.daemon, self.name = daemon, name
        self.socks = tutorial_sender(net.peer, "233.252.0.1"), tutorial_sender(net.side, "233.252.0.1")
        self.targets = (f"233.252.{subnet}.1", 5004), (f"233.252.{subnet}.2", 5005)

    def send(self, leg, payload):
        self.socks[leg].sendto(payload, self.targets[leg])

    def close(self):
        for sock in self.socks:
            sock.close()

    def settled(self, *taken):
        """The group, once its legs have brought so many."""
        wait_until(lambda: tuple(leg["taken"] for leg in self.daemon.group(self.name)["merge"]) == taken, f"{taken} datagrams")
        return self.daemon.group(self.name)


@pytest.fixture
def legs(net, daemon):
    made = []

    def make(name, subnet, of=daemon):
        made.append(Legs(net, of, name, subnet))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_each_datagram_is_received_once_and_only_what_both_lack_is_lost(daemon, legs):
    chance, feed, lacks = random.Random(1), legs("feed", 0), ([], [])
    for n in range(4000):
        for leg in 0, 1:
            if chance.random() < 0.03 and n not in (0, 3999):
                lacks[leg].append(n)
            else:
                feed.send(leg, number(n))
    group = feed.settled(4000 - len(lacks[0]), 4000 - len(lacks[1]))
    both = set(lacks[0]) & set(lacks[1])
    assert group["received"] == group["sequence"]["unique"] == 4000 - len(both)
    assert group["sequence"]["lost"] + group["sequence"]["open"] == len(both)
    assert group["lost"]["sequence"] == group["sequence"]["lost"]
    daemon.ctl("stats", "--check")
    for leg, missing in zip(group["merge"], lacks):
        assert leg["lost"] + leg["open"] == len(missing)
        assert leg["taken"] == leg["passed"] + leg["duplicates"] + leg["apart"]
    assert sum(leg["taken"] for leg in group["merge"]) == group["received"] + group["duplicates"]
    daemon.wait_idle("feed")
    with open(daemon.path("feed"), "rb") as file:
        content = file.read()
    found = sorted(struct.unpack(">I", content[i:i + 4])[0] for i in range(0, len(content), 8))
    assert found == sorted(set(range(4000)) - both)


def test_without_numbers_equal_payloads_are_copies(daemon, legs):
    plain = legs("plain", 1)
    for payload in b"one", b"two", b"three":
        plain.send(0, payload)
        plain.send(1, payload)
    group = plain.settled(3, 3)
    assert (group["received"], group["duplicates"], group["sequence"]) == (3, 3, None)


def test_a_program_reads_it_and_cannot_send(daemon, legs):
    read = legs("read", 2)
    with seqpacket(daemon.group_path("read")) as sock, subscribe(daemon, "read") as control:
        read.send(0, number(1))
        read.send(1, number(1))
        read.send(1, number(2))
        assert [sock.recv(100) for _ in range(2)] == [number(1), number(2)]
        shown = [control.result()["datagram"] for _ in range(2)]
    assert [(one["group"], one["address"], one["port"], one["interface"]) for one in shown] == [
        ("read", "233.252.2.1", 5004, "eth0"), ("read", "233.252.2.2", 5005, "eth1")]
    assert "send to one of these" in daemon.ctl("send", "read", "hello", status=1)


def test_a_leg_that_falls_silent_is_an_event_and_nothing_is_lost(daemon, legs):
    cut = legs("cut", 4)
    with subscribe(daemon, "events") as control:
        for n in range(10):
            cut.send(0, number(n))
            cut.send(1, number(n))
        cut.settled(10, 10)
        n = 10

        def silent():
            nonlocal n
            cut.send(1, number(n))
            n += 1
            return daemon.group("cut")["merge"][0]["silent"]

        wait_until(silent, "the leg to be silent")
        begin = json.loads(control.result()["datagram"]["text"])
        cut.send(0, number(n))
        cut.send(1, number(n))
        end = json.loads(control.result()["datagram"]["text"])
    assert (begin["event"], begin["state"], begin["group"], begin["leg"]) == ("mergeLegSilent", "begin", "cut", "cut-a")
    assert (end["event"], end["state"], end["leg"]) == ("mergeLegSilent", "end", "cut-a")
    group = cut.settled(11, n + 1)
    assert group["received"] == n + 1 and group["sequence"]["lost"] == 0
    assert not group["merge"][0]["silent"]


def test_a_reload_keeps_what_is_known_and_connects_legs_anew(daemon, legs, start):
    text = "groups: {" + LEGS.format("feed", 0, 'sequence = "u32@0";') + "};"
    other = start(text.replace("233.252.0.", "233.252.9."))
    other.wait_joined("feed-a")
    feed = legs("feed", 9, other)
    feed.send(0, number(1))
    feed.settled(1, 0)
    other.write_config(text.replace("233.252.0.", "233.252.9.").replace('["eth1"]; }', '["eth1"]; ttl = 3; }').replace(
        'sequence = "u32@0";', 'sequence = "u32@0"; expect_within = "9s";'))
    other.call("Reload")
    other.wait_joined("feed-b")
    feed.send(1, number(1))
    feed.send(1, number(2))
    group = feed.settled(1, 2)
    assert (group["received"], group["duplicates"]) == (2, 1)
    other.write_config(text.replace("233.252.0.", "233.252.9.").replace('merge = ["feed-a", "feed-b"]', 'merge = ["feed-b", "feed-a"]'))
    other.call("Reload")
    feed.send(0, number(3))
    wait_until(lambda: other.group("feed")["received"] == 3, "one more")
    assert {leg["group"]: leg["taken"] for leg in other.group("feed")["merge"]} == {"feed-a": 2, "feed-b": 2}


def test_a_silent_leg_stays_silent_over_a_reload_and_ends_when_it_is_taken_out(legs, start):
    third = ' cut-c: { address = "233.252.8.3"; port = 5004; interfaces = ["eth0"]; }; };'
    text = "groups: {" + LEGS.format("cut", 8, 'sequence = "u32@0";') + third
    other = start(text)
    other.wait_joined("cut-b")
    cut, n = legs("cut", 8, other), 0

    def silent():
        nonlocal n
        n += 1
        cut.send(1, number(n))
        return other.group("cut")["merge"][0]["silent"]

    with subscribe(other, "events") as control:
        wait_until(silent, "the leg to be silent")
        assert json.loads(control.result()["datagram"]["text"])["state"] == "begin"
        other.write_config(text.replace('sequence = "u32@0";', 'sequence = "u32@0"; expect_within = "99s";'))
        other.call("Reload")
        assert other.group("cut")["merge"][0]["silent"]
        other.write_config(text.replace('["cut-a", "cut-b"]', '["cut-b", "cut-c"]'))
        other.call("Reload")
        end = json.loads(control.result()["datagram"]["text"])
    assert (end["event"], end["state"], end["leg"]) == ("mergeLegSilent", "end", "cut-a")


def test_doctor_names_the_legs_as_the_places_to_look(daemon):
    assert "mcastctl doctor feed-a, mcastctl doctor feed-b" in daemon.ctl("doctor", "feed", status=1)


def test_a_refresh_reports_the_memberships_of_its_legs(daemon):
    assert "2 memberships are reported again" in daemon.ctl("refresh", "quiet")
    wait_until(lambda: all(daemon.group(leg)["memberships"][0]["refreshed"] for leg in ("quiet-a", "quiet-b")), "both legs")


def test_a_reload_that_changes_something_else_leaves_the_legs_as_they_are(start):
    text = "groups: {" + LEGS.format("feed", 8, 'sequence = "u32@0";') + "%s };"
    other = start(text % "")
    for port in range(5010, 5013):  # each frees the configuration before it
        other.write_config(text % f'more: {{ address = "233.252.7.1"; port = {port}; interfaces = ["eth0"]; }};')
        other.call("Reload")
        assert [leg["group"] for leg in other.group("feed")["merge"]] == ["feed-a", "feed-b"]


@pytest.mark.parametrize("keys, why", [
    ('merge = ["a", "c"];', 'there is no group "c", add it to groups'),
    ('merge = ["a", "m"];', "is this group itself"),
    ('merge = ["a", "n"];', "is made of others itself"),
    ('merge = ["a", "b", "a"];', '"a" is in the list twice'),
    ('merge = ["a", "b"]; sequence = "mpeg-ts";', "cannot tell copies: remove the key"),
    ('merge = ["a"];', "needs at least two groups"),
    ('merge = ["a", "b"]; address = "233.252.0.9";', "cannot be used with merge"),
    ('merge = ["a", "b"]; ttl = 3;', "cannot be used with merge"),
    ('merge = ["a", "b"]; interfaces = ["eth0", "eth1"]; relay: { };', "cannot be used with merge"),
])
def test_what_cannot_be_merged_is_refused_with_the_reason(directory, keys, why):
    path = os.path.join(directory, "mcastd.conf")
    with open(path, "w") as file:
        file.write('groups: { a: { address = "233.252.0.1"; port = 1; }; b: { address = "233.252.0.2"; port = 1; };\n'
                   f'n: {{ merge = ["a", "b"]; }};\nm: {{ {keys} }}; }};\n')
    checked = run_mcastd("--check", "-c", path)
    assert checked.returncode == 78 and why in checked.stderr, checked.stderr


def test_what_no_leg_brought_is_told_as_an_event_of_the_group(daemon, legs):
    read = legs("read", 2)
    with subscribe(daemon, "events") as control:
        for n in (*range(5000, 5010), 5012, 9000, 18000):  # the last ones push it out of the window
            read.send(0, number(n))
            read.send(1, number(n))
        event = json.loads(control.result()["datagram"]["text"])
        while (event["event"], event["group"]) != ("loss", "read"):
            event = json.loads(control.result()["datagram"]["text"])
    assert event["count"] >= 2 and "source" not in event
    wait_until(lambda: re.search(r"group read: \d+ numbers never came by any of its legs", daemon.log()), "the line")


def test_what_is_open_when_a_leg_is_taken_out_is_lost(legs, start):
    text = "groups: {" + LEGS.format("feed", 6, 'sequence = "u32@0";') + ' feed-c: { address = "233.252.6.3"; port = 5004; }; };'
    other = start(text.replace('"feed-b"]', '"feed-b", "feed-c"]'))
    other.wait_joined("feed-a", "feed-b")
    feed = legs("feed", 6, other)
    for n in 1, 2, 5, 6, 9:
        feed.send(0, number(n))
    wait_until(lambda: other.group("feed")["sequence"]["open"] == 4, "four to be open")
    other.write_config(text)
    other.call("Reload")
    group = other.group("feed")
    assert (group["sequence"]["lost"], group["sequence"]["open"]) == (4, 0)
    assert [(leg["lost"], leg["open"]) for leg in group["merge"]] == [(4, 0), (0, 0)]
