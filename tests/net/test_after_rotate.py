"""Recordings that others go on with: a program for each rotated file, how files are named, and how long they stay."""

import contextlib
import datetime
import fcntl
import glob
import os
import signal
import subprocess
import time

import pytest

from harness import documents
from harness.captures import tshark
from harness.daemon import MCASTD, Daemon, run_mcastd
from harness.programs import children_of, command, is_alive
from harness.recordings import SteadySender, by_round, check_rounds, kill_at_random, payloads_of_packets
from harness.records import deliver
from harness.waiting import wait_until

GROUP = "233.252.0.1"
ZSTD = 'after_rotate = ["/usr/bin/zstd", "-q", "--rm"];'


def config(keys):
    return f"""
      groups: {{ news: {{ address = "{GROUP}"; port = 5004; interfaces = ["eth0"]; handlers = ["packets"]; }}; }};
      handlers: {{ packets: {{ type = "pcapng"; link = "raw"; path = "$DIR/news.pcapng"; queue = "256M"; {keys} }}; }};"""


@pytest.fixture
def run(start, programs):
    """Starts a daemon that runs a shell script for each file, with the daemon's directory as $1 and the file as $2."""
    def run(script, keys="", **options):
        words = command(programs.write("script", script), "$DIR")
        return start(config(f"after_rotate = {words}; {keys}"), **options)

    return run


def rotate(daemon, net, payload):
    before = len(glob.glob(daemon.path("news.2*")))
    deliver(daemon, net, payload, "packets")
    daemon.ctl("rotate")
    wait_until(lambda: len(glob.glob(daemon.path("news.2*"))) > before or not glob.glob(daemon.path("news.2*")), "a file")


def counters(daemon):
    counted = daemon.handler("packets")["counters"]
    return counted["afterRotateSucceeded"], counted["afterRotateFailed"]


def wait_counters(daemon, *expected):
    wait_until(lambda: counters(daemon) == expected, f"the counters {expected}")


def marks(daemon):
    return glob.glob(daemon.path(".news*.waits"))


def read_all(directory):
    """The payloads of all files, each of which must be whole, or decompress."""
    found = []
    for path in sorted(glob.glob(f"{directory}/news.2*")) + [f"{directory}/news.pcapng"]:
        if path.endswith(".zst"):
            assert not os.path.exists(path.removesuffix(".zst"))
            found += payloads_of_packets(subprocess.run(["zstd", "-qdc", path], check=True, stdout=subprocess.PIPE).stdout)
        else:
            with open(path, "rb") as file:
                found += payloads_of_packets(file.read())
    return found


# ---- What runs ----

def test_a_rotated_file_is_compressed(start, net, programs):
    daemon = start(config(ZSTD))
    for number in range(3):
        deliver(daemon, net, b"%d" % number, "packets")
        daemon.ctl("rotate")
        wait_counters(daemon, number + 1, 0)
    assert read_all(daemon.directory) == [b"0", b"1", b"2"]
    assert len(glob.glob(daemon.path("news.2*.pcapng.zst"))) == 3 and not marks(daemon)


def test_the_program_gets_the_path_and_nothing_else(run, net):
    daemon = run('shift; printf "%s|" "$#" "$1" "$(cat)" "$PWD"; env | sort | tr "\\n" "|"')
    rotate(daemon, net, b"x")
    wait_counters(daemon, 1, 0)
    path, = glob.glob(daemon.path("news.2*"))
    line = next(line for line in daemon.log().splitlines() if "|LANG=" in line)
    assert f": 1|{path}||/|LANG=" in line, line
    assert line.startswith("handler packets: process ")
    assert {word.partition("=")[0] for word in line.split("||/|")[1].split("|")} - {""} == {"LANG", "PATH", "PWD"}, line


def test_a_failure_is_logged_with_its_file_and_counted_and_tried_again_by_the_next_run(run, net, directory):
    daemon = run("exit 3", directory=directory)
    rotate(daemon, net, b"x")
    wait_counters(daemon, 0, 1)
    path, = glob.glob(daemon.path("news.2*"))
    assert f"handler packets: {path}: after_rotate exited with status 3; the file waits" in daemon.log()
    assert len(marks(daemon)) == 1
    daemon.stop()
    daemon = run('rm "$2"', directory=directory)
    wait_until(lambda: not marks(daemon), "the next run")
    assert not glob.glob(daemon.path("news.2*")) and counters(daemon) == (1, 0)


def test_while_a_program_of_an_earlier_run_has_a_file_others_are_not_tried_more_often(run, net, directory):
    daemon = run("exit 3", directory=directory)
    for number in range(3):
        rotate(daemon, net, b"x")
        wait_counters(daemon, 0, number + 1)
    daemon.stop()
    first, failing, last = sorted(glob.glob(daemon.path("news.2*")))

    def runs():
        return open(daemon.path("runs")).read().split() if os.path.exists(daemon.path("runs")) else []

    marks_of = {}
    with contextlib.ExitStack() as locks:
        for path in (first, last):
            marks_of[path] = locks.enter_context(open(daemon.path(f".{os.path.basename(path)}.waits")))
            fcntl.flock(marks_of[path], fcntl.LOCK_EX)
        daemon = run('echo "$2" >>"$1/runs"; exit 3', directory=directory)
        wait_until(lambda: runs() == [failing], "the file that nobody has")
        marks_of[first].close()
        wait_until(lambda: first in runs(), "the first file")
    wait_until(lambda: last in runs(), "the last file")
    assert runs() == [failing, first, last]


def test_a_program_that_hangs_delays_neither_the_recording_nor_the_stop(run, net):
    daemon = run('trap "" TERM; while :; do sleep 1; done')
    rotate(daemon, net, b"x")
    wait_until(lambda: children_of(daemon), "the program")
    pid, = children_of(daemon)
    for number in range(3):
        deliver(daemon, net, b"%d" % number, "packets")
    daemon.stop()
    assert not is_alive(pid)


def test_a_reload_that_changes_the_handler_runs_the_program_again(run, net):
    daemon = run('echo >>"$1/runs"; test -e "$1/go" || sleep 100')
    rotate(daemon, net, b"x")
    wait_until(lambda: daemon.read("runs") == b"\n", "the program")
    open(daemon.path("go"), "w").close()
    with open(daemon.config_path) as file:
        text = file.read()
    with open(daemon.config_path, "w") as file:
        file.write(text.replace('link = "raw";', 'link = "raw"; flush = "200ms";'))
    daemon.ctl("reload")
    wait_until(lambda: not marks(daemon), "the program to run again")
    assert daemon.read("runs") == b"\n\n" and counters(daemon) == (1, 0)


def test_files_that_a_reload_leaves_waiting_are_in_the_log_without_half_of_what_was_made(run, net):
    """Where the path or after_rotate changes, nothing goes on with them: half a compressed file would pass for a whole one."""
    daemon = run('echo half >"$2.zst"; sleep 100')
    rotate(daemon, net, b"x")
    first, = wait_until(lambda: [path.removesuffix(".zst") for path in glob.glob(daemon.path("news.2*.zst"))], "the program")
    deliver(daemon, net, b"y", "packets")
    daemon.ctl("rotate")
    wait_until(lambda: len(marks(daemon)) == 2, "the second file")
    with open(daemon.config_path) as file:
        text = file.read()
    with open(daemon.config_path, "w") as file:
        file.write(text.replace("news.pcapng", "other.pcapng"))
    daemon.ctl("reload")
    wait_until(lambda: f"news.pcapng: 2 rotated files wait for after_rotate, the oldest is {os.path.basename(first)}; the next handler "
                       "with this path and after_rotate goes on there" in daemon.log(), "the line")
    assert not os.path.exists(f"{first}.zst") and os.path.exists(first) and len(marks(daemon)) == 2


def test_a_program_that_others_could_replace_is_refused(programs, tmp_path):
    path = programs.write("loose", "true", mode=0o777)
    (tmp_path / "mcastd.conf").write_text(config(f'after_rotate = ["{path}"];').replace("$DIR", str(tmp_path)))
    result = run_mcastd("--check", "-c", str(tmp_path / "mcastd.conf"))
    assert result.returncode == 78 and "after_rotate: " in result.stderr and "chmod go-w" in result.stderr, result
    text = programs.write("text", "true")
    with open(text, "w") as file:
        file.write("no program")
    (tmp_path / "mcastd.conf").write_text(config(f'after_rotate = ["{text}"];').replace("$DIR", str(tmp_path)))
    result = run_mcastd("--check", "-c", str(tmp_path / "mcastd.conf"))
    assert result.returncode == 0 and "does not begin with #!" in result.stderr, result


def test_what_is_compressed_counts_for_keep(start, net, programs):
    daemon = start(config(ZSTD + "keep = 2;"))
    for number in range(4):
        deliver(daemon, net, b"%d" % number, "packets")
        daemon.ctl("rotate")
        wait_counters(daemon, number + 1, 0)
    wait_until(lambda: len(glob.glob(daemon.path("news.2*"))) == 2, "the older files to be gone")
    assert read_all(daemon.directory) == [b"2", b"3"]


def test_each_file_that_keep_removes_before_its_program_was_done_is_in_the_log(run, net, directory):
    daemon = run('until test -e "$1/go"; do sleep 0.01; done; exec gzip "$2"', keys="keep = 1;", directory=directory)
    names = []
    for number in range(4):
        deliver(daemon, net, b"%d" % number, "packets")
        daemon.ctl("rotate")
        wait_until(lambda: glob.glob(daemon.path("news.2*")) not in ([], names[-1:]), "the file")
        wait_until(lambda: len(glob.glob(daemon.path("news.2*"))) == 1, "the older one to be gone")
        names += glob.glob(daemon.path("news.2*"))
    first = os.path.basename(names[0])
    daemon.wait_logged(f"removed {first} before after_rotate was done with it")
    open(daemon.path("go"), "w").close()
    wait_counters(daemon, 1, 0)
    daemon.wait_logged(f"{names[0]}: was removed by keep, keep_for or quota while its program ran")
    daemon.stop()
    last = os.path.basename(names[2])
    assert f"removed 2 files before after_rotate was done with them, the last one {last}" in daemon.log()
    assert "is tried again" not in daemon.log() and not marks(daemon)


def test_files_are_removed_for_their_age_while_nothing_comes(start, net):
    daemon = start(config('keep_for = "2s";'))
    rotate(daemon, net, b"x")
    wait_until(lambda: not glob.glob(daemon.path("news.2*")), "the file to be gone")


# ---- Names ----

KINDS = {"pcapng": 'type = "pcapng"', **{form: f'type = "file"; format = "{form}"' for form in ("line", "json", "hex")}}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_named_by_its_first_datagram_also_after_a_restart(start, net, directory, kind):
    text = config('name_time = "begin";').replace('type = "pcapng"; link = "raw"', KINDS[kind])
    daemon = start(text, directory=directory)
    wait_until(lambda: os.path.exists(daemon.path("news.pcapng")), "the file")
    opened = time.time()
    wait_until(lambda: time.time() > int(opened) + 1, "another second")
    before = time.time()
    deliver(daemon, net, b"x", "packets")
    after = time.time()
    daemon.stop()
    wait_until(lambda: time.time() > int(after) + 1, "another second")
    daemon = start(text, directory=directory)
    deliver(daemon, net, b"y", "packets")
    daemon.ctl("rotate")
    path, = wait_until(lambda: glob.glob(daemon.path("news.2*")), "the file")
    stamp = datetime.datetime.strptime(os.path.basename(path), "news.%Y%m%dT%H%M%SZ.pcapng")
    assert int(before) <= stamp.replace(tzinfo=datetime.timezone.utc).timestamp() <= after


# ---- The recipe ----

def recipe_commands():
    """The commands of doc/record-a-feed.md that make a slice."""
    text = documents.read("doc/record-a-feed.md")
    return documents.FENCED.findall(text[text.index("## A slice for a colleague"):])


def test_the_commands_of_the_recipe_make_slices(start, net, tmp_path):
    daemon = start(config("").replace("news.pcapng", "feed.pcapng"))
    for number in range(3):
        deliver(daemon, net, b"%d" % number, "packets")
    wait_until(lambda: len(tshark(daemon.path("feed.pcapng"), "frame.number")) == 3, "the packets")
    first = float(tshark(daemon.path("feed.pcapng"), "frame.time_epoch")[0][0])
    for hour in (20, 21, 22):
        instant = datetime.datetime(2026, 11, 24, hour, 16, tzinfo=datetime.timezone.utc).timestamp()
        path = tmp_path / f"feed.20261124T{hour}0000Z.pcapng"
        subprocess.run(["editcap", "-t", f"{instant - first:.6f}", daemon.path("feed.pcapng"), path], check=True)
        subprocess.run(["zstd", "-q", "--rm", path], check=True)
    os.rename(daemon.path("feed.pcapng"), tmp_path / "feed.pcapng")
    slices = recipe_commands()
    assert len(slices) == 1 and slices[0].count("\n") == 2
    for commands in slices:
        environment = {**os.environ, "TZ": "America/New_York"}
        subprocess.run(["bash", "-ec", commands], cwd=tmp_path, env=environment, check=True, stdin=subprocess.DEVNULL)
    assert len(tshark(tmp_path / "slice.pcapng", "frame.number")) == 3
    times = [float(row[0]) for row in tshark(tmp_path / "evening.pcapng", "frame.time_epoch")]
    assert len(times) == 12 and times == sorted(times)


# ---- SIGKILL ----

def kill_children(pids):
    """As systemd does after the daemon; without it, they go on."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def kill_often(net, binary, directory, sender, times):
    """Kills a daemon that records and compresses, again and again, every other time with its programs. Then lets one end all
    that is left. Returns that one, what each had said to have delivered, and the turns that fell short."""
    text = config(ZSTD + 'rotate_size = "512K";')
    said, short = {}, set()
    for number in range(times):
        turn = sender.next_round()
        daemon = Daemon(net.host, text, binary=binary, directory=directory)
        said[turn], dropped, programs = kill_at_random(daemon, 0.5, ["packets"], children_of)
        if dropped:
            short.add(turn)
        if number % 2:
            kill_children(programs)
    sender.next_round()
    with Daemon(net.host, text, binary=binary, directory=directory) as daemon:
        wait_until(lambda: daemon.handler("packets")["delivered"], "the last")
        sender.pause()
        daemon.wait_idle("packets")
        wait_until(lambda: not marks(daemon), "all files to be compressed", 60)
        assert counters(daemon)[1] == 0, daemon.log()
    return daemon, said, short


def check_kills(net, binary, directory, times):
    sender = SteadySender(net, GROUP)
    try:
        daemon, said, short = kill_often(net, binary, directory, sender, times)
    finally:
        sender.stop()
    claimed = {number: delivered.get("packets", 0) for number, delivered in said.items()}
    found = check_rounds(claimed, by_round(read_all(directory)), short)
    files = glob.glob(f"{directory}/news.2*")
    assert files and all(path.endswith(".zst") for path in files)
    log = daemon.log()
    return len(files), found, sum(claimed.values()), log.count("after_rotate had not finished")


def test_10_kills_lose_nothing_and_leave_each_file_compressed(net, programs, directory):
    check_kills(net, MCASTD, directory, 10)


@pytest.mark.long
def test_100_kills_lose_nothing_and_leave_each_file_compressed(net, programs, tmp_path, say, release):
    totals = [0, 0, 0, 0]
    for part in range(5):
        directory = tmp_path / str(part)
        directory.mkdir()
        totals = [total + more for total, more in zip(totals, check_kills(net, release, str(directory), 20))]
    say("100 kills: {:,} files, all compressed and whole, {:,} packets in them; none lost of {:,} that were said to be written; "
        "{} partial files removed".format(*totals))
