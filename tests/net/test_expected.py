"""What a group expects of its rate and its senders; what is not so is an event."""

import json
import time

from harness.daemon import subscribe
from harness.peers import sender_as
from harness.waiting import wait_until

CONFIG = """
groups: {
  rate:    { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; expect_rate = ["50/s", "100000/s"]; };
  senders: { address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; expect_senders = ["192.0.2.2", "192.0.2.64/30"]; };
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


def test_what_still_lies_in_the_socket_at_the_end_has_a_sender_too(net, daemon, blast):
    with blast.stream(net.peer, "233.252.0.2", 5004, rate=20_000):
        wait_until(lambda: daemon.group("senders")["received"] > 1000, "the stream")
        daemon.stop()
