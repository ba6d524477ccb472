"""What the recorders (file, pcapng) promise: whole records, rotated files, limits, and no exit for a full disk."""

import contextlib
import ctypes
import glob
import os
import re
import shutil
import signal
import threading
import time

import pytest

from harness.captures import SECTION, blocks, statistics, tcpdump, tshark
from harness.daemon import Daemon, run_mcastd
from harness.peers import send
from harness.recordings import SteadySender, by_round, check_rounds, kill_at_random, packet_payloads, payloads
from harness.records import deliver
from harness.waiting import wait_until

GROUP = '{ address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = [%s]; }'


def config(**handlers):
    """A group with these handlers, which have the keys that are given."""
    names = ", ".join(f'"{name}"' for name in handlers)
    rows = "\n".join(f"  {name}: {{ {keys} }};" for name, keys in handlers.items())
    return f"groups: {{ news: {GROUP % names}; }};\nhandlers: {{\n{rows}\n}};\n"


JSON = 'type = "file"; format = "json"; path = "$DIR/news.ndjson";'
PCAPNG = 'type = "pcapng"; path = "$DIR/news.pcapng";'


def rotated(daemon, name="news", extension=".ndjson"):
    """The rotated files, oldest first."""
    paths = glob.glob(daemon.path(f"{name}.*{extension}"))
    form = re.compile(rf"{name}\.(\d{{8}}T\d{{6}}Z)(?:_(\d{{3}}))?{re.escape(extension)}")
    matches = [(form.fullmatch(os.path.basename(path)), path) for path in paths]
    assert all(match for match, _ in matches), paths
    in_order = [path for _, path in sorted(matches, key=lambda item: (item[0][1], int(item[0][2] or 0)))]
    assert in_order == sorted(paths)  # as the shell expands news.*
    return in_order


# ---- Rotation ----

@pytest.mark.parametrize("ask", [lambda daemon: daemon.signal(signal.SIGUSR1), lambda daemon: daemon.ctl("rotate"),
                                 lambda daemon: daemon.ctl("rotate", "objects")], ids=["SIGUSR1", "rotate", "rotate-one"])
def test_a_new_file_is_begun_on_request(start, net, ask):
    daemon = start(config(objects=JSON))
    for number in range(3):
        deliver(daemon, net, b"%d" % number)
        ask(daemon)
        wait_until(lambda: len(rotated(daemon)) == number + 1, "the file to be rotated")
    assert [payloads(path) for path in rotated(daemon)] == [[b"0"], [b"1"], [b"2"]]
    ask(daemon)  # there is nothing to rotate
    daemon.call("GetStatus")  # the signal has been seen
    deliver(daemon, net, b"last")
    assert payloads(daemon.path("news.ndjson")) == [b"last"]
    assert os.stat(daemon.path("news.ndjson")).st_mode & 0o777 == 0o640


def test_what_is_queued_goes_to_the_file_before_it_is_rotated(start, net, blast):
    daemon = start(config(objects=JSON + 'flush = "1h";'))
    blast(net.peer, "233.252.0.1", 5004, 100)
    daemon.wait_arrived("news", 100)
    daemon.signal(signal.SIGUSR1)
    wait_until(lambda: rotated(daemon), "the file to be rotated")
    daemon.wait_idle("objects")
    daemon.signal(signal.SIGUSR1)
    wait_until(lambda: len(payloads(*rotated(daemon))) == 100, "all in rotated files")


def test_files_of_a_size_are_kept_up_to_a_number(start, net, blast):
    daemon = start(config(objects=JSON + 'rotate_size = "64K"; keep = 3; queue = "64M";'))
    blast(net.peer, "233.252.0.1", 5004, 5000)
    daemon.wait_arrived("news", 5000)
    assert daemon.wait_idle("objects")["delivered"] == 5000
    assert len(rotated(daemon)) == 3
    assert all(64 * 1024 <= os.path.getsize(path) < 65 * 1024 for path in rotated(daemon))
    numbers = [int(payload.split()[1]) for payload in payloads(*rotated(daemon), daemon.path("news.ndjson"))]
    assert numbers == list(range(5000 - len(numbers), 5000))


def test_files_are_rotated_by_time_even_when_nothing_comes_but_not_empty_ones(start, net):
    keys = 'rotate_every = "1s"; filter: { prefix = "%s"; };'
    daemon = start(config(objects=JSON + keys % "x", others=JSON.replace("news", "others") + keys % "y"))
    deliver(daemon, net, b"x")
    path, = wait_until(lambda: rotated(daemon), "the file to be rotated")
    assert payloads(path) == [b"x"] and os.path.getsize(daemon.path("news.ndjson")) == 0
    for number in range(3):  # each takes a second, but for the first
        deliver(daemon, net, b"y", "others")
        wait_until(lambda: len(rotated(daemon, "others")) == number + 1, "the other file to be rotated")
    assert rotated(daemon) == [path]


def test_a_quota_holds_at_any_moment(start, net, blast):
    daemon = start(config(packets=PCAPNG + 'rotate_size = "32K"; quota = "200K"; queue = "64M";'))
    most, stop = [0], threading.Event()

    def watch():
        while not stop.is_set():
            total = 0
            for path in glob.glob(daemon.path("news*.pcapng")):
                try:
                    total += os.path.getsize(path)
                except FileNotFoundError:
                    pass
            most[0] = max(most[0], total)

    with open(daemon.path("news.20260101T000000Z.pcapng.gz"), "wb") as file:
        file.write(bytes(1000))  # not ours
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        blast(net.peer, "233.252.0.1", 5004, 20_000)
        daemon.wait_arrived("news", 20_000)
        assert daemon.wait_idle("packets")["delivered"] == daemon.group("news")["received"] > 5000
    finally:
        stop.set()
        watcher.join()
    assert 150 * 1024 < most[0] <= 200 * 1024
    assert os.path.exists(daemon.path("news.20260101T000000Z.pcapng.gz"))


def test_a_quota_without_rotation_drops_and_says_so_once(start, net, blast):
    daemon = start(config(objects=JSON + 'quota = "100K"; queue = "64M";'))
    blast(net.peer, "233.252.0.1", 5004, 10_000)
    daemon.wait_arrived("news", 10_000)
    handler = daemon.wait_idle("objects")
    assert handler["dropped"]["io"] == daemon.group("news")["received"] - handler["delivered"] > 0
    assert 99 * 1024 < os.path.getsize(daemon.path("news.ndjson")) <= 100 * 1024
    assert daemon.log().count("quota of 100K is used up by this one file; set rotate_size to a part of quota") == 1


@pytest.mark.parametrize("limit", ['queue = "128K"', "queue_datagrams = 100"])
def test_a_queue_that_is_full_is_logged_when_it_begins_and_with_what_it_cost(start, net, blast, limit):
    daemon = start(config(objects=JSON + f'sync = "each"; {limit};'))
    while not daemon.handler("objects")["dropped"]["queue"]:
        blast(net.peer, "233.252.0.1", 5004, 20_000)
    daemon.wait_idle("objects")
    daemon.write_config(config(objects=JSON))
    daemon.ctl("reload")  # ends the handler with the queue
    dropped = daemon.handler("objects")["dropped"]["queue"]
    wait_until(lambda: daemon.log().count("its queue was full; dropped meanwhile") == 1, "the end")
    assert f"handler objects: its queue was full; dropped meanwhile: {dropped}\n" in daemon.log()
    assert daemon.log().count(f"handler objects: its queue is full ({limit}), and datagrams are dropped") == 1


# ---- What an earlier run left ----

@pytest.mark.parametrize("form, tail", [
    ("json", b'{"group":"news","addr'), ("line", b"2026-11-24T19:33:19.12"), ("hex", b"2"), ("json", bytes(5000))],
    ids=["json", "line", "hex", "zeros"])
def test_half_a_record_is_cut_off(start, net, directory, form, tail):
    text = config(objects=f'type = "file"; format = "{form}"; path = "$DIR/news.log";')
    daemon = start(text, directory=directory)
    deliver(daemon, net, b"whole")
    daemon.stop()
    whole = daemon.read("news.log")
    with open(daemon.path("news.log"), "ab") as file:
        file.write(tail)
    daemon = start(text, directory=directory)
    wait_until(lambda: daemon.read("news.log") == whole, "the file to be mended")
    daemon.wait_logged(f"news.log: cut off {len(tail)} byte")
    deliver(daemon, net, b"next")
    assert daemon.read("news.log").startswith(whole) and daemon.read("news.log").count(b"\n") == 2


@pytest.mark.parametrize("content", [b"my notes", b"my notes\n", b"2026-11-24T19:33:19.123456789Z news - eth0 0 \n"],
                         ids=["notes", "lines", "other-format"])
def test_what_is_something_else_is_set_aside(start, net, directory, content):
    path = os.path.join(directory, "news.ndjson")
    with open(path, "wb") as file:
        file.write(content)
    daemon = start(config(objects=JSON), directory=directory)
    deliver(daemon, net, b"x")
    assert payloads(path) == [b"x"]
    aside, = glob.glob(path + ".*.aside")
    with open(aside, "rb") as file:
        assert file.read() == content
    assert os.path.basename(aside) in daemon.log()


FORMATS = ["line", "json", "hex"]


@pytest.mark.parametrize("change", ["reload", "restart"])
@pytest.mark.parametrize("first, second", [(one, other) for one in FORMATS for other in FORMATS if one != other])
def test_a_file_of_another_format_is_set_aside(start, net, directory, first, second, change):
    """The payloads are hexadecimal digits, and the first one is empty."""
    text = config(objects='type = "file"; format = "%s"; path = "$DIR/news.log";')
    daemon = start(text % first, directory=directory)
    deliver(daemon, net, b"")
    deliver(daemon, net, b"cafe")
    before = daemon.read("news.log")
    if change == "reload":
        daemon.write_config(text % second)
        daemon.ctl("reload")
    else:
        daemon.stop()
        daemon = start(text % second, directory=directory)
    deliver(daemon, net, b"after")
    aside, = glob.glob(daemon.path("news.log.*.aside"))
    with open(aside, "rb") as file:
        assert file.read() == before
    assert daemon.read("news.log").count(b"\n") == 1


@pytest.mark.parametrize("form", FORMATS + ["raw"])
def test_a_file_of_the_same_format_goes_on_whatever_its_payloads_are(start, net, directory, form):
    text = config(objects=f'type = "file"; format = "{form}"; path = "$DIR/news.log";')
    payloads = [b"", b"6", b"00" * 5000, bytes(2), b"6\n", "\u20ac".encode()]
    for number, payload in enumerate(payloads):
        daemon = start(text, directory=directory)
        deliver(daemon, net, payload)
        daemon.stop()
    assert not glob.glob(daemon.path("news.log.*"))
    os.remove(daemon.path("news.log"))
    for payload in payloads:  # as the first one of a file
        for _ in range(2):
            daemon = start(text, directory=directory)
            deliver(daemon, net, payload)
            daemon.stop()
        assert not glob.glob(daemon.path("news.log.*"))
        os.remove(daemon.path("news.log"))


def test_a_reload_that_is_only_tried_leaves_the_files_alone(start, net, directory):
    for name in ("running", "tried"):
        with open(os.path.join(directory, name), "wb") as file:
            file.write(b"my notes")
    running = 'type = "file"; format = "json"; path = "$DIR/running";'
    daemon = start(config(objects=JSON), directory=directory)
    deliver(daemon, net, b"x")
    daemon.write_config(config(objects=JSON + "keep = 1;", tried='type = "file"; format = "json"; path = "$DIR/tried";'))
    daemon.ctl("reload", "--dry-run")
    wrong = 'type = "file"; path = "/nonexistent/x";'
    daemon.write_config(config(objects=JSON + "keep = 1;", tried=wrong, running=running))
    daemon.ctl("reload", status=1)
    daemon.stop()
    assert daemon.read("tried") == b"my notes" == daemon.read("running")
    assert payloads(daemon.path("news.ndjson")) == [b"x"] and not rotated(daemon)


# ---- Directories that cannot be used ----

# Root without what lets it write everywhere.
AS_OTHERS = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner", "--inh-caps", "-all")


@pytest.fixture
def recordings(directory):
    path = os.path.join(directory, "recordings")
    os.mkdir(path)
    yield path
    os.chmod(path, 0o755)


def test_another_reason_why_nothing_can_be_written_is_logged(start, net, directory, recordings):
    text = config(objects='type = "file"; format = "json"; flush = "0s"; path = "$DIR/recordings/news.ndjson";')
    daemon = start(text, directory=directory, wrapper=AS_OTHERS)
    deliver(daemon, net, b"before")

    def logged(words):
        send(net.peer, b"lost", "233.252.0.1", 5004)
        return [line for line in daemon.log().splitlines() if words in line]

    shutil.rmtree(recordings)
    wait_until(lambda: logged("No such file or directory"), "the first reason")
    os.mkdir(recordings, 0o555)
    line, = wait_until(lambda: logged("Permission denied"), "the second reason")
    assert "may not write to" in line and "datagrams are dropped until" in line
    os.chmod(recordings, 0o755)
    wait_until(lambda: logged("it can be written again"), "the end")
    assert len(logged("No such file or directory")) == 1


@pytest.mark.parametrize("keys", ['rotate_every = "1s";', 'rotate_size = "4K";'])
def test_a_rotation_that_fails_says_what_to_do_and_is_tried_again_soon(start, net, directory, recordings, keys):
    text = config(objects=f'type = "file"; format = "json"; flush = "0s"; path = "$DIR/recordings/news.ndjson"; {keys}')
    daemon = start(text, directory=directory, wrapper=AS_OTHERS)
    os.chmod(recordings, 0o555)

    def logged(words):
        send(net.peer, bytes(5000), "233.252.0.1", 5004)
        return [line for line in daemon.log().splitlines() if words in line]

    line, = wait_until(lambda: logged("renaming it: Permission denied"), "the reason")
    assert f"may not write to {recordings} (of user root, mode 0555): chown or chmod it; it goes on in the same file" in line
    assert "rotating is tried again at least every 5 s" in line
    os.chmod(recordings, 0o755)
    wait_until(lambda: logged("news.ndjson: it can be rotated again after"), "the end", 15)
    assert len(logged("renaming it")) == 1 and glob.glob(f"{recordings}/news.*Z*.ndjson") and not daemon.handler("objects")["dropped"]["io"]


def test_a_rotation_on_request_that_fails_is_tried_again_while_nothing_comes(start, net, directory, recordings):
    text = config(objects='type = "file"; format = "json"; path = "$DIR/recordings/news.ndjson";')
    daemon = start(text, directory=directory, wrapper=AS_OTHERS)
    deliver(daemon, net, b"before")
    os.chmod(recordings, 0o555)
    daemon.ctl("rotate")
    wait_until(lambda: "renaming it: Permission denied" in daemon.log(), "the failure")
    os.chmod(recordings, 0o755)
    path, = wait_until(lambda: glob.glob(f"{recordings}/news.*Z.ndjson"), "the rotated file", 15)
    assert payloads(path) == [b"before"] and not payloads(f"{recordings}/news.ndjson")
    wait_until(lambda: "news.ndjson: it can be rotated again after" in daemon.log(), "the end of it")
    deliver(daemon, net, b"behind")  # one request is one rotation
    assert payloads(f"{recordings}/news.ndjson") == [b"behind"] and len(glob.glob(f"{recordings}/news.*Z*.ndjson")) == 1


# ---- Two that write to one file ----

def test_a_file_that_another_daemon_writes_to_is_refused(start, net, directory):
    text = config(objects=f'type = "file"; path = "{directory}/shared.log";')
    daemon = start(text)
    deliver(daemon, net, b"x")
    other = f"{directory}/other.conf"
    with open(other, "w") as file:
        file.write(text + f'control: {{ socket = "{directory}/other.sock"; }};\nrun_directory = "{directory}/run";\n')
    result = run_mcastd("-c", other, host=net.host)
    assert result.returncode == 78, result
    assert "another program writes to it" in result.stderr
    daemon.kill()
    daemon = start(text)
    deliver(daemon, net, b"y")


def check_in_order(daemon, count):
    """All that the group received is in the files, each datagram once, in the order in which the bursts were sent."""
    found = [tuple(map(int, payload.split()[:2])) for payload in payloads(*rotated(daemon), daemon.path("news.ndjson"))]
    assert found == sorted(set(found))
    assert len(found) == count
    assert not glob.glob(daemon.path("*.aside"))


@pytest.mark.parametrize("rotate_size", ["0", "64K"])
def test_reloads_that_follow_each_other_lose_nothing_and_keep_the_order(start, net, blast, rotate_size):
    """Each new handler waits for the one before, which may be waiting itself with all that it has queued."""
    keys = JSON + f'queue = "64M"; rotate_size = "{rotate_size}";'
    daemon = start(config(objects=keys))
    for number in range(5):
        blast(net.peer, "233.252.0.1", 5004, 10_000, tag=f"{number}")
        daemon.write_config(config(objects=keys + f"keep = {10_000 + number};"))
        daemon.ctl("reload")
    daemon.wait_arrived("news", 50_000)
    handler = daemon.wait_idle("objects")
    assert not any(handler["dropped"].values())
    check_in_order(daemon, handler["received"])
    assert rotate_size != "0" or not rotated(daemon)


def test_handlers_that_follow_each_other_under_new_names_lose_nothing_and_keep_the_order(start, net, blast):
    keys = JSON + 'queue = "64M"; rotate_size = "64K";'
    daemon = start(config(one=keys))
    for number, name in enumerate(("two", "three", "four", "five")):
        blast(net.peer, "233.252.0.1", 5004, 10_000, tag=f"{number}")
        daemon.write_config(config(**{name: keys}))
        daemon.ctl("reload")
    daemon.wait_arrived("news", 40_000)
    deliver(daemon, net, b"9 0", name)
    check_in_order(daemon, daemon.group("news")["received"])


@contextlib.contextmanager
def stopped(thread):
    """Stops one thread, as a disk that hangs does (ptrace(2))."""
    seize, interrupt, detach = 0x4206, 0x4207, 17
    libc = ctypes.CDLL(None, use_errno=True)
    for request in (seize, interrupt):
        assert libc.ptrace(request, thread, None, None) == 0, os.strerror(ctypes.get_errno())
    assert os.waitpid(thread, 0x40000000)[0] == thread  # __WALL
    yield
    assert libc.ptrace(detach, thread, None, None) == 0, os.strerror(ctypes.get_errno())


@pytest.mark.long
def test_a_recorder_that_hangs_delays_the_one_that_replaces_it_for_some_seconds_only(start, net):
    daemon = start(config(objects=JSON))
    deliver(daemon, net, b"before")
    with stopped(max(map(int, os.listdir(f"/proc/{daemon.process.pid}/task")))):
        daemon.write_config(config(objects=JSON + "keep = 3;"))
        daemon.ctl("reload")
        send(net.peer, b"queued", "233.252.0.1", 5004)
        wait_until(lambda: daemon.handler("objects")["queued"] == 1, "the datagram to be queued")
        wait_until(lambda: daemon.handler("objects")["dropped"]["io"] == 1, "the end of waiting", 15)
        assert "handler objects: " in daemon.log() and "another handler or program writes to it" in daemon.log()

    def written():
        send(net.peer, b"after", "233.252.0.1", 5004)
        return daemon.handler("objects")["delivered"] > 1

    wait_until(written, "recording to go on", 15)
    daemon.wait_idle("objects")
    assert set(payloads(daemon.path("news.ndjson"))) == {b"before", b"after"} and not rotated(daemon)


def test_a_reload_in_peace_goes_on_in_the_same_file(start, net):
    daemon = start(config(objects=JSON))
    deliver(daemon, net, b"before")
    daemon.write_config(config(objects=JSON + "keep = 3;"))
    daemon.ctl("reload")
    deliver(daemon, net, b"after")
    assert payloads(daemon.path("news.ndjson")) == [b"before", b"after"] and not rotated(daemon)


# ---- Settings ----

@pytest.mark.parametrize("keys, words", [
    ('rotate_size = "1K";', 'rotate_size: "1K" is out of range, use 4K to 1T, or 0'),
    ('rotate_size = "8K"; quota = "4K";', "rotate_size: is more than quota"),
    ('rotate_every = "1ms";', 'rotate_every: "1ms" is out of range, use 1s to 366d, or 0'),
    ('keep_for = "999ms";', 'keep_for: "999ms" is out of range, use 1s to 3650d, or 0'),
    ('keep_for = "30m"; rotate_every = "1h"; name_time = "begin";', "keep_for: is less than rotate_every"),
    ('name_time = "middle";', '"end" or "begin"'),
    ('after_rotate = [];', "after_rotate: "),
    ('after_rotate = ["zstd", "--rm"];', "after_rotate: is not an absolute path"),
    ('after_rotate_timeout = "0";', "after_rotate_timeout: "),
    ('sync = "always";', '"none", "interval" or "each"'),
    ("keep = -1;", "keep: -1 is out of range"),
    ('flush = "2h";', 'flush: "2h" is out of range'),
    (f'path = "/tmp/{"n" * 230}";', "path: is too long a name"),
    ('path = "/dev/stdout";', "use a handler of type log, whose stream is stdout or stderr"),
])
@pytest.mark.parametrize("kind", ["file", "pcapng"])
def test_settings_that_cannot_be_meant_are_refused(tmp_path, kind, keys, words):
    path = "" if "path" in keys else 'path = "/tmp/x";'
    (tmp_path / "mcastd.conf").write_text(config(objects=f'type = "{kind}"; {path} {keys}'))
    result = run_mcastd("--check", "-c", str(tmp_path / "mcastd.conf"))
    assert result.returncode == 78 and words in result.stdout + result.stderr, result


@pytest.mark.parametrize("keys, warned", [("", True), ("keep = 3;", True), ('rotate_size = "4K";', False),
                                          ('rotate_every = "1h";', False)])
def test_a_quota_that_no_rotated_file_makes_room_under_is_a_warning(tmp_path, keys, warned):
    (tmp_path / "mcastd.conf").write_text(config(objects=f'type = "file"; path = "{tmp_path}/x"; quota = "10K"; {keys}'))
    result = run_mcastd("--check", "-c", str(tmp_path / "mcastd.conf"))
    said = result.stdout + result.stderr
    assert result.returncode == 0, said
    assert ("without rotate_size or rotate_every no file is rotated that could make room" in said) == warned, said


@pytest.mark.parametrize("keys, warned", [("", None), ("keep = 3;", "keep"), ('keep_for = "7d";', "keep_for"),
                                          ('keep = 3; rotate_size = "4K";', None), ('keep_for = "7d"; rotate_every = "1h";', None)])
def test_files_to_be_removed_that_nothing_rotates_are_a_warning(tmp_path, keys, warned):
    (tmp_path / "mcastd.conf").write_text(config(objects=f'type = "pcapng"; path = "{tmp_path}/x"; {keys}'))
    result = run_mcastd("--check", "-c", str(tmp_path / "mcastd.conf"))
    said = result.stdout + result.stderr
    assert result.returncode == 0, said
    assert ("only mcastctl rotate and SIGUSR1 begin a new file" in said) == bool(warned), said
    assert not warned or f": {warned}: without rotate_size or rotate_every" in said, said


@pytest.mark.parametrize("sync", ["none", "interval", "each"])
@pytest.mark.parametrize("kind, recording", [("file", "news.ndjson"), ("pcapng", "news.pcapng")])
def test_every_way_to_sync_writes_all_of_it(start, net, blast, kind, recording, sync):
    keys = (JSON if kind == "file" else PCAPNG) + f'sync = "{sync}"; queue = "64M";'
    daemon = start(config(objects=keys))
    blast(net.peer, "233.252.0.1", 5004, 1000)
    daemon.wait_arrived("news", 1000)
    assert daemon.wait_idle("objects")["delivered"] == 1000
    if kind == "file":
        assert len(payloads(daemon.path(recording))) == 1000
    else:
        assert [kind for kind, _ in blocks(daemon.read(recording))].count(6) == 1000


# ---- A full disk ----

class SmallDisk:
    """A daemon that records to a file system of its own, which nobody else sees but through its root directory."""

    def __init__(self, start, directory, size, text, **options):
        disk = os.path.join(directory, "disk")
        os.makedirs(disk, exist_ok=True)
        mount = f'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"'
        self.daemon = start(text.replace("$DISK", disk), directory=directory,
                            wrapper=("unshare", "-m", "sh", "-c", mount, disk), **options)
        self.disk = f"/proc/{self.daemon.process.pid}/root{disk}"

    def path(self, name):
        return os.path.join(self.disk, name)

    def free(self):
        status = os.statvfs(self.disk)
        return status.f_bavail * status.f_frsize

    def fill(self):
        """Takes all the space there is."""
        with open(self.path("filler"), "wb", buffering=0) as file:
            for size in (1024 * 1024, 4096, 1):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError:
                    pass

    def make_room(self):
        os.unlink(self.path("filler"))


DISK_JSON = 'type = "file"; format = "json"; path = "$DISK/news.ndjson";'
DISK_PCAPNG = 'type = "pcapng"; path = "$DISK/news.pcapng";'


def test_recording_goes_on_when_a_full_disk_has_room_again(start, net, directory, blast):
    small = SmallDisk(start, directory, "2m", config(objects=DISK_JSON, packets=DISK_PCAPNG))
    daemon = small.daemon
    for name in ("objects", "packets"):
        deliver(daemon, net, b"before", name)
    small.fill()
    for _ in range(3):  # what is left of the last page takes some
        blast(net.peer, "233.252.0.1", 5004, 500, 1000)
        wait_until(lambda: not daemon.handler("objects")["queued"] and not daemon.handler("packets")["queued"], "the end")
    lost = {name: daemon.handler(name)["dropped"]["io"] for name in ("objects", "packets")}
    assert lost["objects"] > 1000 and lost["packets"] > 1000
    small.make_room()

    def written(name):
        send(net.peer, b"after", "233.252.0.1", 5004)
        return b"after" in open(small.path(name), "rb").read()

    for name in ("news.ndjson", "news.pcapng"):
        wait_until(lambda: written(name), "recording to go on", 60)
    for name in ("objects", "packets"):
        daemon.wait_idle(name)
    found = payloads(small.path("news.ndjson"))
    assert found[0] == b"before" and found[-1] == b"after"
    with open(small.path("news.pcapng"), "rb") as file:
        data = file.read()
    assert [kind for kind, _ in blocks(data)].count(SECTION) >= 2
    assert len(tcpdump(small.path("news.pcapng"))) == daemon.handler("packets")["delivered"]
    for name in ("news.ndjson", "news.pcapng"):
        assert f"{name}: writing: No space left on device" in daemon.log()
        assert re.search(rf"{name}: it can be written again after .*; lost meanwhile: \d+", daemon.log())
        assert daemon.log().count(f"{name}: writing") <= 5
    daemon.signal(signal.SIGUSR1)
    path = wait_until(lambda: glob.glob(small.path("news.*.pcapng")), "a new file")[0]
    with open(path, "rb") as file:
        received, dropped, delivered = statistics(file.read())["eth0"]
    handler = daemon.handler("packets")
    assert (dropped, delivered) == (handler["dropped"]["io"], handler["delivered"]) and received == dropped + delivered


def test_a_floor_of_free_space_is_left(start, net, directory, blast):
    small = SmallDisk(start, directory, "2m", config(objects=DISK_JSON + 'keep_free = "1M"; queue = "64M";'))
    blast(net.peer, "233.252.0.1", 5004, 2000, 1000)
    small.daemon.wait_arrived("news", 2000)
    handler = small.daemon.wait_idle("objects")
    assert handler["dropped"]["io"] and small.free() >= 1024 * 1024 and handler["delivered"] > 500
    assert small.daemon.log().count("no more than keep_free = 1M left") == 1
    assert len(payloads(small.path("news.ndjson"))) == handler["delivered"]


@pytest.mark.long
def test_a_full_8_mib_disk(start, net, directory, blast, say, release):
    small = SmallDisk(start, directory, "8m", config(objects=DISK_JSON + 'rotate_size = "1M";', packets=DISK_PCAPNG),
                      binary=release)
    daemon = small.daemon
    sent = 0
    deadline = time.monotonic() + 20
    small.fill()
    while time.monotonic() < deadline:
        sent += blast(net.peer, "233.252.0.1", 5004, 2000, 500)
        time.sleep(0.05)
    daemon.wait_arrived("news", sent)
    lost = {name: daemon.wait_idle(name)["dropped"]["io"] for name in ("objects", "packets")}
    before = {name: daemon.handler(name)["delivered"] for name in lost}
    small.make_room()
    started, took = time.monotonic(), {}

    def resumed(name):
        send(net.peer, b"after", "233.252.0.1", 5004)
        return daemon.handler(name)["delivered"] > before[name]

    for name in lost:
        wait_until(lambda: resumed(name), f"{name} to go on", 60)
        took[name] = time.monotonic() - started
    assert daemon.process.poll() is None
    lines = daemon.log().count("No space left"), daemon.log().count("it can be written again after")
    written = {name: daemon.wait_idle(name)["delivered"] for name in lost}
    assert len(payloads(*glob.glob(small.path("news*.ndjson")))) == written["objects"]
    assert len(tshark(small.path("news.pcapng"), "frame.number")) == written["packets"]
    say(f"a full 8 MiB tmpfs for 20 s, {sent:,} datagrams: {lost} dropped, went on after "
        f"{', '.join(f'{name} {seconds:.1f} s' for name, seconds in took.items())}; {lines} lines about it")


def test_a_recording_that_somebody_truncates_goes_on_whole(start, net):
    """As logrotate's copytruncate does: to nothing, or here to the middle of a record."""
    daemon = start(config(objects=JSON + ' flush = "0s";', packets=PCAPNG + ' flush = "0s";'))
    for left in (0, 0.7):
        for number in range(5):
            deliver(daemon, net, b"%d" % number)
        wait_until(lambda: not daemon.handler("packets")["queued"], "the packets")
        for name in ("news.ndjson", "news.pcapng"):
            os.truncate(daemon.path(name), int(os.path.getsize(daemon.path(name)) * left))
        deliver(daemon, net, b"after")
        wait_until(lambda: not daemon.handler("packets")["queued"], "the packet")
        assert payloads(daemon.path("news.ndjson"))[-1] == b"after"
        assert tshark(daemon.path("news.pcapng"), "data.data")[-1][0] == b"after".hex()
    assert not daemon.handler("objects")["dropped"]["io"]


def test_a_recorder_that_changes_while_programs_are_started_loses_nothing(start, net, blast):
    """A program that is just being started holds a copy of every descriptor, and so of the lock on the file."""
    text = config(objects='type = "file"; format = "raw"; path = "$DIR/out"; flush = "%dms";',
                  programs='type = "exec"; command = ["/bin/true"];')
    daemon = start(text % 100)
    with blast.stream(net.peer, "233.252.0.1", 5004, 50, rate=3000):
        for number in range(20):
            daemon.write_config(text % (101 + number % 2))
            daemon.ctl("reload")
    assert not daemon.handler("objects")["dropped"]["io"]
    assert "program writes to it" not in daemon.log()


# ---- SIGKILL ----

def kill_often(host, text, release, directory, sender, times):
    """Kills a daemon that records, again and again, and then lets one end well. Returns that daemon, by round what
    each handler had said to have delivered, and the rounds in which it had counted drops: it was too slow, as under load."""
    said, short = {}, set()
    for _ in range(times):
        number = sender.next_round()
        said[number], dropped, _ = kill_at_random(Daemon(host, text, binary=release, directory=directory), 0.4)
        if dropped:
            short.add(number)
    sender.next_round()
    with Daemon(host, text, binary=release, directory=directory) as daemon:
        wait_until(lambda: all(daemon.handler(name)["delivered"] for name in ("objects", "packets")), "the last")
    return daemon, said, short


@pytest.mark.long
def test_200_kills_leave_files_that_parse(net, tmp_path, say, release):
    keys = 'rotate_size = "8M"; queue = "256M";'
    text = config(objects=JSON + keys, packets=PCAPNG + 'link = "raw";' + keys)
    text = text.replace("interfaces =", 'receive_buffer = "64M"; interfaces =')
    totals = {"objects": 0, "packets": 0, "said": 0, "mended": 0, "files": 0, "short": 0}
    kinds = ("objects", ".ndjson", lambda path: payloads(path)), ("packets", ".pcapng", packet_payloads)
    sender = SteadySender(net)
    try:
        for part in range(10):
            directory = str(tmp_path / str(part))
            os.mkdir(directory)
            daemon, said, short = kill_often(net.host, text, release, directory, sender, 20)
            assert not glob.glob(daemon.path("*.aside"))
            for name, extension, read in kinds:
                paths = [*rotated(daemon, extension=extension), daemon.path(f"news{extension}")]
                found = by_round(payload for path in paths for payload in read(path))
                claimed = {number: delivered.get(name, 0) for number, delivered in said.items()}
                totals[name] += check_rounds(claimed, found, short)
                totals["said"] += sum(claimed.values())
                totals["files"] += len(paths)
            totals["short"] += len(short)
            totals["mended"] += daemon.log().count("cut off")
            shutil.rmtree(directory)
    finally:
        sender.stop()
    say("200 kills: {objects:,} JSON records and {packets:,} packets in {files} files that all parse, {mended} torn and "
        "mended; none lost of {said:,} that were said to be written; {short} runs were too slow and counted that".format(**totals))
