"""mcastctl against a daemon that says just what the test wants, and its tables in numbers."""

import contextlib
import json
import os
import re
import select
import socket
import subprocess
import threading

import pytest

from harness.daemon import MCASTCTL
from harness.peers import tutorial_sender
from harness.terminal import ESCAPE, run_in_terminal
from harness.waiting import wait_until

CONFIG = """
groups: {
  busy: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["lines", "log"]; receive_buffer = "64K"; };
};
handlers: { lines: { type = "file"; path = "$DIR/lines"; format = "line"; filter = { max_size = 99; }; }; };
"""


class Fake:
    """A daemon of prepared answers. Keeps the calls that it gets."""

    def __init__(self, directory, answers):
        self.path = os.path.join(directory, "fake.sock")
        self.answers = answers
        self.calls = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection, connection.makefile("rb") as stream:
                    for message in stream.read1().split(b"\0")[:-1]:
                        self.answer(connection, message)

    def answer(self, connection, message):
        call = json.loads(message)
        self.calls.append(call)
        answers = {"ListGroups": {"parameters": {"groups": []}}, **self.answers}[call["method"].rpartition(".")[2]]
        for answer in answers if isinstance(answers, list) else [answers]:
            connection.sendall(json.dumps(answer).encode() + b"\0")

    def ctl(self, *arguments, status=0):
        result = subprocess.run([MCASTCTL, "-s", self.path, *arguments], stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=15)
        assert result.returncode == status, result
        return result.stderr if status else result.stdout


@pytest.fixture
def fake(tmp_path):
    fakes = []

    def fake(**answers):
        fakes.append(Fake(tmp_path, answers))
        return fakes[-1]

    yield fake
    for each in fakes:
        each.listener.close()


def cells(output):
    """A table as dictionaries, as far as no cell is empty or has blanks."""
    lines = output.splitlines()
    return [dict(zip(lines[0].split(), line.split())) for line in lines[1:]]


def handler(name, **numbers):
    return {"name": name, "type": "file", "groups": ["news"], "received": 0, "filtered": 0, "delivered": 0,
            "dropped": {"queue": 0, "io": 0}, "queued": 0, "queuedBytes": 0, "counters": {}, **numbers}


def taken(**numbers):
    """What has come in by a handler."""
    return {"groups": ["news"], "taken": 0, "sent": 0, "dropped": {"own": 0, "send": 0}, "waiting": 0, "waitingBytes": 0,
            "gaps": 0, **numbers}


def membership(interface, **fields):
    return {"interface": interface, "state": "joined", "since": "2025-11-24T19:33:19Z", "error": None,
            "kernelDropped": 0, "receiveBuffer": 4194304, **fields}


def group(name, *memberships, **numbers):
    return {"name": name, "address": "233.252.0.1", "port": 5004, "sources": [], "received": 0, "receivedBytes": 0,
            "truncated": 0, "kernelDropped": 0, "sent": 0, "sentBytes": 0, "lastReceived": None, "handlers": ["log"],
            "memberships": list(memberships), **numbers}


# rotate


def test_rotate_names_the_handlers_one_a_line(fake):
    daemon = fake(Rotate={"parameters": {"handlers": ["archive", "pcap\x1b"]}})
    assert daemon.ctl("rotate") == "archive\npcap\\x1b\n"
    assert daemon.calls[0].get("parameters", {}) == {}
    assert json.loads(daemon.ctl("--json", "rotate")) == {"handlers": ["archive", "pcap\x1b"]}


def test_rotate_of_one_names_it_to_the_daemon(fake):
    daemon = fake(Rotate={"parameters": {"handlers": ["archive"]}})
    assert daemon.ctl("rotate", "archive") == "archive\n"
    assert daemon.calls[0]["parameters"] == {"handler": "archive"}


def test_rotate_of_nothing_says_so(fake):
    daemon = fake(Rotate={"parameters": {"handlers": []}})
    assert daemon.ctl("rotate") == "no handler records to a file\n"


@pytest.mark.parametrize("name, reason", [
    ("log", 'the handler "log" does not record to a file'),
    ("nobody", 'there is no handler "nobody"; mcastctl handlers lists them')], ids=["log", "nobody"])
def test_rotate_of_what_does_not_record_is_refused(daemon, name, reason):
    assert daemon.ctl("rotate", name, status=1) == f"mcastctl: rotate: {reason}\n"


# handlers


def test_handlers_shows_where_every_datagram_is(fake):
    row = cells(fake(ListHandlers={"parameters": {"handlers": [
        handler("archive", received=1000, filtered=100, delivered=850, queued=7, dropped={"queue": 40, "io": 3})]}})
        .ctl("handlers"))[0]
    assert [int(row[name]) for name in ("RECEIVED", "FILTERED", "DELIVERED", "DROPPED", "QUEUED")] == \
        [1000, 100, 850, 43, 7]


def test_handlers_shows_reasons_and_counters_that_are_not_zero(fake):
    output = fake(ListHandlers={"parameters": {"handlers": [
        handler("archive", dropped={"queue": 40, "io": 0, "shutdown": 3}), handler("log"),
        handler("exec", counters={"exit0": 12, "exit1": 0, "timeouts": 2})]}}).ctl("handlers")
    assert re.search(r"archive .* queue 40, shutdown 3$", output, re.M)
    assert re.search(r"exec .* exit0 12, timeouts 2$", output, re.M)
    assert "io" not in output and "exit1" not in output
    assert "REASONS" in output and "COUNTERS" in output


def test_handlers_without_trouble_have_no_columns_for_it(fake):
    output = fake(ListHandlers={"parameters": {"handlers": [handler("archive", counters={"exit0": 0})]}}).ctl("handlers")
    assert output.splitlines()[0].split() == \
        ["HANDLER", "TYPE", "RECEIVED", "FILTERED", "DELIVERED", "DROPPED", "QUEUED", "GROUPS"]


def test_handlers_shows_peak_and_age_of_the_queue(fake):
    rows = cells(fake(ListHandlers={"parameters": {"handlers": [
        handler("slow", queued=7, queuedMax=4096, oldestQueued=1.25),
        handler("fast", queuedMax=3, oldestQueued=None)]}}).ctl("handlers"))
    assert (rows[0]["PEAK"], rows[0]["OLDEST"]) == ("4096", "1.2s")
    assert rows[1]["PEAK"] == "3"


def test_tables_of_numbers_of_seven_digits_fit_into_eighty_columns(fake):
    numbers = dict(received=2**23, filtered=2**23, delivered=2**23, dropped={"queue": 0}, queued=2**20, queuedMax=2**20)
    busy = group("telemetry", membership("eth0"), received=2**23, sent=2**23, kernelDropped=0)
    daemon = fake(ListHandlers={"parameters": {"handlers": [handler("archive", **numbers)]}},
                  ListGroups={"parameters": {"groups": [busy]}})
    assert all(len(line) <= 80 for line in daemon.ctl("handlers").splitlines())
    lines = daemon.ctl("groups").splitlines()
    assert lines[0].index(" SENT") < 75 and all(len(line) <= 120 for line in lines)


def test_handlers_shows_what_comes_in_below_the_handler(fake):
    came = taken(taken=12, sent=7, dropped={"own": 3, "duplicate": 0}, waiting=2, gaps=4)
    output = fake(ListHandlers={"parameters": {"handlers": [
        handler("hq", received=5, delivered=5, input=came), handler("other", input=taken(groups=[]))]}}).ctl("handlers")
    assert [row["HANDLER"] for row in cells(output)] == ["hq", "in", "other"]
    assert re.search(r"^  in +12 +0 +7 +3 +2 +news +own 3 +gaps 4$", output, re.M)


def test_stats_shows_what_comes_in_below_the_handler(fake):
    output = fake(GetStats={"parameters": {"groups": [], "handlers": [
        handler("hq", input=taken(taken=12, sent=12, waitingBytes=2048))]}}).ctl("stats")
    assert re.search(r"^  in +12 +0 +12 +0 +0 +2", output, re.M)


# groups


def test_groups_shows_received_dropped_and_sent(fake):
    row = cells(fake(ListGroups={"parameters": {"groups": [
        group("news", membership("eth0", kernelDropped=5), received=100, kernelDropped=5, sent=7)]}}).ctl("groups"))[0]
    assert (row["RECEIVED"], row["DROPPED"], row["SENT"]) == ("100", "5", "7")


def test_groups_shows_on_which_interface_the_kernel_dropped(fake):
    output = fake(ListGroups={"parameters": {"groups": [
        group("news", membership("eth0", kernelDropped=5), membership("eth1", kernelDropped=7), received=100,
              kernelDropped=12)]}}).ctl("groups")
    assert re.search(r" eth0 +joined +100 +5 ", output) and re.search(r" eth1 +joined +7 ", output)
    assert [line.split()[0] for line in output.splitlines()] == ["GROUP", "news", "eth1"]


def test_groups_shows_drops_of_interfaces_that_are_gone(fake):
    output = fake(ListGroups={"parameters": {"groups": [
        group("news", membership("eth0", kernelDropped=5), kernelDropped=12), group("idle", kernelDropped=3)]}}) \
        .ctl("groups")
    assert re.search(r" gone +7$", output, re.M) and re.search(r"^idle .* - +0 +3 ", output, re.M)


def test_groups_shows_truncated_only_where_something_was(fake):
    assert "TRUNCATED" not in fake(ListGroups={"parameters": {"groups": [group("news", membership("eth0"))]}}).ctl("groups")


def test_groups_shows_truncated_datagrams(fake):
    row = cells(fake(ListGroups={"parameters": {"groups": [
        group("news", membership("eth0"), truncated=4), group("other", membership("eth0"))]}}).ctl("groups"))[0]
    assert row["TRUNCATED"] == "4"


# On a terminal

EVERYTHING = dict(received=10**7, receivedBytes=10**9, truncated=12345, kernelDropped=12345, refused=12345, duplicates=12345,
                  sent=10**6, sentBytes=10**8, sendFailed=12345, unread=12345, replies=12345, silent=True,
                  lastReceived="2025-11-24T19:33:19Z", handlers=["archive", "relay-to-site", "log"], sources=["192.0.2.7"],
                  outgoing=[{"interface": "eth1", "notSent": 5, "error": "the link is down"}],
                  sameNetworkTwice=["eth0", "eth1"])
BUSY_HANDLER = dict(received=10**7, filtered=10**6, delivered=10**7, dropped={"queue": 12345, "io": 678}, queued=4321,
                    queuedBytes=10**6, queuedMax=54321, oldestQueued=1.25, window=4321, counters={"exit0": 99, "timeouts": 3},
                    error="the file cannot be written: No space left on device")


def everything(fake):
    groups = [group("telemetry", membership("eth0", kernelDropped=12345, notSent=12345),
                    membership("later0", state="waiting", error="there is no such interface", since="2025-11-24T19:33:19Z"),
                    **EVERYTHING), group("news", membership("eth1", state="failed", error="No buffer space available"))]
    handlers = [handler("archive", **BUSY_HANDLER), handler("log")]
    return fake(ListGroups={"parameters": {"groups": groups}}, ListHandlers={"parameters": {"handlers": handlers}},
                GetStats={"parameters": {"groups": groups, "handlers": handlers}})


def on_terminal(daemon, *arguments, **options):
    status, output = run_in_terminal([MCASTCTL, "-s", daemon.path, *arguments], **options)
    assert status == 0, output
    return output


@pytest.mark.parametrize("command, kept", [
    ("groups", ["GROUP", "INTERFACE", "STATE", "RECEIVED", "DROPPED", "ERROR"]),
    ("handlers", ["HANDLER", "RECEIVED", "DELIVERED", "DROPPED", "QUEUED", "ERROR"]),
    ("stats", ["GROUP", "RECEIVED", "DROPPED", "SENT", "HANDLER", "DELIVERED", "QUEUED"])])
def test_tables_with_everything_in_them_fit_a_terminal(fake, command, kept):
    lines = ESCAPE.sub("", on_terminal(everything(fake), command)).splitlines()
    assert all(len(line) <= 80 for line in lines if not line.startswith("left out: ")), lines
    headings = " ".join(line for line in lines if line.startswith(("GROUP", "HANDLER"))).split()
    assert set(kept) <= set(headings)
    assert any(line.startswith("left out: ") and line.endswith("; --wide shows them") for line in lines)


@pytest.mark.parametrize("command", ["groups", "handlers", "stats"])
def test_names_that_are_too_long_are_cut_on_a_terminal(fake, command):
    groups = [group(name * 20, membership("eth0", error="down"), **EVERYTHING) for name in ("abc", "def")]
    handlers = [handler("ghi" * 20, **BUSY_HANDLER)]
    daemon = fake(ListGroups={"parameters": {"groups": groups}}, ListHandlers={"parameters": {"handlers": handlers}},
                  GetStats={"parameters": {"groups": groups, "handlers": handlers}})
    lines = ESCAPE.sub("", on_terminal(daemon, command)).splitlines()
    assert all(len(line) <= 80 for line in lines if not line.startswith("left out: ")), lines
    assert any(re.match(r"(abc|ghi)[a-i]*~ ", line) for line in lines), lines


@pytest.mark.parametrize("command", ["groups", "handlers", "stats"])
def test_wide_and_what_is_no_terminal_have_all_columns(fake, command):
    daemon = everything(fake)
    wide = ESCAPE.sub("", on_terminal(daemon, command, "--wide"))
    assert "left out" not in wide and wide == daemon.ctl(command)
    assert any(len(line) > 80 for line in wide.splitlines())


def test_a_wide_terminal_has_all_columns(fake):
    daemon = everything(fake)
    assert ESCAPE.sub("", on_terminal(daemon, "groups", columns=400)) == daemon.ctl("groups")


@pytest.mark.parametrize("command", ["groups", "handlers", "stats"])
def test_headings_are_one_word_each_and_differ(fake, command):
    for line in everything(fake).ctl(command).splitlines():
        if line.startswith(("GROUP", "HANDLER")):
            words = line.split()
            assert len(words) == len(set(words)) and len(re.split(r"  +| ", line.strip())) == len(words)


def test_what_is_wrong_is_coloured_on_a_terminal(fake):
    output = on_terminal(everything(fake), "groups")
    assert re.search(r"\x1b\[31m *failed", output) and re.search(r"\x1b\[(1;)?33m *waiting", output)
    assert re.search(r"\x1b\[31m *12345", output) and not re.search(r"\x1b\[[0-9;]+m *joined", output)


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["NO_COLOR", "dumb"])
def test_colours_can_be_refused(fake, environment):
    assert "\x1b" not in on_terminal(everything(fake), "groups", **environment)


def test_what_is_no_terminal_has_no_colours(fake):
    assert "\x1b" not in everything(fake).ctl("groups")


def test_columns_in_which_nothing_is_are_left_out(fake):
    output = fake(GetStats={"parameters": {"groups": [group("news")], "handlers": [handler("log")]}}).ctl("stats")
    assert output.splitlines()[0].split() == ["GROUP", "RECEIVED", "BYTES-IN", "DROPPED", "LAST"]
    assert output.splitlines()[3].split() == ["HANDLER", "RECEIVED", "FILTERED", "DELIVERED", "DROPPED", "QUEUED"]


# Names


def test_groups_and_handlers_of_these_names(fake):
    daemon = fake(ListGroups={"parameters": {"groups": []}}, ListHandlers={"parameters": {"handlers": []}})
    daemon.ctl("groups", "news", "sport")
    daemon.ctl("handlers", "log")
    assert [call["parameters"] for call in daemon.calls] == [{"groups": ["news", "sport"]}, {"handlers": ["log"]}]


def test_the_daemon_lists_what_is_named(daemon):
    assert [row["GROUP"] for row in cells(daemon.ctl("groups", "busy"))] == ["busy"]
    assert [row["HANDLER"] for row in cells(daemon.ctl("handlers", "log", "lines", "log"))] == ["lines", "log"]
    assert len(cells(daemon.ctl("handlers"))) == 3


@pytest.mark.parametrize("arguments, words", [
    (["groups", "bsuy"], 'there is no group "bsuy"; mcastctl groups lists them; did you mean "busy"?'),
    (["send", "busi", "x"], 'there is no group "busi"; mcastctl groups lists them; did you mean "busy"?'),
    (["handlers", "line"], 'there is no handler "line"; mcastctl handlers lists them; did you mean "lines"?'),
    (["groups", "something-else"], 'there is no group "something-else"; mcastctl groups lists them')])
def test_a_name_that_is_nearly_right_gets_the_right_one(daemon, arguments, words):
    assert daemon.ctl(*arguments, status=1) == f"mcastctl: {arguments[0]}: {words}\n"


def test_too_many_handlers_in_one_request_are_refused(daemon):
    error = daemon.error("ListHandlers", handlers=["log"] * 1025)
    assert error.name == "org.varlink.service.InvalidParameter" and error.parameters["parameter"] == "handlers"


# help


def test_a_command_that_is_nearly_right_gets_the_right_one():
    for word, meant in [("sned", "send"), ("group", "groups"), ("tali", "tail"), ("stat", "stats")]:
        result = subprocess.run([MCASTCTL, word], capture_output=True, text=True)
        assert result.returncode == 2
        assert result.stderr == f"mcastctl: there is no command '{word}' (did you mean {meant}?); try 'mcastctl --help'\n"
    assert "did you mean" not in subprocess.run([MCASTCTL, "frobnicate"], capture_output=True, text=True).stderr


def test_help_is_that_of_the_option():
    def output(*arguments):
        return subprocess.run([MCASTCTL, *arguments], capture_output=True, text=True, check=True).stdout

    assert output("help") == output("--help")
    assert output("help", "tail") == output("tail", "--help")
    wrong = subprocess.run([MCASTCTL, "help", "tial"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert wrong.stderr == "mcastctl: there is no command 'tial' (did you mean tail?); try 'mcastctl --help'\n"


# A daemon of another version


UNKNOWN = {
    "method": {"error": "org.varlink.service.MethodNotFound", "parameters": {"method": "io.mcastd.Refresh"}},
    "parameter": {"error": "org.varlink.service.InvalidParameter",
                  "parameters": {"parameter": "group", "message": "is not known; the interface description lists all parameters"}},
    "0.1": {"error": "org.varlink.service.InvalidParameter",
            "parameters": {"parameter": "group", "message": "there is no such parameter; the interface's description lists those"}}}


@pytest.mark.parametrize("answer", UNKNOWN.values(), ids=UNKNOWN)
def test_what_the_daemon_does_not_know_is_named_with_the_restart_that_it_lacks(fake, answer):
    name = next(iter(answer["parameters"].values()))
    assert fake(Refresh=answer).ctl("refresh", "news", status=1) == (
        "mcastctl: refresh: the mcastd that runs is of another version than this mcastctl, and does not know "
        f'"{name}": restart it\n')


def test_an_answer_that_lacks_what_is_expected_names_the_restart_too(fake):
    numbers = handler("archive")
    del numbers["queued"]
    assert "After an upgrade it has to be restarted\n" in check(fake, numbers, status=1)


# stats --check


def check(fake, *handlers, status=0):
    return fake(GetStats={"parameters": {"groups": [], "handlers": list(handlers)}}).ctl("stats", "--check", status=status)


@pytest.mark.parametrize("numbers", [
    {}, dict(received=10, filtered=1, delivered=1, dropped={"full": 3, "rate": 4}, queued=1),
    dict(received=2**63 - 1, filtered=2**63 - 9, delivered=1, dropped={"full": 3, "rate": 3}, queued=1)],
    ids=["0", "10", "max"])
def test_check_counts_every_reason_and_what_is_queued(fake, numbers):
    assert check(fake, handler("archive", **numbers)) == "every datagram is accounted for\n"


@pytest.mark.parametrize("received", [98, 100])
def test_check_explains_each_handler_with_one_datagram_too_many_or_too_few(fake, received):
    numbers = dict(filtered=10, delivered=80, dropped={"full": 3, "rate": 4}, queued=2)
    words = check(fake, handler("good", received=99, **numbers), handler("archive", received=received, **numbers),
                  handler("other", received=1), status=1)
    assert words.splitlines() == [
        f"mcastctl: stats: archive: received {received}, but filtered 10 + delivered 80 + dropped 7 + queued 2 = 99",
        "mcastctl: stats: other: received 1, but filtered 0 + delivered 0 + dropped 0 + queued 0 = 0"]


@pytest.mark.parametrize("numbers", [
    dict(received=0, filtered=2**62, delivered=2**62, queued=2**63 - 1), dict(dropped={"full": 2**63 - 1, "rate": 2**63 - 1})])
def test_check_of_numbers_that_overflow_fails(fake, numbers):
    words = check(fake, handler("archive", **numbers), status=1)
    assert words.startswith("mcastctl: stats: archive: received ")
    assert words.endswith(f" = {2**63 - 1}, the most that can be counted\n") and "-" not in words


@pytest.mark.parametrize("numbers", [dict(received=None), dict(delivered="0"), dict(dropped=7), dict(dropped={"full": "7"})],
                         ids=str)
def test_check_takes_no_unreadable_number_for_zero(fake, numbers):
    assert "is it mcastd?" in check(fake, handler("archive", **numbers), status=1)


def test_check_counts_what_came_in(fake):
    came = taken(taken=12, sent=7, dropped={"own": 2, "send": 1}, waiting=2, gaps=99)
    assert check(fake, handler("hq", input=came), handler("log", input=None)) == "every datagram is accounted for\n"


@pytest.mark.parametrize("number", [11, 13])
def test_check_explains_what_came_in_and_is_not_accounted_for(fake, number):
    came = dict(sent=7, dropped={"own": 2, "send": 1}, waiting=2)
    assert check(fake, handler("hq", input=taken(taken=number, **came)), status=1) == (
        f"mcastctl: stats: what comes in by hq: taken {number}, but sent 7 + dropped 3 + waiting 2 = 12\n")


def test_check_of_what_came_in_that_overflows_fails(fake):
    words = check(fake, handler("hq", input=taken(sent=2**63 - 1, waiting=1)), status=1)
    assert words.endswith(f" = {2**63 - 1}, the most that can be counted\n")


@pytest.mark.parametrize("key", ["taken", "sent", "dropped", "waiting"])
def test_check_takes_no_missing_number_of_what_came_in_for_zero(fake, key):
    came = taken()
    del came[key]
    assert "is it mcastd?" in check(fake, handler("hq", input=came), status=1)


@pytest.mark.parametrize("key", ["name", "received", "dropped", "queued"])
def test_check_takes_no_missing_number_for_zero(fake, key):
    numbers = handler("archive")
    del numbers[key]
    assert "is it mcastd?" in check(fake, numbers, status=1)


def interface(name, **numbers):
    return {"interface": name, "received": 9, "filtered": 1, "delivered": 2, "dropped": {"io": 6}, **numbers}


def test_check_explains_each_interface_of_a_relay_that_misses_a_copy(fake):
    relay = handler("news.relay", interfaces=[interface("eth0"), interface("eth1", received=10), interface(None, filtered=0)])
    assert check(fake, handler("log", interfaces=None), relay, status=1).splitlines() == [
        "mcastctl: stats: news.relay on eth1: received 10, but filtered 1 + delivered 2 + dropped 6 + queued 0 = 9",
        "mcastctl: stats: news.relay on gone interfaces: received 9, but filtered 0 + delivered 2 + dropped 6 + queued 0 = 8"]


def test_sums_that_overflow_are_shown_as_the_largest_number(fake):
    reasons = {"full": 2**63 - 1, "rate": 1, "io": 5}
    row = cells(fake(ListHandlers={"parameters": {"handlers": [handler("archive", dropped=reasons)]}}).ctl("handlers"))[0]
    assert row["DROPPED"] == str(2**63 - 1)


def test_differences_that_overflow_are_shown_as_the_largest_number(fake):
    members = [{"interface": f"eth{i}", "state": "joined", "kernelDropped": -2**63} for i in range(2)]
    group = {"name": "news", "address": "233.252.0.1", "port": 5004, "kernelDropped": 2**63 - 1, "memberships": members}
    last = fake(ListGroups={"parameters": {"groups": [group]}}).ctl("groups").splitlines()[-1]
    assert "gone" in last and str(2**63 - 1) in last


# send


def test_send_of_an_empty_standard_input_sends_nothing_and_names_the_way_to(fake):
    daemon = fake(Send={"parameters": {"bytes": 0}})
    words = daemon.ctl("send", "news", status=1)
    assert daemon.calls == []
    assert "standard input is empty" in words and "mcastctl send news ''" in words


@pytest.mark.parametrize("arguments", [("",), ("--hex", ""), ("--file", "/dev/null")], ids=" ".join)
def test_send_of_an_empty_argument_or_file_is_an_empty_datagram(fake, arguments):
    daemon = fake(Send={"parameters": {"bytes": 0}})
    daemon.ctl("send", "news", *arguments)
    assert daemon.calls[0]["parameters"] == {"group": "news", "text": ""}


def test_a_name_that_is_not_utf8_is_named(fake):
    daemon = fake(Join={"parameters": {"name": "x"}})
    words = daemon.ctl("join", "233.252.0.1:5004", "--handler", "log", "--handler", b"\xff", status=2)
    assert words == "mcastctl: join: '\\xff' is not UTF-8; try 'mcastctl join --help'\n"
    assert daemon.calls == []


# The numbers


def test_the_numbers_are_those_of_the_daemon(daemon, net):
    """What the kernel dropped included: the daemon does not read for a while."""
    daemon.pause()
    with tutorial_sender(net.peer, "233.252.0.1") as sock, net.peer:
        for i in range(3000):
            sock.sendto(b"x" * (50 if i % 2 else 100), ("233.252.0.1", 5004))
    daemon.resume()
    wait_until(lambda: daemon.arrived("busy") >= 3000, "the datagrams")
    daemon.wait_idle("lines")
    numbers, lines = daemon.group("busy"), daemon.handler("lines")
    row = next(row for row in cells(daemon.ctl("groups")) if row["GROUP"] == "busy")
    assert (int(row["RECEIVED"]), int(row["DROPPED"])) == (numbers["received"], numbers["kernelDropped"])
    assert int(row["DROPPED"]) > 0
    row = next(row for row in cells(daemon.ctl("handlers")) if row["HANDLER"] == "lines")
    assert [int(row[name]) for name in ("RECEIVED", "FILTERED", "DELIVERED", "DROPPED")] == \
        [lines["received"], lines["filtered"], lines["delivered"], 0]
    assert lines["filtered"] > 0 and lines["delivered"] > 0


def test_tail_counts_no_further_than_it_can(fake):
    gap = {"parameters": {"gap": {"group": "news", "count": 2**63 - 1}}, "continues": True}
    words = fake(Subscribe=[gap, gap, gap]).ctl("tail", "--json", "news", status=1)
    assert f"{2**63 - 1} datagrams lost in all: {2**63 - 1} before mcastctl" in words


@pytest.mark.parametrize("count, line, total", [
    (1, "gap: 1 datagram of news was not seen here\n", "1 datagram lost in all: 1 before mcastctl (gaps), 0 in it"),
    (3, "gap: 3 datagrams of news were not seen here\n", "3 datagrams lost in all: 3 before mcastctl (gaps), 0 in it")])
def test_tail_says_a_gap_in_words_only_without_json(fake, count, line, total):
    daemon = fake(Subscribe={"parameters": {"gap": {"group": "news", "count": count}}, "continues": True})
    in_words = daemon.ctl("tail", "news", status=1)
    in_json = daemon.ctl("--json", "tail", "news", status=1)
    assert in_words.startswith(line) and total in in_words
    assert "gap:" not in in_json and total in in_json


@pytest.mark.parametrize("is_accepted", [False, True], ids=["waiting", "accepted"])
def test_a_socket_whose_daemon_could_not_be_started_is_no_daemon(tmp_path, is_accepted):
    """As systemd's, when each start has failed: it closes the socket, and nobody has read."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        process = subprocess.Popen([MCASTCTL, "-s", path, "status"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: select.select([listener], [], [], 0)[0], "the connection")
        if is_accepted:
            connection, _ = listener.accept()
            wait_until(lambda: select.select([connection], [], [], 0)[0], "the call")
            connection.close()
    _, words = process.communicate(timeout=15)
    assert process.returncode == 3
    assert f"mcastd at {path} has ended, or was not started, before it read this" in words and "mcastd --check" in words, words
