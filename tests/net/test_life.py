"""Starting and stopping: one daemon for one socket, nothing left behind, nothing stolen."""

import os
import signal
import socket
import stat
import subprocess

import pytest

from harness import with_us
from harness.daemon import MCASTD, run_mcastd
from harness.peers import receive, send, seqpacket, tutorial_receiver
from harness.waiting import TIMEOUT, wait_until

CONFIG = """groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; socket = true; }; };"""


def test_sigterm_and_sigint_stop_it_with_success(start):
    for number in (signal.SIGTERM, signal.SIGINT):
        daemon = start(CONFIG)
        daemon.signal(number)
        assert daemon.process.wait(15) == 0
        assert not os.path.exists(daemon.control_path)


def test_a_second_daemon_on_the_same_socket_is_refused_and_steals_nothing(start, net):
    daemon = start(CONFIG)
    result = run_mcastd("-c", daemon.config_path, host=net.host)
    assert result.returncode == 1
    assert f"{daemon.control_path} is in use; is another mcastd running?" in result.stderr
    with daemon.connect() as control:
        assert control.call("GetStatus")["pid"] == daemon.process.pid
    with tutorial_receiver(net.peer, "233.252.0.1", 5004) as peer, seqpacket(daemon.group_path("news")) as sock:
        sock.send(b"still the first daemon's")
        assert receive(peer) == [b"still the first daemon's"]


def test_socket_files_that_a_killed_daemon_left_are_replaced(start, net):
    first = start(CONFIG)
    first.owned_directory = False
    first.process.kill()
    first.process.wait()
    assert os.path.exists(first.control_path) and os.path.exists(first.group_path("news"))
    second = start(CONFIG, directory=first.directory)
    second.owned_directory = True
    assert second.call("GetStatus")["pid"] == second.process.pid
    with tutorial_receiver(net.peer, "233.252.0.1", 5004) as peer, seqpacket(second.group_path("news")) as sock:
        sock.send(b"from the second")
        assert receive(peer) == [b"from the second"]


def test_a_file_in_place_of_the_socket_is_not_removed(start, net, tmp_path):
    (tmp_path / "mcastd.sock").write_text("precious")
    (tmp_path / "mcastd.conf").write_text(f'control: {{ socket = "{tmp_path}/mcastd.sock"; }};')
    result = run_mcastd("-c", str(tmp_path / "mcastd.conf"), host=net.host)
    assert result.returncode == 1 and "mcastd.sock is there and is not a socket" in result.stderr
    assert (tmp_path / "mcastd.sock").read_text() == "precious"


def test_a_directory_that_is_not_there_is_said(net, tmp_path):
    (tmp_path / "mcastd.conf").write_text(f'control: {{ socket = "{tmp_path}/none/mcastd.sock"; }};')
    result = run_mcastd("-c", str(tmp_path / "mcastd.conf"), host=net.host)
    assert result.returncode == 1 and f"{tmp_path}/none/mcastd.sock: No such file or directory" in result.stderr


def test_a_handler_that_cannot_be_opened_stops_the_start_with_words(net, tmp_path):
    (tmp_path / "mcastd.conf").write_text(
        f'handlers: {{ out: {{ type = "file"; path = "{tmp_path}/none/file"; }}; }};\n'
        f'control: {{ socket = "{tmp_path}/mcastd.sock"; }};')
    result = run_mcastd("-c", str(tmp_path / "mcastd.conf"), host=net.host)
    assert result.returncode == 78
    assert f"{tmp_path}/mcastd.conf:1: handlers.out: opening {tmp_path}/none/file: " in result.stderr
    assert "create its directory" in result.stderr
    assert not os.path.exists(tmp_path / "mcastd.sock")


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", ">&-", "2>&-"])
def test_what_is_meant_for_a_closed_stream_gets_to_no_other_descriptor(start, net, closed):
    """Without standard streams, these would be the numbers of the event loop's own pipe, which takes bytes for signals."""
    daemon = start("""groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["out", "err"]; }; };
        handlers: { out: { type = "log"; format = "raw"; stream = "stdout"; }; err: { type = "log"; format = "raw"; }; };""",
                   wrapper=("sh", "-c", f'exec "$@" {closed}', "sh"))
    descriptors = f"/proc/{daemon.process.pid}/fd"
    assert {os.readlink(f"{descriptors}/{number}") for number in range(3)} <= {"/dev/null", daemon.log_path}
    send(net.peer, bytes([signal.SIGTERM, signal.SIGUSR1]), "233.252.0.1", 5004)
    daemon.wait_arrived("news", 1)
    handlers = {name: daemon.wait_idle(name) for name in ("out", "err")}
    for name, redirection in (("out", ">&-"), ("err", "2>&-")):
        is_closed = redirection in closed.split()
        assert handlers[name]["dropped"]["io"] == is_closed and handlers[name]["delivered"] == (not is_closed)
    daemon.stop()


def test_an_empty_configuration_runs(start):
    daemon = start("")
    status = daemon.call("GetStatus")
    assert (status["groups"], status["handlers"]) == (0, 2)


def test_the_control_socket_is_there_for_every_local_user(start):
    daemon = start("")
    assert stat.S_ISSOCK(os.stat(daemon.control_path).st_mode)
    assert stat.S_IMODE(os.stat(daemon.control_path).st_mode) == 0o666


def test_open_connections_do_not_hold_up_the_end(start):
    daemon = start(CONFIG)
    subscriber, idle = daemon.connect(), daemon.connect()
    subscriber.send("Subscribe", {}, more=True)
    member = seqpacket(daemon.group_path("news"))
    wait_until(lambda: daemon.call("GetStatus")["subscribers"] == 1, "the subscription")
    daemon.signal(signal.SIGTERM)
    assert daemon.process.wait(15) == 0
    assert idle.read() == b"" and subscriber.read() == b""
    assert member.recv(100) == b""
    for connection in (subscriber, idle, member):
        connection.close()


def test_sigpipe_is_survived(start, net):
    daemon = start(CONFIG)
    for _ in range(20):
        with daemon.connect() as control:
            control.write(b'{"method":"io.mcastd.ListGroups"}\0' * 200)
            control.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    assert daemon.call("GetStatus")["pid"] == daemon.process.pid


def test_a_second_daemon_with_the_same_run_directory_takes_no_group_socket(start, net, tmp_path):
    config = 'groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; socket = true; }; };'
    daemon = start(config)
    (tmp_path / "mcastd.conf").write_text(
        f'{config} control: {{ socket = "{tmp_path}/sock"; }}; run_directory = "{daemon.path("run")}";')
    result = run_mcastd("-c", str(tmp_path / "mcastd.conf"), host=net.host)
    assert result.returncode == 78 and "groups/news is in use; is another mcastd running?" in result.stderr
    with seqpacket(daemon.group_path("news")) as sock:
        sock.send(b"x")
    daemon.wait_arrived("news", 1)


def test_a_file_in_place_of_a_group_socket_is_not_removed(start, net, tmp_path):
    (tmp_path / "run" / "groups").mkdir(parents=True)
    (tmp_path / "run" / "groups" / "news").write_text("mine")
    (tmp_path / "mcastd.conf").write_text(
        'groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; socket = true; }; };'
        f'control: {{ socket = "{tmp_path}/sock"; }}; run_directory = "{tmp_path}/run";')
    result = run_mcastd("-c", str(tmp_path / "mcastd.conf"), host=net.host)
    assert result.returncode == 78 and "groups/news is there and is not a socket" in result.stderr
    assert (tmp_path / "run" / "groups" / "news").read_text() == "mine"


def test_a_start_without_enough_descriptors_says_what_failed(net, tmp_path):
    config = tmp_path / "mcastd.conf"
    config.write_text(f"""{CONFIG} handlers: {{ lines: {{ type = "file"; path = "{tmp_path}/lines"; }}; }};
        control: {{ socket = "{tmp_path}/mcastd.sock"; }}; run_directory = "{tmp_path}/run";""")
    for limit in range(4, 60):
        with net.host:
            process = with_us.start(
                ["prlimit", f"--nofile={limit}", MCASTD, "-c", str(config)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL, text=True)
        log, started = [], False
        while not started and (line := process.stderr.readline()):
            log.append(line)
            started = "started: " in line
        process.terminate()
        process.stderr.close()
        process.wait(TIMEOUT)
        if started:
            break
        # libevent's own warnings are not the daemon's.
        assert [line for line in log if "[warn]" not in line], (limit, log)
    assert started and limit > 10


@pytest.mark.parametrize("arguments", [("-c",), ("--check", "-c"), ("233.252.0.1:5004%lo",)], ids=["start", "check", "target"])
def test_a_start_with_a_low_limit_on_the_size_of_files_says_which_to_raise(tmp_path, arguments):
    """The counters are a file in memory; the signal of that limit ends a process without a word."""
    (tmp_path / "mcastd.conf").write_text(f'control: {{ socket = "{tmp_path}/sock"; }}; run_directory = "{tmp_path}/run";')
    path = [str(tmp_path / "mcastd.conf")] if arguments[-1] == "-c" else []
    result = subprocess.run(["prlimit", "--fsize=1048576", MCASTD, *arguments, *path], stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, timeout=TIMEOUT)
    assert result.returncode == (78 if "--check" in arguments else 1)
    assert "File too large; raise the limit on the size of files to 256M (LimitFSIZE=, ulimit -f)\n" in result.stderr + result.stdout
