"""mcastctl top: what it shows in a real terminal, and how it leaves that."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess

import pytest

from harness import with_us
from harness.daemon import MCASTCTL
from harness.peers import tutorial_sender
from harness.terminal import ESCAPE, Tmux, run_in_terminal
from harness.waiting import wait_until

CONFIG = """
groups: {
  news:  { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["lines"]; };
  sport: { address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; expect_within = "200ms"; };
  later: { address = "233.252.0.3"; port = 5004; interfaces = ["later0"]; };
  busy:  { address = "233.252.0.4"; port = 5004; interfaces = ["eth0"]; receive_buffer = "64K"; };
};
handlers: { lines: { type = "file"; path = "$DIR/lines"; format = "line"; }; };
"""

SIZE, PER_SECOND = 100, 200


@contextlib.contextmanager
def traffic(net, group="233.252.0.1"):
    """Datagrams of a known size at a known rate."""
    with net.peer:
        process = with_us.start([MCASTCTL, "send", f"{group}:5004%eth0", "x" * SIZE, "--interval", "5ms"],
                                stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def number(cell):
    """Of a cell; -1 while there is no rate yet."""
    if cell == "-":
        return -1
    factor = {"k": 1e3, "M": 1e6}.get(cell[-1], 1)
    return float(cell.rstrip("kM")) * factor


def is_near(value, expected):
    return 0.9 * expected <= value <= 1.1 * expected


def command(daemon, *arguments):
    return " ".join(["ASAN_OPTIONS=detect_leaks=0", MCASTCTL, "-s", daemon.control_path, "top", *arguments])


@contextlib.contextmanager
def top(daemon, *arguments, width=80, height=24, before=""):
    """Top in a terminal."""
    with Tmux(width, height) as terminal:
        terminal.type(before + command(daemon, *arguments))
        terminal.wait_for("q quit")
        yield terminal


def children(terminal):
    """Of the shell in the terminal."""
    shell = terminal.run("display-message", "-p", "#{pane_pid}").strip()
    with open(f"/proc/{shell}/task/{shell}/children") as file:
        return [int(pid) for pid in file.read().split()]


def pid_of(terminal):
    """Top is the only child of the shell."""
    return children(terminal)[0]


def is_waiting(pid):
    """Whether it is mcastctl, and sleeps."""
    with open(f"/proc/{pid}/stat") as file:
        name, state = re.fullmatch(r"\d+ \((.*)\) (\S) .*\n", file.read()).groups()
    return (name, state) == ("mcastctl", "S")


# What it shows


@pytest.mark.parametrize("width, height", [(80, 24), (200, 60)])
def test_the_screen_has_the_figures_of_the_traffic(daemon, net, width, height):
    with traffic(net), top(daemon, width=width, height=height) as terminal:
        first = 2 if width == 200 else 1  # behind the address

        def is_right():
            row = terminal.row("news")
            return row and row[first] != "-" and is_near(number(row[first]), PER_SECOND) and \
                is_near(number(row[first + 1]), PER_SECOND * SIZE * 8) and row[first + 4] == "now"

        wait_until(is_right, f"{PER_SECOND}/s of news on the screen")
        lines = terminal.lines()
        assert len(lines) == height and all(len(line) <= width for line in lines)
        assert lines[0].startswith("mcastd ") and "3 joined, 1 waiting" in lines[0]
        assert re.match(r"in \S+/s \S+bit/s ", lines[1])
        assert ("ADDRESS" in lines[2]) == (width == 200)
        assert lines[2].index("IN/s") + 4 == terminal.text().split("\nnews")[1].index(terminal.row("news")[first]) + 4 + \
            len(terminal.row("news")[first])


def test_the_totals_are_the_sum_of_the_groups(daemon, net):
    with traffic(net), traffic(net, "233.252.0.2"), top(daemon) as terminal:
        wait_until(lambda: is_near(number(re.match(r"in (\S+)/s", terminal.lines()[1])[1]), 2 * PER_SECOND), "the sum")


def test_handlers_stand_below_the_groups_and_alone(daemon, net):
    with traffic(net), top(daemon) as terminal:
        wait_until(lambda: is_near(number(terminal.row("lines")[2]), PER_SECOND), "the rate of the handler")
        terminal.press("h")
        wait_until(lambda: terminal.lines()[2].startswith("HANDLER") and not terminal.row("news"), "handlers alone")
        terminal.press("h")
        wait_until(lambda: terminal.row("news"), "the groups again")


def test_the_history_is_drawn_in_the_characters_of_the_locale(daemon, net):
    with traffic(net):
        with top(daemon) as terminal:
            wait_until(lambda: "\u2588" in terminal.row("news")[-1], "a block")
        with top(daemon, before="LC_ALL=C ") as terminal:
            wait_until(lambda: terminal.row("news")[-1].endswith("#"), "ASCII")
            assert terminal.text().isascii()


def test_losses_are_red_and_have_their_reason(daemon, net):
    with top(daemon) as terminal:
        daemon.pause()
        with tutorial_sender(net.peer, "233.252.0.4") as sock:
            for _ in range(2000):
                sock.sendto(bytes(1000), ("233.252.0.4", 5004))
        daemon.resume()
        wait_until(lambda: "kernel" in (terminal.row("busy") or []), "the loss")
        row = terminal.row("busy")
        lost = daemon.group("busy")["kernelDropped"]
        assert lost and row[3] == str(lost)
        line = next(line for line in terminal.colored().split("\n") if ESCAPE.sub("", line).startswith("busy"))
        assert re.search(r"\x1b\[(1;)?31m *" + str(lost), line) or re.search(r"\x1b\[1m\x1b\[31m *" + str(lost), line)
        terminal.press("z")
        wait_until(lambda: terminal.row("busy")[3] == "0", "losses to count from zero")


def test_what_is_silent_or_not_joined_is_said(daemon):
    with top(daemon) as terminal:
        wait_until(lambda: terminal.row("sport")[-1] == "silent", "the silence")
        assert terminal.row("later")[-2:] == ["later0", "waiting~"]


def test_what_does_not_fit_is_cut_where_that_is_seen(daemon):
    with top(daemon) as terminal:
        terminal.wait_for("later0 waiting~\n")
        assert all(len(line) == 80 for line in terminal.lines() if line.endswith("~"))


def test_no_color_is_respected(daemon):
    with top(daemon, before="NO_COLOR=1 ") as terminal:
        terminal.wait_for("later0 waiting")
        assert not re.search(r"\x1b\[[0-9;]*3[13]m", terminal.colored())


def test_groups_can_be_named_filtered_and_sorted(daemon, net):
    with traffic(net, "233.252.0.2"), top(daemon, "--interval", "200ms") as terminal:
        names = lambda: [line.split()[0] for line in terminal.lines()[3:7]]
        wait_until(lambda: names()[0] == "sport", "the busiest first")
        terminal.press("n")
        wait_until(lambda: names() == ["busy", "later", "news", "sport"], "by name")
        terminal.press("R")
        wait_until(lambda: names() == ["sport", "news", "later", "busy"], "by name, reversed")
        terminal.press("/", "N", "E", "W", "S", "x", "BSpace", "Enter")
        wait_until(lambda: terminal.row("news") and not terminal.row("sport"), "the filter")
        terminal.press("Escape")
        wait_until(lambda: terminal.row("sport"), "all again")
    with top(daemon, "news", "busy") as terminal:
        assert terminal.row("news") and terminal.row("busy") and not terminal.row("sport")


def test_a_screen_of_few_lines_scrolls(daemon):
    with top(daemon, height=6) as terminal:
        terminal.press("n")
        wait_until(lambda: terminal.row("busy") and terminal.row("later") and not terminal.row("news"), "the first two")
        terminal.press("Down")
        wait_until(lambda: terminal.row("news") and not terminal.row("busy"), "one line further")
        terminal.press("End")
        wait_until(lambda: terminal.row("sport") and not terminal.row("later"), "the end")
        terminal.press("PPage")
        wait_until(lambda: terminal.row("busy"), "a page back")
        terminal.resize(80, 24)
        wait_until(lambda: terminal.row("busy") and terminal.row("sport") and terminal.row("lines"), "all on a larger one")


def test_the_end_and_the_return_of_the_daemon_are_said(start, directory):
    daemon = start(CONFIG, directory=directory)
    with top(daemon, "--interval", "200ms") as terminal:
        terminal.wait_for(f"pid {daemon.process.pid}")
        daemon.stop()
        terminal.wait_for("mcastd has gone away, last seen")
        again = start(CONFIG, directory=directory)
        terminal.wait_for(f"pid {again.process.pid}")
        assert terminal.row("news")


def test_a_daemon_that_does_not_answer_is_said(start):
    daemon = start(CONFIG)
    with top(daemon, "--interval", "200ms") as terminal:
        daemon.pause()
        terminal.wait_for("mcastd does not answer, last seen")
        daemon.resume()
        terminal.wait_for(f"pid {daemon.process.pid}")


def test_the_wait_for_the_first_answer_can_be_interrupted(start):
    daemon = start(CONFIG)
    daemon.pause()
    try:
        with Tmux() as terminal:
            terminal.type(command(daemon))
            pid = wait_until(lambda: children(terminal), "top")[0]
            wait_until(lambda: is_waiting(pid), "it to wait")
            terminal.press("C-c")
            wait_until(lambda: not children(terminal), "its end")
            assert terminal.state() == ("0", "1")
    finally:
        daemon.resume()


def test_a_daemon_that_accepts_nothing_holds_up_neither_keys_nor_the_return(start, directory, tmp_path):
    """In its place something listens whose queue of connections is full: connect(2) would wait there."""
    daemon = start(CONFIG, directory=directory)
    with top(daemon, "--interval", "200ms") as terminal, socket.socket(socket.AF_UNIX) as deaf, contextlib.ExitStack() as stack:
        terminal.wait_for(f"pid {daemon.process.pid}")
        daemon.stop()
        deaf.bind(str(tmp_path / "deaf"))
        deaf.listen(0)
        with pytest.raises(BlockingIOError):
            while True:
                waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
                waiting.setblocking(False)
                waiting.connect(str(tmp_path / "deaf"))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(daemon.control_path)
        os.symlink(tmp_path / "deaf", daemon.control_path)
        terminal.wait_for("mcastd has gone away, last seen")
        for key, shown in ("h", "HANDLER"), ("h", "GROUP"):
            terminal.press(key)
            wait_until(lambda: any(line.split()[:1] == [shown] for line in terminal.lines()), f"{shown}, by a key")
        os.unlink(daemon.control_path)
        again = start(CONFIG, directory=directory)
        terminal.wait_for(f"pid {again.process.pid}")


def test_without_a_screen_the_wait_for_an_answer_has_an_end(start):
    daemon = start(CONFIG)
    daemon.pause()
    try:
        error = daemon.ctl("top", "--once", status=1)
    finally:
        daemon.resume()
    assert error == f"mcastctl: top: mcastd at {daemon.control_path} does not answer\n"


# How it leaves the terminal


@pytest.fixture
def clean(tmp_path):
    """Runs top between two looks at the terminal, and compares them."""

    @contextlib.contextmanager
    def clean(daemon, status):
        with Tmux() as terminal:
            before, after = tmp_path / "before", tmp_path / "after"
            terminal.type(f"stty -a >{before}; {command(daemon)}; echo status=$?; stty -a >{after}")
            terminal.wait_for("q quit")
            assert terminal.state() == ("1", "0")
            yield terminal
            terminal.wait_for(f"status={status}")
            wait_until(after.exists, "the end")
            wait_until(lambda: after.read_text() == before.read_text(), "the same modes")
            assert terminal.state() == ("0", "1")
            assert "HISTORY" not in terminal.text()

    return clean


def test_q_leaves_a_clean_terminal(daemon, clean):
    with clean(daemon, 0) as terminal:
        terminal.press("q")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda number: number.name)
def test_a_signal_leaves_a_clean_terminal(daemon, clean, number):
    with clean(daemon, 128 + number) as terminal:
        os.kill(pid_of(terminal), number)


def test_an_interrupt_from_the_keyboard_leaves_a_clean_terminal(daemon, tmp_path):
    with Tmux() as terminal:
        terminal.type(f"stty -a >{tmp_path}/before")
        terminal.type(command(daemon))
        terminal.wait_for("q quit")
        terminal.press("C-c")
        wait_until(lambda: terminal.state() == ("0", "1"), "the screen as it was")
        terminal.type(f"echo status=$?; stty -a >{tmp_path}/after; echo done")
        terminal.wait_for("\ndone")
        assert "status=130" in terminal.text()
        assert (tmp_path / "before").read_text() == (tmp_path / "after").read_text()


def test_it_can_be_suspended_from_the_keyboard_and_goes_on(daemon, tmp_path):
    with Tmux() as terminal:
        terminal.type(f"stty -a >{tmp_path}/before")
        terminal.type(command(daemon))
        terminal.wait_for("q quit")
        terminal.press("C-z")
        wait_until(lambda: terminal.state() == ("0", "1"), "the screen of the shell")
        terminal.wait_for("Stopped")
        terminal.type(f"stty -a >{tmp_path}/stopped; fg")
        terminal.wait_for("q quit")
        wait_until(lambda: terminal.state() == ("1", "0"), "its screen again")
        terminal.press("q")
        wait_until(lambda: terminal.state() == ("0", "1"), "the end")
        terminal.type(f"stty -a >{tmp_path}/after; echo done")
        terminal.wait_for("\ndone")
        for name in ("stopped", "after"):
            assert (tmp_path / "before").read_text() == (tmp_path / name).read_text()


def test_after_sigstop_and_sigcont_it_draws_again_and_leaves_a_clean_terminal(daemon, tmp_path):
    with Tmux() as terminal:
        terminal.type(f"stty -a >{tmp_path}/before")
        terminal.type(command(daemon))
        terminal.wait_for("q quit")
        os.kill(pid_of(terminal), signal.SIGSTOP)
        terminal.wait_for("Stopped")
        terminal.type("fg")
        wait_until(lambda: "Stopped" not in terminal.text() and "q quit" in terminal.text(), "a whole frame")
        terminal.press("q")
        wait_until(lambda: terminal.state() == ("0", "1"), "the end")
        terminal.type(f"stty -a >{tmp_path}/after; echo done")
        terminal.wait_for("\ndone")
        assert (tmp_path / "before").read_text() == (tmp_path / "after").read_text()


def test_one_that_is_stopped_in_the_background_can_be_ended(daemon):
    with Tmux() as terminal:
        terminal.type(command(daemon))
        terminal.wait_for("q quit")
        pid = pid_of(terminal)
        os.kill(pid, signal.SIGSTOP)
        terminal.wait_for("Stopped")
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "its end")
        assert terminal.state() == ("0", "1")
        terminal.type("clear; echo it-works")
        terminal.wait_for("\nit-works")


def test_a_terminal_that_takes_nothing_does_not_hold_up_the_end(daemon):
    with top(daemon, "--interval", "100ms") as terminal:
        pid = pid_of(terminal)
        tty = os.readlink(f"/proc/{pid}/fd/1")
        server = int(terminal.run("display-message", "-p", "#{pid}"))
        os.kill(server, signal.SIGSTOP)
        try:
            fd = os.open(tty, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(fd, b" " * 4096)
            os.close(fd)
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: not os.path.exists(f"/proc/{pid}") or "\nState:\tZ" in
                       open(f"/proc/{pid}/status").read(), "its end")
        finally:
            os.kill(server, signal.SIGCONT)


# Without a terminal


def test_once_is_plain_text_of_one_interval(daemon, net):
    outputs = []

    def is_right():
        """The sender has begun, and is not held up by a busy machine in this interval."""
        outputs.append(daemon.ctl("top", "--once", "--interval", "500ms"))
        row = next(line.split() for line in outputs[-1].splitlines() if line.startswith("news"))
        return row[1] == "233.252.0.1:5004" and is_near(number(row[2]), PER_SECOND)

    with traffic(net):
        wait_until(is_right, f"{PER_SECOND}/s of news")
    assert "\x1b" not in outputs[-1] and all(line == line.rstrip() for line in outputs[-1].splitlines())


def test_once_on_a_terminal_is_as_wide_as_that(daemon):
    status, output = run_in_terminal([MCASTCTL, "-s", daemon.control_path, "top", "--once", "--interval", "100ms"])
    assert status == 0 and "\x1b" not in output
    assert "later0 waiting" in output and all(len(line) <= 80 for line in output.splitlines())


def test_json_is_an_object_a_round(daemon, net):
    with traffic(net), daemon.ctl_start("--json", "top", "--interval", "500ms") as process:
        objects = []

        def is_right():
            """The sender has begun, and is not held up by a busy machine in this round."""
            objects.append(json.loads(process.stdout.readline()))
            news = next(group for group in objects[-1]["groups"] if group["name"] == "news")
            return is_near(news["receivedPerSecond"], PER_SECOND) and is_near(news["receivedBitsPerSecond"], PER_SECOND * SIZE * 8)

        wait_until(is_right, f"{PER_SECOND}/s of news")
        objects.append(json.loads(process.stdout.readline()))
        process.terminate()
    times = [each["timestamp"] for each in objects]
    assert times == sorted(set(times))
    for each in objects:
        assert {handler["name"] for handler in each["handlers"]} >= {"lines"}
        assert next(group["problem"] for group in each["groups"] if group["name"] == "later").startswith("later0 waiting")


def test_json_goes_on_over_the_end_of_the_daemon(start, directory):
    daemon = start(CONFIG, directory=directory)
    with daemon.ctl_start("--json", "top", "--interval", "100ms") as process:
        assert "groups" in json.loads(process.stdout.readline())
        daemon.stop()
        wait_until(lambda: "has gone away" in json.loads(process.stdout.readline()).get("error", ""), "the end")
        start(CONFIG, directory=directory)
        wait_until(lambda: "groups" in json.loads(process.stdout.readline()), "its return")
        process.terminate()


def test_a_reader_that_has_gone_is_no_failure(daemon):
    with daemon.ctl_start("--json", "top", "--interval", "100ms") as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(15) == 0
        assert process.stderr.read() == b""


def test_without_a_terminal_it_names_the_ways_that_need_none(daemon):
    assert daemon.ctl("top", status=2).startswith(
        "mcastctl: top: standard output is no terminal: use --once or --json")


def test_a_dumb_terminal_is_refused(daemon):
    status, output = run_in_terminal([MCASTCTL, "-s", daemon.control_path, "top"], TERM="dumb")
    assert status == 2 and "cannot be drawn on" in output and not ESCAPE.search(output)


def test_a_group_that_is_not_there_is_said_before_the_screen_is_taken(daemon):
    status, output = run_in_terminal([MCASTCTL, "-s", daemon.control_path, "top", "nwes"])
    assert status == 1 and 'there is no group "nwes"' in output and not ESCAPE.search(output)


def test_without_a_daemon_it_says_so(tmp_path):
    result = subprocess.run([MCASTCTL, "-s", str(tmp_path / "none"), "top", "--once"], capture_output=True, text=True)
    assert result.returncode == 3 and "no mcastd at" in result.stderr
