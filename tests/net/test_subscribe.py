"""Subscriptions: what comes in, live, and what a slow reader misses, said."""

import json
import os
import re
import signal
import threading

from harness.daemon import subscribe
from harness.peers import send
from harness.records import ALL_BYTES, payload_of
from harness.waiting import TIMEOUT, wait_until

CONFIG = """
groups: {
  one:   { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; receive_buffer = "8M"; };
  two:   { address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; handlers = ["raw"]; };
  three: { address = "233.252.0.3"; port = 5004; interfaces = ["eth0"]; };
};
handlers: { raw: { type = "file"; path = "$DIR/raw"; format = "raw"; }; };
"""


def next_datagram(subscription):
    return subscription.result()["datagram"]


def test_only_the_named_groups_are_delivered(daemon, net):
    with subscribe(daemon, "one", "three") as subscription:
        for address, payload in (("233.252.0.1", b"1"), ("233.252.0.2", b"2"), ("233.252.0.3", b"3")):
            send(net.peer, payload, address, 5004)
        assert [next_datagram(subscription)["group"] for _ in range(2)] == ["one", "three"]


def test_a_group_that_is_named_twice_is_delivered_once(daemon, net):
    with subscribe(daemon, "two", "one", "three", "two") as subscription:
        for number in range(3):
            send(net.peer, b"%d" % number, "233.252.0.2", 5004)
        assert [next_datagram(subscription)["text"] for _ in range(3)] == ["0", "1", "2"]


def assert_ended(subscription, group):
    """The last answer says why."""
    reply = subscription.reply()
    assert (reply["error"], reply["parameters"]["group"]) == ("io.mcastd.NoSuchGroup", group)
    assert reply["parameters"]["message"] == f"group {group} was removed; mcastctl groups lists those that are left"
    assert subscription.read() == b""


def test_a_subscription_ends_with_the_first_group_that_it_names_and_leave_removes(daemon, net):
    daemon.call("Join", address="233.252.0.9", port=5009, name="again", interfaces=["eth0"])
    with subscribe(daemon, "two", "again", "one") as subscription, subscribe(daemon, "two") as other, subscribe(daemon) as to_all:
        daemon.pause()
        send(net.peer, b"last", "233.252.0.9", 5009)
        with daemon.connect() as control:
            control.send("Leave", {"name": "again"})
            daemon.resume()
            control.result()
        assert next_datagram(subscription)["text"] == next_datagram(to_all)["text"] == "last"
        assert_ended(subscription, "again")
        send(net.peer, b"x", "233.252.0.2", 5004)
        assert next_datagram(other)["group"] == next_datagram(to_all)["group"] == "two"


def test_tail_shows_what_came_before_the_group_was_removed(daemon, net):
    daemon.call("Join", address="233.252.0.9", port=5009, name="again", interfaces=["eth0"])
    with daemon.start_tail("again", "--format", "raw") as tail:
        tail.send_signal(signal.SIGSTOP)  # it reads both at once
        send(net.peer, b"last", "233.252.0.9", 5009)
        daemon.wait_arrived("again", 1)
        daemon.call("Leave", name="again")
        tail.send_signal(signal.SIGCONT)
        shown, errors = tail.communicate(timeout=TIMEOUT)
        assert (shown, tail.returncode) == (b"last", 1) and errors.startswith(b"mcastctl: tail: group again was removed"), errors


def test_what_a_subscriber_missed_is_told_before_its_end(daemon, net, blast):
    daemon.call("Join", address="233.252.0.9", port=5009, name="again", interfaces=["eth0"])
    with subscribe(daemon, "again") as slow:
        blast(net.peer, "233.252.0.9", 5009, 5000, size=1000, rate=5000)
        daemon.wait_arrived("again", 5000)
        received = daemon.group("again")["received"]
        daemon.call("Leave", name="again")
        answers = []
        while "error" not in (reply := slow.reply()):
            answers.append(reply["parameters"])
    gaps = sum(answer["gap"]["count"] for answer in answers if answer.get("gap"))
    assert gaps and gaps + sum(bool(answer.get("datagram")) for answer in answers) == received


def test_a_subscription_ends_when_a_reload_removes_a_group_that_it_names(start, net):
    daemon = start(CONFIG)
    with subscribe(daemon, "three") as subscription, subscribe(daemon) as to_all, daemon.start_tail("three", "two") as tail:
        daemon.write_config(CONFIG.replace("three: {", "four: {"))
        daemon.call("Reload")
        assert_ended(subscription, "three")
        assert tail.communicate(timeout=TIMEOUT)[1].startswith(b"mcastctl: tail: group three was removed; mcastctl groups")
        assert tail.returncode == 1
        send(net.peer, b"x", "233.252.0.3", 5004)
        assert next_datagram(to_all)["group"] == "four"
        assert daemon.call("GetStatus")["subscribers"] == 1


def test_without_names_all_groups_are_delivered(daemon, net):
    with subscribe(daemon) as subscription:
        for address in ("233.252.0.1", "233.252.0.2", "233.252.0.3"):
            send(net.peer, b"x", address, 5004)
        assert {next_datagram(subscription)["group"] for _ in range(3)} == {"one", "two", "three"}


def test_groups_that_are_joined_later_are_delivered_too(daemon, net):
    with subscribe(daemon) as subscription:
        daemon.call("Join", address="233.252.0.9", port=5009, name="later", interfaces=["eth0"])
        send(net.peer, b"x", "233.252.0.9", 5009)
        assert next_datagram(subscription)["group"] == "later"
        daemon.call("Leave", name="later")


def test_any_payload_comes_through(daemon, net):
    payloads = [b"", b"text", ALL_BYTES, "Grüße\u2028".encode(), b'"}\0{"', os.urandom(65507)]
    with subscribe(daemon, "one") as subscription:
        for payload in payloads:
            send(net.peer, payload, "233.252.0.1", 5004)
            assert payload_of(next_datagram(subscription)) == payload


def test_every_reply_says_that_more_will_follow(daemon, net):
    with subscribe(daemon, "one") as subscription:
        send(net.peer, b"x", "233.252.0.1", 5004)
        assert subscription.reply()["continues"] is True


def test_subscribers_are_counted_and_forgotten(daemon):
    before = daemon.call("GetStatus")["subscribers"]
    with subscribe(daemon), subscribe(daemon, "one"):
        assert daemon.call("GetStatus")["subscribers"] == before + 2
    wait_until(lambda: daemon.call("GetStatus")["subscribers"] == before, "the subscribers to be gone")


def test_a_line_is_enough_to_subscribe(daemon, net):
    before = daemon.call("GetStatus")["subscribers"]
    with daemon.connect(b"\n") as control:
        control.write(b'{"method":"io.mcastd.Subscribe","more":true}\n')
        control.socket.shutdown(1)  # as "echo ... | socat" does
        wait_until(lambda: daemon.call("GetStatus")["subscribers"] > before, "the subscription")
        send(net.peer, b"x", "233.252.0.1", 5004)
        assert next_datagram(control)["text"] == "x"


def test_a_subscriber_that_does_not_read_sees_a_gap_and_others_lose_nothing(daemon, net, blast):
    with subscribe(daemon, "one") as idle, subscribe(daemon, "two") as quick:
        before, received_before = daemon.arrived("one"), daemon.group("one")["received"]
        for number in range(100):
            blast(net.peer, "233.252.0.1", 5004, 200, 1400)
            send(net.peer, b"%04d" % number, "233.252.0.2", 5004)
            assert next_datagram(quick)["text"] == "%04d" % number
        daemon.wait_arrived("one", before + 20000)
        received = daemon.group("one")["received"] - received_before
        shown = missed = 0
        while shown + missed < received:
            reply = json.loads(idle.read())["parameters"]
            if "gap" in reply:
                assert reply["gap"]["group"] == "one"
                missed += reply["gap"]["count"]
            else:
                shown += 1
        assert missed > 0 and shown > 0
        assert shown + missed == received
        send(net.peer, b"after the gap", "233.252.0.1", 5004)
        assert next_datagram(idle)["text"] == "after the gap"
    assert daemon.group("two")["kernelDropped"] == 0


def test_tail_shows_gaps(daemon, net, blast):
    with daemon.start_tail("one", "--format", "json") as tail:
        arrived = daemon.arrived("one")
        before = daemon.group("one")["received"]
        blast(net.peer, "233.252.0.1", 5004, 20000, 1400)  # into a pipe that nobody reads
        daemon.wait_arrived("one", arrived + 20000)
        received = daemon.group("one")["received"] - before
        lines, words = [], []
        for taken, stream in (lines, tail.stdout), (words, tail.stderr):
            threading.Thread(target=taken.extend, args=[stream], daemon=True).start()

        def missed():
            gaps = [re.fullmatch(rb"gap: (\d+) datagrams? of one (?:was|were) not seen here\n", line) for line in words]
            return sum(int(gap[1]) for gap in gaps)

        wait_until(lambda: len(lines) + missed() == received, "all to be shown or told to be missed")
        assert lines and words
        tail.terminate()
        tail.wait(15)
