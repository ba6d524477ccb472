"""Reloading: all of the new configuration or nothing of it, and what did not change goes on."""

import os
import select
import signal
import time

import pytest

from harness.daemon import VarlinkError
from harness.peers import has_membership, receive, send, seqpacket, tutorial_sender
from harness.waiting import wait_until


def config(*groups, extra=""):
    return f"groups: {{ {' '.join(groups)} }};\n" \
        f'handlers: {{ raw: {{ type = "file"; path = "$DIR/raw"; format = "raw"; }}; {extra} }};\n'


def group(name, number, **keys):
    rest = "".join(f"{key} = {value}; " for key, value in keys.items())
    return f'{name}: {{ address = "233.252.0.{number}"; port = 5004; interfaces = ["eth0"]; {rest}}};'


ONE = group("one", 1, handlers='["raw"]', socket="true")
TWO = group("two", 2)
BROKEN = 'three: { address = "0.0.0.1"; port = 5004; };'


@pytest.fixture
def daemon(start):
    return start(config(ONE))


def names(daemon):
    return {group["name"] for group in daemon.call("ListGroups")["groups"]}


def test_an_added_group_appears(daemon, net):
    daemon.write_config(config(ONE, TWO))
    assert daemon.call("Reload")["changes"] == ["group two: added"]
    assert names(daemon) == {"one", "two"}
    send(net.peer, b"x", "233.252.0.2", 5004)
    daemon.wait_arrived("two", 1)


def test_a_removed_group_is_left(daemon, net):
    daemon.write_config(config(TWO))
    assert daemon.call("Reload")["changes"] == ["group one: removed", "group two: added"]
    assert names(daemon) == {"two"}
    assert not has_membership(net.host, "233.252.0.1")


def test_a_changed_group_takes_the_new_settings_and_keeps_its_counters(daemon, net):
    send(net.peer, b"before", "233.252.0.1", 5004)
    daemon.wait_arrived("one", 1)
    daemon.write_config(config(group("one", 1, handlers='["raw", "log"]', socket="true")))
    assert daemon.call("Reload")["changes"] == ["group one: changed: handlers"]
    assert daemon.group("one")["handlers"] == ["raw", "log"]
    send(net.peer, b"after", "233.252.0.1", 5004)
    daemon.wait_arrived("one", 2)


def test_an_unchanged_group_keeps_its_counters_and_loses_nothing(daemon, net):
    sent = []
    with tutorial_sender(net.peer, "233.252.0.1") as sock:
        for round_number in range(20):
            daemon.write_config(config(ONE, *([TWO] if round_number % 2 else [])))
            daemon.control.send("Reload", {})
            for number in range(50):
                sent.append(b"%02d%02d" % (round_number, number))
                sock.sendto(sent[-1], ("233.252.0.1", 5004))
            daemon.control.result()
    daemon.wait_arrived("one", len(sent))
    assert daemon.group("one")["kernelDropped"] == 0
    wait_until(lambda: daemon.read("raw") == b"".join(sent), "all of it in the file")
    assert daemon.handler("raw")["received"] == len(sent)


def test_without_a_change_nothing_changes(daemon):
    since = daemon.membership("one", "eth0")["since"]
    assert daemon.call("Reload") == {"changes": [], "keptGroups": 1, "keptHandlers": 3}
    assert daemon.membership("one", "eth0")["since"] == since


def test_a_broken_configuration_fails_with_all_errors_and_changes_nothing(daemon, net):
    daemon.write_config(config(ONE, TWO, BROKEN, "four: { };"))
    error = daemon.error("Reload")
    assert error.name == "io.mcastd.ReloadFailed"
    assert [line.partition(",")[0] for line in error.parameters["errors"]] == [
        f"{daemon.config_path}:1: groups.{words}" for words in (
            "four: has no address", "four: has no port", 'three.address: "0.0.0.1" is no address of a host')]
    assert names(daemon) == {"one"}
    send(net.peer, b"still here", "233.252.0.1", 5004)
    daemon.wait_arrived("one", 1)


def test_a_handler_that_cannot_be_opened_fails_the_reload_and_changes_nothing(daemon):
    daemon.write_config(config(ONE, TWO, extra='bad: { type = "file"; path = "/nonexistent/x"; };'))
    error = daemon.error("Reload")
    assert error.name == "io.mcastd.ReloadFailed"
    assert error.parameters["errors"] == [f"{daemon.config_path}:2: handlers.bad: opening /nonexistent/x: "
                                          "No such file or directory; create its directory, for the user that the daemon runs as"]
    assert names(daemon) == {"one"}


def test_a_dry_run_tells_what_would_change_and_changes_nothing(daemon):
    daemon.write_config(config(TWO))
    assert daemon.call("Reload", dryRun=True)["changes"] == ["group one: removed", "group two: added"]
    assert names(daemon) == {"one"}
    daemon.write_config(config(BROKEN))
    with pytest.raises(VarlinkError):
        daemon.call("Reload", dryRun=True)


def test_the_plan_names_the_keys_that_change(daemon):
    daemon.write_config(config(group("one", 1, handlers='["raw", "log"]', socket="true", ttl=7))
                        .replace('format = "raw"', 'format = "hex"; filter: { min_size = 1; }'))
    assert daemon.call("Reload", dryRun=True) == {
        "changes": ["handler raw: changed: filter.min_size, format", "group one: changed: handlers, ttl"],
        "keptGroups": 0, "keptHandlers": 2}


@pytest.mark.parametrize("dry_run", [True, False], ids=["dry-run", "failed"])
def test_nothing_is_left_of_a_reload_that_does_not_happen(start, dry_run):
    daemon = start(config(TWO))
    wait_until(lambda: os.path.exists(daemon.path("raw")), "the file of the handler that runs")
    before = set(os.listdir(daemon.directory))
    wanted = config(ONE, extra='new: { type = "file"; path = "$DIR/new"; }; p: { type = "pcapng"; path = "$DIR/p"; };')
    daemon.write_config(wanted if dry_run else wanted.replace("$DIR/p", "/nonexistent/p"))
    if dry_run:
        daemon.call("Reload", dryRun=True)
    else:
        daemon.error("Reload")
    assert set(os.listdir(daemon.directory)) == before


def test_a_file_that_could_not_be_made_is_known_before_the_reload(start):
    daemon = start(config(TWO))
    daemon.write_config(config(ONE, extra='new: { type = "file"; path = "$DIR/none/new"; };'))
    assert any("No such file or directory; create its directory" in line
               for line in daemon.error("Reload", dryRun=True).parameters["errors"])


def test_mcastctl_reload_prints_the_changes(daemon):
    daemon.write_config(config(ONE, TWO))
    assert daemon.ctl("reload", "--dry-run") == "group two: added\nkept: groups 1, handlers 3\n"
    assert names(daemon) == {"one"}
    assert daemon.ctl("reload") == "group two: added\nkept: groups 1, handlers 3\n"
    assert names(daemon) == {"one", "two"}


def test_mcastctl_reload_fails_when_the_reload_does(daemon):
    daemon.write_config(config(BROKEN))
    words = daemon.ctl("reload", status=1)
    assert f"{daemon.config_path}:1:" in words and "0.0.0.1" in words


def test_sighup_reloads(daemon):
    daemon.write_config(config(ONE, TWO))
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: names(daemon) == {"one", "two"}, "the new group")


def test_a_storm_of_sighups_is_no_storm_of_reloads(daemon):
    started = time.monotonic()
    for number in range(200):
        daemon.write_config(config(ONE, group(f"g{number}", 9)))
        daemon.signal(signal.SIGHUP)
    wait_until(lambda: names(daemon) == {"one", "g199"}, "the last configuration")
    wait_until(lambda: "reloaded: " in daemon.log(), "its line in the log")
    most = (time.monotonic() - started) / 0.1 + 2
    assert 1 <= daemon.log().count("reloaded: ") <= most


def test_sighup_with_a_broken_configuration_is_survived_and_said(daemon):
    daemon.write_config(config(BROKEN))
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: "0.0.0.1" in daemon.log(), "the error in the log")
    assert "the old configuration stays in force: 1 error\n" in daemon.log()
    assert names(daemon) == {"one"}


def test_an_error_that_mcastctl_prints_is_not_logged_as_well(daemon):
    """Under systemd, both are in the journal of the unit."""
    daemon.write_config(config(BROKEN, "four: { };"))
    assert "0.0.0.1" in daemon.ctl("reload", status=1)
    assert "0.0.0.1" not in daemon.log()
    assert "the old configuration stays in force: 3 errors\n" in daemon.log()


def test_programs_at_a_group_socket_stay_connected(daemon, net):
    with seqpacket(daemon.group_path("one")) as sock:
        for text in (config(ONE, TWO), config(group("one", 1, handlers='["raw"]', socket="true", ttl=2))):
            daemon.write_config(text)
            daemon.call("Reload")
            sock.send(b"still connected")
            assert receive(sock) == [b"still connected"]
    with seqpacket(daemon.group_path("one")) as sock:
        sock.send(b"and the file is there")
        wait_until(lambda: daemon.read("raw").endswith(b"and the file is there"), "it in the file")


def test_a_group_socket_appears_and_goes_with_its_key(daemon):
    daemon.write_config(config(group("one", 1, handlers='["raw"]')))
    daemon.call("Reload")
    with pytest.raises(FileNotFoundError):
        seqpacket(daemon.group_path("one"))
    daemon.write_config(config(ONE))
    daemon.call("Reload")
    seqpacket(daemon.group_path("one")).close()


def test_joined_groups_survive_a_reload(daemon, net):
    daemon.call("Join", address="233.252.0.50", port=5050, name="joined", interfaces=["eth0"], handlers=["raw"])
    daemon.write_config(config(ONE, TWO))
    daemon.call("Reload")
    assert names(daemon) == {"one", "two", "joined"}
    send(net.peer, b"x", "233.252.0.50", 5050)
    daemon.wait_arrived("joined", 1)


def test_a_joined_group_that_the_configuration_has_now_belongs_to_it_and_stays_joined(daemon):
    daemon.call("Join", address="233.252.0.2", port=5004, name="two", interfaces=["eth0"])
    daemon.write_config(config(ONE, TWO))
    daemon.call("Reload")
    assert daemon.membership("two", "eth0")["joins"] == 1
    assert "group two: takes the place of the one that was joined, 233.252.0.2:5004" in daemon.log()
    assert daemon.error("Leave", name="two").name == "io.mcastd.GroupConfigured"
    daemon.write_config(config(ONE))
    daemon.call("Reload")
    assert names(daemon) == {"one"}


def test_a_joined_group_whose_handler_changes_goes_on_and_can_be_left(daemon, net):
    daemon.call("Join", address="233.252.0.50", port=5050, name="joined", interfaces=["eth0"], handlers=["raw"])
    daemon.write_config(config(ONE).replace('format = "raw"', 'format = "line"'))
    daemon.call("Reload")
    send(net.peer, b"x", "233.252.0.50", 5050)
    daemon.wait_arrived("joined", 1)
    assert daemon.membership("joined", "eth0")["joins"] == 1
    assert daemon.call("Leave", name="joined") == {}
    assert names(daemon) == {"one"}


def test_subscriptions_survive_a_reload(daemon, net):
    with daemon.connect() as control:
        control.send("Subscribe", {}, more=True)
        wait_until(lambda: daemon.call("GetStatus")["subscribers"] == 1, "the subscription")
        daemon.write_config(config(group("one", 1, handlers='["log"]', socket="true"), TWO))
        daemon.call("Reload")
        for address in ("233.252.0.1", "233.252.0.2"):
            send(net.peer, b"x", address, 5004)
        assert [control.result()["datagram"]["group"] for _ in range(2)] == ["one", "two"]


def test_a_removed_handler_finishes_its_work(daemon, net):
    send(net.peer, b"queued", "233.252.0.1", 5004)
    daemon.wait_arrived("one", 1)
    daemon.write_config(f"groups: {{ {group('one', 1)} }};\n")
    daemon.call("Reload")
    wait_until(lambda: daemon.read("raw") == b"queued", "it in the file")
    assert {handler["name"] for handler in daemon.call("ListHandlers")["handlers"]} == {"log", "journal"}


def test_a_dry_run_says_what_waits_for_a_handler_that_would_be_replaced(start, net):
    """Its program takes all the time there is: two of three datagrams wait."""
    text = config(ONE).replace('type = "file"; path = "$DIR/raw"; format = "raw";',
                               'type = "exec"; command = ["/bin/sleep", "1000"]; max_running = 1; timeout = "1000s"; queue = "64K";')
    daemon = start(text)
    for _ in range(3):
        send(net.peer, b"x", "233.252.0.1", 5004)
    wait_until(lambda: daemon.handler("raw")["queued"] == 3, "all to wait or run")
    daemon.write_config(text.replace("1000s", "999s"))
    changes = wait_until(lambda: (lines := daemon.call("Reload", dryRun=True)["changes"])[1:] and lines, "a line about it")
    assert changes == [
        "handler raw: changed: timeout",
        "handler raw: 3 datagrams wait for it, what it does not deliver within 5 seconds is dropped"]
    daemon.write_config(text)
    assert daemon.call("Reload", dryRun=True)["changes"] == []


def test_another_queue_keeps_what_waits_in_it(start, net):
    """Its program does not read: with the handler, what waits would be dropped."""
    text = config(ONE).replace('type = "file"; path = "$DIR/raw"; format = "raw";',
                               'type = "pipe"; command = ["/bin/sh", "-c", "read wait <$DIR/gate; exec cat >$DIR/came"]; '
                               'framing = "raw"; queue = "64K"; queue_datagrams = 5;')

    def numbers():
        handler = daemon.handler("raw")
        return handler["queued"], handler["dropped"]["queue"]

    def say(number):
        send(net.peer, b"%02d." % number + bytes(65000), "233.252.0.1", 5004)
        daemon.wait_arrived("one", number + 1)

    daemon = start("")
    os.mkfifo(daemon.path("gate"))
    daemon.write_config(text)
    daemon.ctl("reload")
    sent = 0
    while not numbers()[1]:
        say(sent)
        sent += 1
    waited, lost = numbers()
    daemon.write_config(text.replace('queue = "64K"; queue_datagrams = 5;', 'queue = "4M"; queue_datagrams = 20;'))
    assert daemon.call("Reload", dryRun=True)["changes"] == ["handler raw: changed: queue, queue_datagrams"]
    daemon.ctl("reload")
    for number in range(sent, sent + 10):
        say(number)
    assert numbers() == (waited + 10, lost)
    # A smaller one keeps what it has, too.
    daemon.write_config(text)
    daemon.ctl("reload")
    assert numbers() == (waited + 10, lost)
    say(sent + 10)
    assert numbers() == (waited + 10, lost + 1)
    with open(daemon.path("gate"), "w") as gate:
        gate.write("go\n")
    handler = daemon.wait_idle("raw")
    assert handler["delivered"] == handler["received"] - lost - 1 and handler["dropped"]["shutdown"] == 0
    wait_until(lambda: len(daemon.read("came")) == handler["delivered"] * 65003, "all of them")
    came = [int(daemon.read("came")[at:at + 2]) for at in range(0, handler["delivered"] * 65003, 65003)]
    assert came == sorted(set(came)) and set(came) >= set(range(sent, sent + 10))


@pytest.mark.parametrize("dry_run", [True, False], ids=["dry-run", "failed"])
def test_a_reload_that_does_not_happen_leaves_the_queue_as_it_is(start, net, dry_run):
    """Neither are its limits others, nor is the memory for them kept."""
    def text(keys, extra=""):
        return config(ONE, extra=extra).replace('type = "file"; path = "$DIR/raw"; format = "raw";',
                                                f'type = "pipe"; command = ["/bin/sleep", "1000"]; framing = "raw"; {keys}')

    def mapped():
        with open(f"/proc/{daemon.process.pid}/maps") as maps:
            sizes = [[int(end, 16) for end in line.split()[0].split("-")] for line in maps]
        return sum(1 for begin, end in sizes if 900 << 20 <= end - begin <= 1 << 30)

    daemon = start(text("queue_datagrams = 5;"))
    before = mapped()
    daemon.write_config(text('queue = "1G"; queue_datagrams = 1000;',
                             "" if dry_run else 'p: { type = "pcapng"; path = "/nonexistent/p"; };'))
    if dry_run:
        daemon.call("Reload", dryRun=True)
    else:
        daemon.error("Reload")
    assert mapped() == before
    for number in range(20):
        send(net.peer, bytes(60000), "233.252.0.1", 5004)
        daemon.wait_arrived("one", number + 1)
    assert daemon.handler("raw")["dropped"]["queue"] >= 10


def test_another_drop_alone_keeps_what_waits(start, net):
    """What comes then gets in, and so does what comes into a queue that is made smaller: the oldest give way."""
    def text(most, drop):
        return config(ONE).replace('type = "file"; path = "$DIR/raw"; format = "raw";',
                                   f'type = "pipe"; command = ["/bin/sh", "-c", "read wait <$DIR/gate; exec cat >$DIR/came"]; '
                                   f'framing = "raw"; queue = "4M"; queue_datagrams = {most}; drop = "{drop}";')

    def say(number):
        send(net.peer, b"%02d." % number + bytes(65000), "233.252.0.1", 5004)
        daemon.wait_arrived("one", number + 1)

    def dropped():
        return daemon.handler("raw")["dropped"]["queue"]

    daemon = start("")
    os.mkfifo(daemon.path("gate"))
    daemon.write_config(text(10, "newest"))
    daemon.ctl("reload")
    sent = 0
    while not dropped():
        say(sent)
        sent += 1
    daemon.write_config(text(10, "oldest"))
    assert daemon.ctl("reload").startswith("handler raw: changed: drop\n")
    say(sent)
    assert dropped() == 2
    daemon.write_config(text(4, "oldest"))
    daemon.ctl("reload")
    assert dropped() == 2
    say(sent + 1)
    assert dropped() == 2 + 7
    with open(daemon.path("gate"), "w") as gate:
        gate.write("go\n")
    handler = daemon.wait_idle("raw")
    wait_until(lambda: len(daemon.read("came")) == handler["delivered"] * 65003, "all of them")
    came = [int(daemon.read("came")[at:at + 2]) for at in range(0, handler["delivered"] * 65003, 65003)]
    assert came[-4:] == [sent - 3, sent - 2, sent, sent + 1]


def test_a_changed_handler_keeps_its_counters(daemon, net):
    send(net.peer, b"before", "233.252.0.1", 5004)
    daemon.wait_arrived("one", 1)
    daemon.write_config(config(ONE).replace('"raw"; };', '"hex"; };'))
    daemon.call("Reload")
    send(net.peer, b"\x0f", "233.252.0.1", 5004)
    wait_until(lambda: daemon.read("raw").endswith(b" 0f\n"), "it in the file")
    assert daemon.handler("raw")["received"] == 2


def test_a_handler_of_another_type_does_not_show_what_the_old_one_counted(daemon, net):
    daemon.write_config(config(ONE).replace('type = "file"; path = "$DIR/raw"; format = "raw";', 'type = "exec"; command = ["/bin/true"];'))
    daemon.ctl("reload")
    send(net.peer, b"x", "233.252.0.1", 5004)
    wait_until(lambda: daemon.handler("raw")["counters"]["exited0"] == 1, "the program")
    daemon.write_config(config(ONE).replace('type = "file"; path = "$DIR/raw"; format = "raw";',
                                            'type = "pipe"; command = ["/bin/cat"]; framing = "lines";'))
    daemon.ctl("reload")
    assert daemon.handler("raw")["received"] == 1
    assert set(daemon.handler("raw")["counters"].values()) == {0}


# ---- While the files are read ----

def many(*groups):
    """A configuration that takes a while to read: groups that wait for their interface."""
    absent = " ".join(f'w{number}: {{ address = "239.1.{number // 256}.{number % 256}"; port = 5004; interfaces = ["absent"]; }};'
                      for number in range(4000))
    return config(*groups, absent)


def is_answered(control):
    return bool(select.select([control.socket], [], [], 0)[0])


@pytest.fixture
def large(start):
    return start(many(ONE))


def test_other_clients_are_answered_while_a_reload_reads(large):
    with large.connect() as reloading, large.connect() as other:
        reloading.send("Reload")
        assert other.call("GetStatus")["groups"] == 4001
        assert not is_answered(reloading)
        assert reloading.result()["keptGroups"] == 4001


def test_datagrams_are_delivered_while_a_reload_reads(large, net):
    with large.connect() as reloading:
        reloading.send("Reload")
        send(net.peer, b"meanwhile", "233.252.0.1", 5004)
        wait_until(lambda: large.read("raw") == b"meanwhile", "it in the file")
        assert reloading.result()["changes"] == []


def test_reloads_at_once_are_answered_one_by_one(large):
    large.write_config(many(ONE, TWO))
    with large.connect() as dry, large.connect() as first, large.connect() as second:
        dry.send("Reload", {"dryRun": True})
        assert dry.result()["changes"] == ["group two: added"]
        first.send("Reload")
        second.send("Reload")
        changes = [first.result()["changes"], second.result()["changes"]]
    assert sorted(changes) == [[], ["group two: added"]]


def test_requests_behind_a_reload_are_answered_after_it(large):
    large.write_config(many(ONE, TWO))
    with large.connect() as control:
        control.send("Reload")
        control.send("GetStatus")
        assert control.result()["changes"] == ["group two: added"]
        assert control.result()["groups"] == 4002


def test_a_reload_is_carried_out_when_its_caller_has_gone(large):
    large.write_config(many(ONE, TWO))
    with large.connect() as control:
        control.send("Reload")
    wait_until(lambda: "two" in names(large), "the new group")


def test_a_signal_during_a_reload_reads_the_files_again(large):
    with large.connect() as control:
        control.send("Reload")
        large.signal(signal.SIGHUP)
        wait_until(lambda: large.log().count("reloaded: ") >= 1, "the first reload")
        large.write_config(many(ONE, TWO))
        large.signal(signal.SIGHUP)
    wait_until(lambda: "two" in names(large), "the new group")


def test_the_daemon_stops_while_a_reload_reads(large):
    with large.connect() as control:
        control.send("Reload")
        large.signal(signal.SIGTERM)
        assert large.process.wait(10) == 0


# ---- While what was read is applied ----

COUNT = 600
STEADY = group("one", 1, receive_buffer='"16M"')  # holds seconds of the stream, however busy this machine is


def changing(**keys):
    """Groups of which all change together, beside one that never does."""
    return config(STEADY, *(f'c{number}: {{ address = "239.3.{number // 256}.{number % 256}"; port = 5004; interfaces = ["eth0"]; '
                         + "".join(f"{key} = {value}; " for key, value in keys.items()) + "};" for number in range(COUNT)))


def numbers(daemon, key):
    """The number of each group that changes."""
    return [group[key] for group in daemon.call("ListGroups")["groups"] if group["name"] != "one"]


def wait_numbers(daemon, key, number):
    wait_until(lambda: numbers(daemon, key) == [number] * COUNT, f"{key} {number} of each group")


@pytest.fixture
def reloaded(start, net, blast):
    """Reloads from one configuration to another, in traffic of the group that does not change, and datagrams before and
    after to each that does. Returns the daemon."""
    def reload(before, after, sent_after=1):
        daemon = start(before)
        blast(net.peer, "239.3.0.0", 5004, COUNT, groups=COUNT)
        wait_numbers(daemon, "received", 1)
        with blast.stream(net.peer, "233.252.0.1", 5004, 64, rate=5000) as stream:
            for text in (after, before, after):
                daemon.write_config(text)
                daemon.call("Reload")
        daemon.wait_arrived("one", stream.sent)
        assert daemon.group("one")["kernelDropped"] == 0
        blast(net.peer, "239.3.0.0", 5004, COUNT, groups=COUNT)
        wait_numbers(daemon, "received", 1 + sent_after)
        return daemon

    return reload


def test_many_groups_that_change_cost_the_others_nothing_and_keep_their_accounts(reloaded):
    daemon = reloaded(changing(), changing(block_sources='["192.0.2.99"]'))
    assert numbers(daemon, "kernelDropped") == [0] * COUNT


def test_many_groups_with_another_port_cost_the_others_nothing(reloaded):
    reloaded(changing(), changing().replace("port = 5004", "port = 5005").replace(STEADY.replace("5004", "5005"), STEADY),
             sent_after=0)


def test_many_groups_that_come_and_go_cost_the_others_nothing(start, net, blast):
    daemon = start(config(STEADY))
    with blast.stream(net.peer, "233.252.0.1", 5004, 64, rate=5000) as stream:
        for text in (changing(), config(STEADY)) * 2:
            daemon.write_config(text)
            daemon.call("Reload")
            assert len(names(daemon)) == (1 if text == config(STEADY) else COUNT + 1)
    daemon.wait_arrived("one", stream.sent)
    assert daemon.group("one")["kernelDropped"] == 0


def test_another_receive_buffer_keeps_the_socket_and_what_it_holds(daemon, net):
    daemon.pause()
    with tutorial_sender(net.peer, "233.252.0.1") as sock:
        for _ in range(100):
            sock.sendto(b"x", ("233.252.0.1", 5004))
    daemon.write_config(config(group("one", 1, handlers='["raw"]', socket="true", receive_buffer='"64K"')))
    with daemon.connect() as control:
        control.send("Reload")
        daemon.resume()
        assert control.result()["changes"] == ["group one: changed: receive_buffer"]
    membership = daemon.membership("one", "eth0")
    assert (membership["joins"], membership["receiveBuffer"]) == (1, 64 << 10)
    daemon.wait_arrived("one", 100)
    assert daemon.group("one")["kernelDropped"] == 0


def test_join_and_leave_during_a_reload_are_answered_after_it(start):
    daemon = start(changing())
    daemon.write_config(changing(ttl=2))
    with daemon.connect() as reloading, daemon.connect() as other:
        reloading.send("Reload")
        rounds = 0
        while not is_answered(reloading) or not rounds:
            other.call("Join", address="233.252.0.50", port=5050, name="joined", interfaces=["eth0"])
            assert "joined" in names(daemon)
            other.call("Leave", name="joined")
            assert "joined" not in names(daemon)
            rounds += 1
        assert len(reloading.result()["changes"]) > COUNT // 6


def test_each_group_is_listed_once_during_a_reload(start):
    daemon = start(changing())
    daemon.write_config(changing(ttl=2).replace(" c0: ", " d0: "))
    with daemon.connect() as reloading:
        reloading.send("Reload")
        while not is_answered(reloading):
            listed = [group["name"] for group in daemon.call("ListGroups")["groups"]]
            assert len(listed) == len(set(listed)) and set(listed) >= {"one", *(f"c{number}" for number in range(1, COUNT))}
        reloading.result()
    assert "d0" in names(daemon) and "c0" not in names(daemon)


@pytest.mark.parametrize("requests", [0, 10, 100])
def test_the_daemon_stops_while_a_reload_is_applied(start, requests):
    daemon = start(changing())
    daemon.write_config(changing(block_sources='["192.0.2.99"]', handlers='["raw"]'))
    with daemon.connect() as reloading:
        reloading.send("Reload")
        for _ in range(requests):
            daemon.call("GetStatus")
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait(10) == 0
