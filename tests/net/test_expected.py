"""What a group expects of its rate and its senders; what is not so is an event."""

import json
import re
import time

from harness.daemon import subscribe
from harness.peers import receiver_on, send, sender_as
from harness.waiting import wait_until

CONFIG = """
groups: {
  rate:    { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; expect_rate = ["50/s", "100000/s"]; };
  senders: { address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; expect_senders = ["192.0.2.2", "192.0.2.64/30"]; };
  slow:    { address = "233.252.0.4"; port = 5004; interfaces = ["eth0"]; expect_rate = "110/m"; };
  one:     { address = "233.252.0.3"; port = 5004; interfaces = ["eth0"]; expect_one_sender = true; };
};
"""


def events_of(control, group):
    """The next event of the group."""
    while True:
        event = json.loads(control.result()["datagram"]["text"])
        if event["group"] == group:
            return event


def test_too_few_datagrams_are_an_event_that_ends(net, daemon):
    with subscribe(daemon, "events") as control, sender_as(net.peer, "192.0.2.2", 4000) as sock:
        def enough():
            for _ in range(40):
                sock.sendto(b"x", ("233.252.0.1", 5004))
            return "the rate is as expected again" in daemon.log()

        wait_until(lambda: "0 datagrams in a second, expected: 50/s to 100000/s" in daemon.log(), "the event")
        wait_until(enough, "the end of the event")
        shown = [events_of(control, "rate")]
        while shown[-1]["state"] != "end":
            shown.append(events_of(control, "rate"))
    assert {event["event"] for event in shown} == {"rate"}


def rate_config(rate):
    return f'groups: {{ none: {{ address = "233.252.0.5"; port = 5004; interfaces = ["eth0"]; {rate} }}; }};'


def test_replies_do_not_count_for_the_rate(start, net):
    daemon = start(rate_config('expect_rate = "50/s"; replies = true;'))
    with receiver_on(net.peer, "233.252.0.5", 5004, "eth0") as device, sender_as(net.peer, "192.0.2.2", 4000) as sock:
        daemon.call("Send", group="none", text="who is there?")
        source = device.recvfrom(100)[1]

        wait_until(lambda: "expected: 50/s or more" in daemon.log(), "the first event")

        def is_as_expected():
            for _ in range(40):
                sock.sendto(b"x", ("233.252.0.5", 5004))
            return "the rate is as expected again" in daemon.log()

        wait_until(is_as_expected, "the feed")

    def is_off_again():
        for _ in range(40):
            send(net.peer, b"here", *source)
        return daemon.log().rpartition("the rate is as expected again")[2].count("expected: 50/s")

    wait_until(is_off_again, "the event")
    wait_until(lambda: daemon.group("none")["replies"] >= 40, "replies")


def test_where_nothing_arrives_the_rate_counts_none(start):
    daemon = start()
    with subscribe(daemon, "events") as control:
        daemon.write_config(rate_config('expect_rate = "2/s";'))
        daemon.call("Reload")
        event = events_of(control, "none")
        while event["event"] != "rate":
            event = events_of(control, "none")
    assert (event["state"], event["count"]) == ("begin", 0) and 500 <= event["milliseconds"] < 10_000
    assert re.search(r"group none: 0 datagrams in (a second|\d+m?s), expected: 2/s or more\n", daemon.log())


def test_a_slow_rate_is_measured_over_the_time_of_ten_datagrams(daemon):
    log = wait_until(lambda: re.search(r"group slow: 0 datagrams in (\d+)s, expected: 110/m or more", daemon.log()), "the event", timeout=30)
    assert int(log[1]) >= 6


def test_a_reload_that_takes_the_rate_away_says_so_and_no_rate(start):
    daemon = start(rate_config('expect_rate = "50/s";'))
    wait_until(lambda: "expected: 50/s or more" in daemon.log(), "the event")
    with subscribe(daemon, "events") as control:
        daemon.write_config(rate_config(""))
        daemon.call("Reload")
        event = events_of(control, "none")
    assert (event["event"], event["state"], event["why"]) == ("rate", "end", "the group or its expect_rate was changed")
    assert "group none: the group or its expect_rate was changed, while its rate was not as expected\n" in daemon.log()
    assert "as expected again" not in daemon.log()


def test_a_sender_that_is_not_expected_is_an_event_and_is_received(net, daemon):
    with subscribe(daemon, "events") as control:
        for source in "192.0.2.2", "192.0.2.66", "192.0.2.68":
            with sender_as(net.peer, source, 4000) as sock:
                sock.sendto(b"x", ("233.252.0.2", 5004))
        event = events_of(control, "senders")
    assert (event["event"], event["source"], event["interface"], event["count"]) == ("unknownSender", "192.0.2.68", "eth0", 1)
    wait_until(lambda: daemon.group("senders")["received"] == 3, "all three")


def test_two_senders_at_a_time_are_an_event_and_one_that_takes_over_is_none(net, daemon):
    with subscribe(daemon, "events") as control, sender_as(net.peer, "192.0.2.2", 4000) as first, \
            sender_as(net.peer, "192.0.2.3", 4000) as second:
        for sock in first, first, second, second, second:
            sock.sendto(b"x", ("233.252.0.3", 5004))
        wait_until(lambda: daemon.group("one")["received"] == 5, "all five")
        assert "at the same time" not in daemon.log()
        for sock in first, second:
            sock.sendto(b"x", ("233.252.0.3", 5004))
            time.sleep(0.01)  # so that they come in this order
        event = events_of(control, "one")
    assert (event["event"], event["state"], event["source"], event["otherSource"]) == (
        "senderConflict", "begin", "192.0.2.3", "192.0.2.2") or (event["source"], event["otherSource"]) == (
        "192.0.2.2", "192.0.2.3")


def test_a_reload_that_ends_a_conflict_of_senders_says_so(start, net):
    def config(keys):
        return f'groups: {{ two: {{ address = "233.252.0.6"; port = 5004; interfaces = ["eth0"]; {keys} }}; }};'

    daemon = start(config("expect_one_sender = true;"))
    daemon.wait_joined("two")
    with subscribe(daemon, "events") as control, sender_as(net.peer, "192.0.2.2", 4000) as first, \
            sender_as(net.peer, "192.0.2.3", 4000) as second:
        def take_turns():
            for sock in first, second:
                sock.sendto(b"x", ("233.252.0.6", 5004))
            return "send at the same time" in daemon.log()

        wait_until(take_turns, "the conflict")
        daemon.write_config(config(""))
        daemon.call("Reload")
        event = events_of(control, "two")
        while event["state"] != "end":
            event = events_of(control, "two")
    assert event["why"] == "the group or its expect_one_sender was changed"


def test_what_still_lies_in_the_socket_at_the_end_has_a_sender_too(net, daemon, blast):
    with blast.stream(net.peer, "233.252.0.2", 5004, rate=20_000):
        wait_until(lambda: daemon.group("senders")["received"] > 1000, "the stream")
        daemon.stop()
