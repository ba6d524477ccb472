"""What the daemon tells of itself, in the group "events"."""

import contextlib
import json
import os
import re

import pytest

from harness.daemon import subscribe
from harness.peers import receiver_on, send, seqpacket, seqpacket_at_once
from harness.waiting import wait_until

pytestmark = pytest.mark.waits

GROUP = 'address = "233.252.0.1"; port = 5004;'
FIELDS = {"event", "group", "count", "timestamp"}


def config(*groups, events="", handlers=""):
    members = " ".join(f"{name}: {{ {keys} }};" for name, keys in groups)
    return f"groups: {{ {members} }};\nevents: {{ {events} }};\nhandlers: {{ {handlers} }};\n"


def silent(name="feed", within="300ms", number=1, interface="eth0"):
    return name, f'address = "233.252.0.{number}"; port = 5004; interfaces = ["{interface}"]; expect_within = "{within}";'


def seconds_of(timestamp):
    return int(timestamp[14:16]) * 60 + float(timestamp[17:-1])


@contextlib.contextmanager
def listening(daemon, new_config=None):
    """A function that returns the next event; the first ones are those of a new configuration."""
    with subscribe(daemon, "events") as control:
        if new_config:
            reload(daemon, new_config)
        yield lambda: json.loads(control.result()["datagram"]["text"])


def wait_for(next_event, **members):
    """The next event with these members. Others may come before it: a new interface is down for a moment."""
    one = next_event()
    while not members.items() <= one.items():
        one = next_event()
    return one


def reload(daemon, new_config):
    daemon.write_config(new_config)
    return daemon.call("Reload")["changes"]


@pytest.fixture
def late(net):
    """Makes an interface that was missing; it goes with the test."""
    made = []

    def make(name="late0"):
        net.host.ip(f"link add {name} type veth peer name far-{name}", f"link set {name} up")
        made.append(name)

    yield make
    for name in made:
        net.host.ip(f"link del {name}")


# The group

def listed(daemon):
    return [group["name"] for group in daemon.call("ListGroups")["groups"]]


def test_the_group_of_events_is_there_without_configuration_and_listed_where_it_is_used(start):
    daemon = start(config(("feed", GROUP)))
    assert listed(daemon) == ["feed"]
    with subscribe(daemon, "events"):
        assert listed(daemon) == ["events", "feed"]
        group = daemon.group("events")
        assert (group["address"], group["port"], group["memberships"], group["handlers"]) == ("", 0, [], [])
    reload(daemon, config(("feed", GROUP), events='handlers = ["journal"];'))
    assert listed(daemon) == ["events", "feed"] and daemon.group("events")["handlers"] == ["journal"]


def test_it_does_not_count_as_a_group_of_the_daemon(start):
    daemon = start(config(("news", GROUP)))
    assert daemon.call("GetStatus")["groups"] == 1
    assert " 1 group:" in daemon.log()


def test_groups_shows_it_without_an_address(start):
    table = start(config(events="socket = true;")).ctl("groups")
    assert re.search(r"^events +- +- +0 +0 +never ", table, re.M)


def test_it_follows_no_route_as_it_sends_nothing(start, net):
    daemon = start(config(("feed", f"{GROUP} replies = true;"), events="socket = true;"))
    net.host.ip("route del 224.0.0.0/4 dev eth0")
    try:
        wait_until(lambda: daemon.group("feed")["outgoing"][0]["error"], "the daemon to see that the route is gone")
        assert daemon.group("events")["outgoing"] == []
    finally:
        net.host.ip("route add 224.0.0.0/4 dev eth0")


def test_no_other_group_has_its_name(start):
    daemon = start()
    daemon.write_config('groups: { events: { address = "233.252.0.1"; port = 5004; }; };')
    error = daemon.error("Reload")
    assert error.parameters["errors"] == [
        f"{daemon.config_path}:1: groups.events: the name belongs to the group of the daemon's own events, use another"]
    assert "the daemon's own events" in daemon.error("Join", address="233.252.0.1", port=5004,
                                                     name="events").parameters["message"]


def test_an_unknown_handler_of_it_is_an_error_at_its_line(start):
    daemon = start()
    daemon.write_config('events: {\n  handlers = ["nothing"];\n};\n')
    assert daemon.error("Reload").parameters["errors"][0].startswith(
        f'{daemon.config_path}:2: events.handlers: there is no handler "nothing"')


def test_nothing_is_sent_to_it(start):
    daemon = start(config(events="socket = true;"))
    for parameters in ({"text": "x"}, {"text": "x", "interface": "eth0"}):
        error = daemon.error("Send", group="events", **parameters)
        assert error.name == "io.mcastd.NotPermitted"
        assert error.parameters == {"group": "events", "message": "user root may not send to group events; nobody can: its datagrams "
                                                                  "are the daemon's own events"}


def test_who_subscribes_to_all_groups_gets_none_of_it(start, net, late):
    daemon = start(config(("news", GROUP + ' interfaces = ["eth0", "late0"];')))
    with subscribe(daemon) as control:
        with listening(daemon) as event:
            late()
            wait_for(event, membership="joined")
        send(net.peer, b"after", "233.252.0.1", 5004)
        assert control.result()["datagram"]["text"] == "after"


# Membership

def test_a_membership_that_waits_and_is_joined_is_told(start, late):
    daemon = start(config(("news", GROUP + ' interfaces = ["late0"];')))
    with listening(daemon) as event:
        late()
        joined = wait_for(event, membership="joined")
        assert joined["event"] == "membership" and joined["group"] == "news" and joined["interface"] == "late0"
        assert joined["timestamp"].endswith("Z") and set(joined) == FIELDS | {"interface", "membership"}
        daemon.host.ip("link set late0 down")
        wait_for(event, why="the interface is down")


def globbed(count=1):
    return config(*((f"feed{number}", f'address = "233.252.0.{number + 1}"; port = 5004; interfaces = ["eth0", "late*"];')
                    for number in range(count)))


def test_a_membership_of_a_glob_that_goes_and_comes_back_is_told(start, net, late):
    late()
    daemon = start(globbed())
    with listening(daemon) as next_event:
        net.host.ip("link add br9 type bridge", "link set late0 master br9")
        try:
            event = wait_for(next_event, event="membership", membership="left")
            assert event["interface"] == "late0" and event["why"] == "it is a port of the bridge br9"
            net.host.ip("link set late0 nomaster")
            event = wait_for(next_event, event="membership", membership="joined")
            assert event["interface"] == "late0" and "why" not in event
        finally:
            net.host.ip("link del br9")
    assert "group feed0: left on late0: it is a port of the bridge br9\n" in daemon.log()
    assert "group feed0: joined on late0\n" in daemon.log()


def test_a_membership_of_a_glob_whose_interface_is_deleted_is_told(start, net):
    net.host.ip("link add late5 type veth peer name far-late5", "link set late5 up")
    daemon = start(globbed())
    with listening(daemon) as next_event:
        net.host.ip("link del late5")
        event = wait_for(next_event, event="membership", membership="left")
        assert event["interface"] == "late5" and event["why"] == "the interface is gone"


def test_an_interface_that_comes_for_a_glob_is_told(start, late):
    daemon = start(globbed())
    with listening(daemon) as next_event:
        late()
        event = wait_for(next_event, event="membership", membership="joined")
        assert event["interface"] == "late0" and event["group"] == "feed0"


def test_what_many_memberships_do_at_once_is_one_line(start, net, late):
    late()
    daemon = start(globbed(20))
    net.host.ip("link add br9 type bridge", "link set late0 master br9")
    try:
        wait_until(lambda: "late0: 20 memberships left: it is a port of the bridge br9\n" in daemon.log(), "one line of all")
    finally:
        net.host.ip("link del br9")
    wait_until(lambda: "late0: 20 memberships joined\n" in daemon.log(), "one line of all")
    assert "group feed" not in daemon.log()


def test_what_a_reload_and_leave_end_is_not_told_as_left(start, late):
    waits = "other", 'address = "233.252.0.9"; port = 5004; interfaces = ["late0"];'
    keys = 'address = "233.252.0.1"; port = 5004; interfaces = ["eth0"{}];'
    daemon = start(config(waits, ("feed", keys.format(', "eth1"')), ("gone", keys.format(""))))
    daemon.ctl("join", "233.252.0.8:5004%eth0")
    with listening(daemon) as next_event:
        reload(daemon, config(waits, ("feed", keys.format(""))))
        daemon.ctl("leave", "233.252.0.8:5004%eth0")
        late()
        events = [next_event()]
        while (events[-1].get("interface"), events[-1].get("membership")) != ("late0", "joined"):
            events.append(next_event())
    assert "left" not in [event.get("membership") for event in events]
    assert " left on " not in daemon.log()


def test_the_datagram_of_an_event_has_no_address(start, late):
    daemon = start(config(("news", GROUP + ' interfaces = ["late0"];')))
    with subscribe(daemon, "events") as control:
        late()
        datagram = control.result()["datagram"]
    for field in ("address", "source", "interface"):
        assert datagram[field] == ""
    assert (datagram["group"], datagram["port"], datagram["sourcePort"]) == ("events", 0, 0)
    assert datagram["size"] == len(datagram["text"])


# Silence

def test_silence_begins_and_ends_with_the_first_datagram(start, net):
    daemon = start()
    with listening(daemon, config(silent())) as event:
        begin = event()
        assert begin["event"] == "silence" and begin["state"] == "begin" and begin["group"] == "feed"
        assert 300 <= begin["milliseconds"]
        assert daemon.group("feed")["silent"] is True
        send(net.peer, b"x", "233.252.0.1", 5004)
        end = event()
        assert end["state"] == "end" and end["milliseconds"] >= begin["milliseconds"]
        assert daemon.group("feed")["received"] == 1
        assert event()["state"] == "begin"
    log = daemon.log()
    assert f"group feed: silent: no datagram for 300ms; to find out why: mcastctl -s {daemon.control_path} doctor feed\n" in log
    assert re.search(r"group feed: receives again, after \d+ms without a datagram", log)


def test_silence_is_a_column_of_groups(start):
    daemon = start(config(silent()))
    wait_until(lambda: daemon.group("feed")["silent"], "the silence")
    assert re.search(r"SILENT.*\n(.*\n)*feed .* yes ", daemon.ctl("groups"))


def test_a_group_that_is_not_joined_yet_is_not_silent(start, late):
    daemon = start()
    with listening(daemon, config(silent("later", "100ms", 1, "late0"), silent("feed", "300ms", 2))) as event:
        wait_for(event, group="feed")
        assert not daemon.group("later")["silent"]
        late()
        wait_for(event, event="silence", group="later")


LEGS = [(f"leg{number}", f'address = "233.252.0.{number}"; port = 5004; interfaces = ["late0"];') for number in (2, 3)]
MERGED = 'merge = ["leg2", "leg3"]; expect_within = "100ms"; expect_rate = "5/s";'


def test_a_merged_group_none_of_whose_legs_is_joined_is_not_silent(start, late):
    daemon = start()
    with listening(daemon, config(*LEGS, ("merged", MERGED), silent("feed", "2500ms"))) as event:
        before = event()
        while (before["event"], before["group"]) != ("silence", "feed"):
            assert before["group"] != "merged"
            before = event()
        assert not daemon.group("merged")["silent"]
        late()
        wait_for(event, event="silence", group="merged")
        wait_for(event, event="rate", group="merged")


def test_a_reload_that_adds_the_key_watches_a_merged_group_whose_legs_are_joined(start):
    legs = [(name, keys.replace("late0", "eth0")) for name, keys in LEGS]
    daemon = start(config(*legs))
    daemon.wait_joined("leg2")
    with listening(daemon, config(*legs, ("merged", MERGED))) as event:
        wait_for(event, event="silence", group="merged")


def test_a_reload_keeps_the_silence_of_a_group_whose_key_stays(start):
    daemon = start(config(silent()))
    wait_until(lambda: daemon.group("feed")["silent"], "the silence")
    name, keys = silent()
    assert "group feed: changed: ttl" in reload(daemon, config((name, keys + " ttl = 3;")))
    assert daemon.group("feed")["silent"]
    assert daemon.log().count("group feed: silent") == 1


def test_a_reload_that_takes_the_key_away_ends_the_silence(start):
    daemon = start(config(silent()))
    wait_until(lambda: daemon.group("feed")["silent"], "the silence")
    with listening(daemon, config(("feed", GROUP + ' interfaces = ["eth0"];'))) as event:
        end = wait_for(event, state="end")
    assert end["state"] == "end" and end["why"] == "the group or its expect_within was changed"
    assert not daemon.group("feed")["silent"]


def test_a_reload_that_adds_the_key_watches_a_group_that_is_joined(start):
    daemon = start(config(("feed", GROUP + ' interfaces = ["eth0"];')))
    daemon.wait_joined("feed")
    with listening(daemon, config(silent())) as event:
        assert event()["event"] == "silence"


def test_replies_do_not_end_silence(start, net):
    name, keys = silent(within="200ms")
    daemon = start(config((name, keys + " replies = true;")))
    with receiver_on(net.peer, "233.252.0.1", 5004, "eth0") as peer:
        wait_until(lambda: daemon.group("feed")["silent"], "the silence")
        daemon.call("Send", group="feed", text="question")
        _, sender = peer.recvfrom(100)
        # What the group sends comes back to itself, and is a datagram as any: silence has ended, and begins again.
        wait_until(lambda: daemon.log().count("group feed: silent") >= 2, "the silence after it")
        received = daemon.group("feed")["received"]
        with net.peer:
            peer.sendto(b"answer", sender)
        wait_until(lambda: daemon.group("feed")["replies"] == 1, "the answer")
        assert daemon.group("feed")["received"] == received + 1
        assert daemon.group("feed")["silent"]


# Consumers

def test_tail_prints_the_objects(start):
    daemon = start()
    with daemon.start_tail("events", "--count", "1", "--timeout", "10s") as tail:
        reload(daemon, config(silent()))
        line = tail.communicate()[0].decode()
    assert re.match(r"\S+Z events - - \d+ \{\"event\":\"silence\",\"state\":\"begin\",\"group\":\"feed\"", line)


def test_a_file_gets_them(start):
    daemon = start(config(silent(), events='handlers = ["file"];',
                          handlers='file: { type = "file"; path = "$DIR/events"; format = "json"; };'))
    line = json.loads(wait_until(lambda: daemon.read("events"), "the event"))
    assert line["group"] == "events" and json.loads(line["text"])["event"] == "silence"
    assert daemon.handler("file")["groups"] == ["events"]


def test_a_program_gets_them(start, programs):
    programs.write("note", 'echo "$MCASTD_GROUP,$MCASTD_ADDRESS,$MCASTD_SOURCE,$MCASTD_INTERFACE"; cat')
    daemon = start(config(silent(), events='handlers = ["note"];',
                          handlers=f'note: {{ type = "exec"; command = ["{programs.path("note")}"]; }};'))
    wait_until(lambda: re.search(r"events,,,\n.*\"event\":\"silence\"", daemon.log()), "the output of the program")


def test_a_recording_of_packets_has_them_and_replays_the_datagrams_alone(start, net):
    name, keys = silent()
    daemon = start(config((name, keys + ' handlers = ["capture"];'), ("again", 'address = "233.252.0.9"; port = 5005;'
                                                                      ' interfaces = ["eth0"];'),
                          events='handlers = ["capture"];',
                          handlers='capture: { type = "pcapng"; path = "$DIR/capture.pcapng"; };'))
    wait_until(lambda: daemon.group("feed")["silent"], "the silence")
    send(net.peer, b"datagram", "233.252.0.1", 5004)
    wait_until(lambda: daemon.handler("capture")["delivered"] >= 3, "the recording")
    assert b'"event":"silence"' in daemon.read("capture.pcapng")
    daemon.ctl("rotate")
    [path] = [name for name in os.listdir(daemon.directory) if re.match(r"capture\..*Z.pcapng", name)]
    daemon.ctl("replay", daemon.path(path), "again")
    assert daemon.group("again")["sent"] == 1


def test_a_relay_sends_them_to_a_group(start, net):
    with receiver_on(net.peer, "233.252.0.77", 5007, "eth0") as peer:
        start(config(silent(), events='handlers = ["out"];',
                     handlers='out: { type = "udp"; address = "233.252.0.77"; port = 5007; interface = "eth0"; };'))
        assert json.loads(peer.recv(2000))["event"] == "silence"


def test_the_group_socket_is_read(start):
    daemon = start(config(silent(), events="socket = true;"))
    with seqpacket(daemon.group_path("events")) as sock:
        sock.settimeout(10)
        wait_until(lambda: daemon.group("feed")["silent"], "the silence")
        reload(daemon, config(silent(within="200ms"), events="socket = true;"))
        assert json.loads(sock.recv(2000))["event"] == "silence"


def test_the_group_socket_cannot_be_written(start):
    daemon = start(config(events="socket = true;"))
    with seqpacket(daemon.group_path("events")) as sock:
        def refused():
            try:
                sock.send(b"x")
            except BrokenPipeError:
                return True

        wait_until(refused, "the socket to be read-only")


def test_what_was_written_before_the_group_socket_was_accepted_counts(start):
    daemon = start(config(events="socket = true;"))
    daemon.pause()
    with seqpacket_at_once(daemon.group_path("events")) as early:
        early.send(b"early")
        daemon.resume()
        wait_until(lambda: daemon.group("events")["sendFailed"] == 1, "the datagram to count")


def test_a_program_that_closes_the_group_socket_is_forgotten(start):
    daemon = start(config(events="socket = true;"))
    descriptors = f"/proc/{daemon.process.pid}/fd"
    before = len(os.listdir(descriptors))
    with seqpacket(daemon.group_path("events")):
        wait_until(lambda: len(os.listdir(descriptors)) > before, "the connection")
    wait_until(lambda: len(os.listdir(descriptors)) == before, "the end of the connection")


def test_a_reload_changes_who_gets_them(start):
    handlers = 'a: { type = "file"; path = "$DIR/a"; }; b: { type = "file"; path = "$DIR/b"; };'
    daemon = start(config(silent(), events='handlers = ["a"];', handlers=handlers))
    wait_until(lambda: daemon.read("a"), "the event")
    changes = reload(daemon, config(silent(within="200ms"), events='handlers = ["b"];', handlers=handlers))
    assert "group events: changed: handlers" in changes
    wait_until(lambda: daemon.read("b"), "the next event")
    assert daemon.group("events")["handlers"] == ["b"]


# Limits

def test_one_group_tells_at_most_one_silence_a_second(start, net):
    daemon = start()
    told = []
    with listening(daemon, config(silent(within="100ms"))) as event:
        told.append(event())
        for _ in range(4):
            wait_until(lambda: daemon.group("feed")["silent"], "the silence")
            send(net.peer, b"x", "233.252.0.1", 5004)
            wait_until(lambda: not daemon.group("feed")["silent"], "its end")
        while sum(one["count"] for one in told) < 9:  # five times begin and four times end
            told.append(event())
    assert told[-1]["state"] == "begin" and sum(one["count"] for one in told) == 9
    assert len(told) < 9


def test_many_groups_tell_a_hundred_events_a_second_and_lose_none(start):
    count = 250
    daemon = start()
    told, seconds = [], []
    with subscribe(daemon, "events") as control:
        reload(daemon, config(*(silent(f"feed{i}", "1s", i + 1) for i in range(count))))
        while len({one["group"] for one in told if one["event"] == "silence"}) < count:
            datagram = control.result()["datagram"]
            told.append(json.loads(datagram["text"]))
            seconds.append(seconds_of(datagram["timestamp"]))
    assert all(one["state"] == "begin" for one in told if one["event"] == "silence")
    assert sum(one["event"] == "silence" for one in told) == count
    # On a slow machine the first of them are a second old before there are a hundred.
    limit = next(number for number, one in enumerate(told) if one["event"] == "suppressed")
    assert limit >= 99 and 0 < told[limit]["count"] <= count - 99
    assert all(later - first >= 0.999 for first, later in zip(seconds, seconds[100:]))
    assert len(re.findall("group feed\\d+: silent", daemon.log())) == count
    assert daemon.log().count("more events wait") == 1
