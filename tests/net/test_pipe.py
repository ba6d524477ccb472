"""pipe: one long-lived program that reads all datagrams."""

import json
import os
import re
import signal
import time

import pytest

from harness.daemon import balance
from harness.peers import LARGEST, send, tutorial_sender
from harness.programs import children_of, command, is_alive, program_of, state_of, wait_gone, wait_no_children
from harness.records import ALL_BYTES, FRAMINGS, HOSTILE, take_apart
from harness.waiting import wait_until

pytestmark = pytest.mark.waits

GROUP, OTHER = "233.252.0.41", "233.252.0.42"


def config(words, settings=""):
    return f"""
      groups: {{
        news:  {{ address = "{GROUP}"; port = 5004; interfaces = ["eth0"]; handlers = ["run"]; receive_buffer = "4M"; }};
        other: {{ address = "{OTHER}"; port = 5004; interfaces = ["eth0"]; handlers = ["lines"]; receive_buffer = "4M"; }};
      }};
      handlers: {{
        run: {{ type = "pipe"; command = {command(*words)}; {settings} }};
        lines: {{ type = "file"; path = "$DIR/lines"; }};
      }};"""


@pytest.fixture
def run(start, programs):
    """Starts a daemon with a shell script as its child, with the daemon's directory as $1."""
    return programs.runner(start, config)


def send_all(net, payloads):
    with tutorial_sender(net.peer, GROUP) as sock:
        for payload in payloads:
            sock.sendto(payload, (GROUP, 5004))


def counters(daemon):
    return daemon.handler("run")["counters"]


def wait_counters(daemon, **least):
    wait_until(lambda: all(counters(daemon)[name] >= count for name, count in least.items()), f"the counters {least}")


def wait_settled(daemon, count):
    daemon.wait_arrived("news", count)
    wait_until(lambda: daemon.handler("run")["received"] == daemon.group("news")["received"], "them to be received")
    return daemon.wait_idle("run")


def child_of(daemon):
    """The one child, once it is the program that it is to be."""
    def child():
        return [pid for pid in children_of(daemon) if program_of(pid) not in (None, program_of(daemon.process.pid))]

    (pid,) = wait_until(child, "the child")
    return pid


def stop_child(daemon):
    pid = child_of(daemon)
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: state_of(pid) == "T", "the child to be stopped")
    return pid


# What the child reads


@pytest.mark.parametrize("framing", FRAMINGS)
def test_every_payload_can_be_had_back(run, net, framing):
    daemon = run('exec cat >"$1/out"', f'framing = "{framing}"; queue = "1M";')
    payloads = [bytes([byte]) for byte in range(256)] + [
        ALL_BYTES, HOSTILE, b"", b"plain", "Grüße ✓".encode(), bytes(LARGEST), os.urandom(LARGEST), b"\xff" * LARGEST]
    carried = [payload for payload in payloads if framing != "nul" or b"\0" not in payload]
    for payload in payloads:
        send(net.peer, payload, GROUP, 5004)
    numbers = wait_settled(daemon, len(payloads))
    assert numbers["delivered"] == len(carried)
    assert numbers["dropped"]["io"] == numbers["counters"]["containsNul"] == len(payloads) - len(carried)
    wait_until(lambda: len(take_apart(daemon.read("out"), framing)[0]) == len(carried), "the records")
    assert take_apart(daemon.read("out"), framing) == (carried, b"")


@pytest.mark.parametrize("framing, payload, record", [
    ("lines", b"a\nb\r\\ \x1b\xff\xe2\x82\xac", b"a\\nb\\r\\\\ \\x1b\\xff\xe2\x82\xac\n"),
    ("length", b"a\nb", b"\0\0\0\x03a\nb"), ("nul", b"a\nb", b"a\nb\0"),
    ("lines", b"", b"\n"), ("length", b"", b"\0\0\0\0"), ("nul", b"", b"\0")])
def test_records_are_exact(run, net, framing, payload, record):
    daemon = run('exec cat >"$1/out"', f'framing = "{framing}";')
    send(net.peer, payload, GROUP, 5004)
    wait_until(lambda: len(daemon.read("out")) >= len(record), "the record")
    assert daemon.read("out") == record


def test_raw_is_the_payloads_and_nothing_else(run, net):
    daemon = run('exec cat >"$1/out"', 'framing = "raw"; queue = "1M";')
    payloads = [b"!AIVDM,1,1,,B,139t@WP000PeLRNN,0*2D\r\n", b"", ALL_BYTES, HOSTILE, bytes(LARGEST), b"", os.urandom(LARGEST)]
    for payload in payloads:
        send(net.peer, payload, GROUP, 5004)
    assert wait_settled(daemon, len(payloads))["delivered"] == len(payloads)
    wait_until(lambda: len(daemon.read("out")) >= sum(map(len, payloads)), "the bytes")
    assert daemon.read("out") == b"".join(payloads)


def test_raw_begins_with_a_whole_datagram_for_a_child_that_follows_another(run, net):
    daemon = run('exec head -c 150001 >"$1/out.$$"', 'framing = "raw"; queue = "4M";')
    sent = [b"%06d" % number + b"x" * 3994 for number in range(200)]
    send_all(net, sent)
    numbers = wait_settled(daemon, len(sent))
    assert numbers["counters"]["restarts"] >= 3
    assert numbers["delivered"] + numbers["dropped"]["io"] == len(sent)
    assert 1 <= numbers["dropped"]["io"] <= numbers["counters"]["restarts"] + 1
    for name in os.listdir(daemon.directory):
        if name.startswith("out."):
            data = daemon.read(name)
            assert all(data[at:at + 4000] in sent for at in range(0, len(data) - 3999, 4000))


def test_lines_are_the_default_and_json_has_all_fields(run, net):
    daemon = run('exec cat >"$1/out"')
    send(net.peer, b"x", GROUP, 5004)
    wait_until(lambda: daemon.read("out") == b"x\n", "the line")
    daemon = run('exec cat >"$1/out"', 'framing = "json";')
    port = send(net.peer, b"x", GROUP, 5004)
    wait_until(lambda: daemon.read("out").endswith(b"\n"), "the object")
    record = json.loads(daemon.read("out"))
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", record.pop("timestamp"))
    assert record == {"group": "news", "address": GROUP, "port": 5004, "source": net.peer.v4, "sourcePort": port,
                      "interface": "eth0", "ttl": 2, "size": 1, "text": "x"}


def test_the_child_has_its_arguments_and_nothing_of_the_daemons(start, monkeypatch, programs):
    monkeypatch.setenv("NOTIFY_SOCKET", "/nonexistent")
    words = ["/bin/sh", "-c", """
        cat /proc/$$/cmdline >"$0/cmdline"; cat /proc/$$/environ >"$0/environ"; ls /proc/$$/fd; echo done; exec cat""",
             "$DIR", "same", "", "same"]
    daemon = start(config(words))
    wait_until(lambda: "done" in daemon.log(), "the child's output")
    expected = [word.replace("$DIR", daemon.directory).encode() for word in words]
    assert daemon.read("cmdline").split(b"\0")[:-1] == expected
    assert sorted(daemon.read("environ").split(b"\0")[:-1]) == [
        b"LANG=C.UTF-8", b"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    assert re.findall(r"^handler run: process \d+: (\d)$", daemon.log(), re.MULTILINE) == ["0", "1", "2"]


def test_a_flood_goes_through_one_child(run, net, blast):
    daemon = run('exec cat >"$1/out"', 'queue = "16M"; framing = "nul";')
    blast(net.peer, GROUP, 5004, 50_000)
    numbers = wait_settled(daemon, 50_000)
    assert numbers["delivered"] + numbers["dropped"]["queue"] == numbers["received"]
    wait_until(lambda: daemon.read("out").count(b"\0") == numbers["delivered"], "the records")
    assert (numbers["counters"]["restarts"], len(children_of(daemon))) == (0, 1)


# Its output


def test_output_goes_to_the_log_for_as_long_as_the_child_lives(run, net):
    daemon = run(r"""
        printf 'one\033[2J\n'; printf 'two\n' >&2
        while read line; do echo "$line"; done""")
    payloads = [b"%d" % number for number in range(100)]
    send_all(net, payloads)
    wait_until(lambda: ": 99\n" in daemon.log(), "the last line")
    lines = re.findall(r"^handler run: process \d+: (.*)$", daemon.log(), re.MULTILINE)
    assert [line for line in lines if "started" not in line] == [r"one\x1b[2J", "two", *map(bytes.decode, payloads)]


def test_output_is_bounded(run, net):
    daemon = run("seq 100000 | tr -d 0-9 >&2; exec cat")
    pid = child_of(daemon)
    wait_until(lambda: "handler run: discarding further output" in daemon.log(), "the bound")
    send_all(net, [b"x"])
    wait_until(lambda: daemon.handler("run")["delivered"] == 1, "the child to read")
    assert len(re.findall(r"^handler run: process \d+: $", daemon.log(), re.MULTILINE)) == 640
    assert is_alive(pid)


# When it runs


def test_the_child_runs_before_the_first_datagram(run):
    daemon = run('echo started >"$1/out"; exec cat')
    wait_until(lambda: daemon.read("out") == b"started\n", "the child")
    assert counters(daemon) == {"exited0": 0, "exitedOther": 0, "signalled": 0, "spawnFailed": 0, "restarts": 0,
                                "backoffMilliseconds": 0, "containsNul": 0}


def test_a_configuration_that_is_only_tried_starts_nothing(run, start, programs):
    daemon = run('exec cat')
    child = child_of(daemon)
    other = programs.write("other", 'echo started >>"$1/other"; exec cat')
    daemon.write_config(config([other, "$DIR"]))
    assert "handler run: changed" in daemon.ctl("reload", "--dry-run")
    daemon.write_config(config([other, "$DIR"]) + 'nonsense = true;')
    daemon.ctl("reload", status=1)
    assert set(children_of(daemon)) == {child} and daemon.read("other") == b""
    daemon.write_config(config([other, "$DIR"]))
    daemon.ctl("reload")
    wait_until(lambda: daemon.read("other") == b"started\n", "the new child")
    wait_gone(child)


def test_what_is_queued_is_written_before_the_end_and_the_child_sees_the_end(run, net):
    daemon = run('cat >"$1/out"; echo end >"$1/end"')
    pid = stop_child(daemon)
    send_all(net, [b"%d" % number for number in range(1000)])
    daemon.wait_arrived("news", 1000)
    daemon.owned_directory = False
    os.kill(pid, signal.SIGCONT)
    try:
        daemon.stop()
        assert daemon.read("out").split() == [b"%d" % number for number in range(1000)]
        assert daemon.read("end") == b"end\n"
    finally:
        daemon.owned_directory = True
        daemon.kill()
    assert state_of(pid) is None


def test_a_child_that_does_not_end_is_ended(run):
    daemon = run("""trap "" TERM; echo ready; while [ -d "$1" ]; do sleep 0.01; done""")
    wait_until(lambda: "ready" in daemon.log(), "the child")
    pid = child_of(daemon)
    daemon.stop()
    assert state_of(pid) is None


def test_a_reload_that_changes_it_ends_a_stopped_child_and_counts_what_it_did_not_take(run, net, programs):
    daemon = run("exec cat >/dev/null", 'queue = "1M"; framing = "length";')
    pid = stop_child(daemon)
    send_all(net, [bytes(1000)] * 500)
    daemon.wait_arrived("news", 500)
    daemon.write_config(config([programs.path("script"), "$DIR", "again"], 'queue = "1M"; framing = "length";'))
    daemon.ctl("reload")
    wait_gone(pid)
    numbers = daemon.wait_idle("run")
    assert numbers["received"] == 500 == numbers["delivered"] + numbers["dropped"]["shutdown"] + numbers["dropped"]["io"]
    assert numbers["dropped"]["shutdown"] > 400 and numbers["delivered"] > 0
    assert numbers["counters"]["signalled"] == 1
    send_all(net, [b"x"])
    wait_until(lambda: daemon.handler("run")["delivered"] == numbers["delivered"] + 1, "the new child to get one")


# A child that does not do its work


def assert_other_group_loses_nothing(daemon, net, blast, count=2000):
    """The loop goes on, whatever the child does."""
    before = daemon.group("other")["received"]
    blast(net.peer, OTHER, 5004, count)
    daemon.wait_arrived("other", before + count)
    other = daemon.group("other")
    assert (other["received"], other["kernelDropped"]) == (before + count, 0)
    assert daemon.wait_idle("lines")["delivered"] == before + count


def test_what_a_full_queue_has_cost_is_said_while_its_program_does_not_read(run, net):
    daemon = run("exec sleep 1000", 'queue = "64K"; framing = "length";')
    send_all(net, [bytes(1000)] * 500)
    daemon.wait_arrived("news", 500)
    wait_until(lambda: "its queue was full; dropped meanwhile: " in daemon.log(), "what it has cost", 30)


def test_a_child_that_is_stopped_costs_the_others_nothing_and_gets_what_waited(run, net, blast):
    daemon = run('exec cat >"$1/out"', 'queue = "256K"; framing = "nul";')
    pid = stop_child(daemon)
    blast(net.peer, GROUP, 5004, 20_000)
    daemon.wait_arrived("news", 20_000)
    assert_other_group_loses_nothing(daemon, net, blast)
    numbers = daemon.handler("run")
    assert numbers["dropped"]["queue"] > 0 and numbers["queued"] > 0 and balance(numbers) == 0
    os.kill(pid, signal.SIGCONT)
    numbers = daemon.wait_idle("run")
    assert numbers["received"] == numbers["delivered"] + numbers["dropped"]["queue"] and balance(numbers) == 0
    wait_until(lambda: daemon.read("out").count(b"\0") == numbers["delivered"], "the records")
    assert numbers["counters"]["restarts"] == 0


def backoff_holds(daemon, since):
    """Whether the counters of restarts are what pauses of 100 ms to 150 ms, doubled each time, allow."""
    numbers, elapsed = counters(daemon), time.monotonic() - since
    restarts, pauses = numbers["restarts"], numbers["backoffMilliseconds"] / 1000
    least = 0.1 * (2 ** restarts - 1)
    assert least <= elapsed, (restarts, elapsed)
    assert least - 0.01 <= pauses <= 0.15 * (2 ** (restarts + 1) - 1), (restarts, pauses)
    return restarts


@pytest.mark.parametrize("script, counter", [("exit 0", "exited0"), ("exit 7", "exitedOther"), ("kill -9 $$", "signalled")])
def test_a_child_that_ends_at_once_is_started_again_after_ever_longer_pauses(run, net, blast, script, counter):
    since = time.monotonic()
    daemon = run(script)
    blast(net.peer, GROUP, 5004, 1500)
    assert_other_group_loses_nothing(daemon, net, blast)
    wait_counters(daemon, restarts=4)
    assert backoff_holds(daemon, since) <= 6
    numbers = daemon.handler("run")
    assert numbers["counters"][counter] in (numbers["counters"]["restarts"], numbers["counters"]["restarts"] + 1)
    assert balance(numbers) == 0 and len(children_of(daemon)) <= 1
    assert re.search(r"handler run: process \d+: .*, restarting it in 1[0-4]\d ms", daemon.log())


def test_a_child_that_closes_its_standard_input_is_ended_and_started_again(run, net, blast):
    since = time.monotonic()
    daemon = run('echo $$ >>"$1/pids"; exec sleep 100 <&-')
    blast(net.peer, GROUP, 5004, 1500)
    assert_other_group_loses_nothing(daemon, net, blast)
    wait_counters(daemon, restarts=2, signalled=2)
    backoff_holds(daemon, since)
    assert "has closed its standard input and still runs, ending it" in daemon.log()
    pids = [int(pid) for pid in daemon.read("pids").split()]
    assert not any(map(is_alive, pids[:2]))
    assert balance(daemon.handler("run")) == 0 and len(children_of(daemon)) <= 1


def test_a_child_that_closes_its_standard_input_is_noticed_without_a_datagram(run):
    daemon = run("exec sleep 100 <&-")
    wait_counters(daemon, restarts=1)


def test_a_program_that_cannot_be_started_is_tried_again(run, net, programs):
    daemon = run("exec cat", name="vanishes")
    child = child_of(daemon)
    wait_until(lambda: (program_of(child) or "").endswith("/cat"), "the shell to have read it")
    os.unlink(programs.path("vanishes"))
    os.kill(child, signal.SIGKILL)
    wait_counters(daemon, spawnFailed=2)
    send_all(net, [b"waits"])
    wait_until(lambda: daemon.handler("run")["queued"] == 1, "the datagram to wait")
    programs.write("vanishes", 'exec cat >"$1/out"')
    wait_until(lambda: daemon.read("out") == b"waits\n", "the child to get it")
    assert "starting " in daemon.log() and "No such file or directory" in daemon.log()
    assert counters(daemon)["signalled"] == 1


def test_a_child_that_is_killed_is_reaped_and_followed_by_another(run):
    daemon = run("exec cat")
    first = child_of(daemon)
    os.kill(first, signal.SIGKILL)
    wait_counters(daemon, restarts=1, signalled=1)
    assert child_of(daemon) != first and state_of(first) is None


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_child_that_follows_another_begins_with_a_whole_record(run, net, framing):
    """Each reads a part that ends somewhere, and ends in the middle of what the daemon writes."""
    daemon = run('exec head -c 150001 >"$1/out.$$"', f'framing = "{framing}"; queue = "4M";')
    sent = [b"%06d " % number + b"x" * 4000 for number in range(200)]
    send_all(net, sent)
    numbers = wait_settled(daemon, len(sent))
    assert numbers["counters"]["restarts"] >= 3
    assert numbers["delivered"] + numbers["dropped"]["io"] == len(sent)
    seen = []
    for name in os.listdir(daemon.directory):
        if name.startswith("out."):
            payloads, _ = take_apart(daemon.read(name), framing)
            assert set(payloads) <= set(sent)
            seen += payloads
    assert len(seen) == len(set(seen))
    # One for each program that has ended; the last of them may not have been started again yet.
    assert numbers["dropped"]["io"] <= numbers["counters"]["restarts"] + 1


def test_a_record_that_a_child_has_seen_a_part_of_is_dropped(run, net):
    daemon = run("""
        [ -e "$1/second" ] && exec cat >"$1/out"
        touch "$1/second"
        exec head -c 1000""")
    send_all(net, [bytes(LARGEST), b"small"])  # escaped, the first is four times as large as what a pipe holds
    wait_until(lambda: daemon.read("out") == b"small\n", "the whole record")
    numbers = daemon.handler("run")
    assert (numbers["delivered"], numbers["dropped"]["io"], numbers["counters"]["exited0"]) == (1, 1, 1)


def test_what_a_child_leaves_behind_is_ended_with_it(run):
    daemon = run('sleep 100 & echo $! >>"$1/pids"; exit 0')
    wait_counters(daemon, exited0=1)
    wait_gone(int(daemon.read("pids").split()[0]))


def test_a_handler_that_is_removed_ends_its_child(run, start):
    daemon = run("exec cat")
    pid = child_of(daemon)
    daemon.write_config("groups: { };")
    daemon.ctl("reload")
    wait_gone(pid)
    wait_no_children(daemon)
