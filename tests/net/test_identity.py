"""A daemon that root starts by hand, and that becomes another user."""

import grp
import os
import pathlib
import pwd
import shutil
import socket
import stat
import subprocess
import tempfile

import pytest

from harness.daemon import MCASTD, run_mcastd
from harness.peers import receive, seqpacket, send, tutorial_receiver
from harness.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.skipif(
    open("/proc/self/uid_map").read().split()[2] == "1", reason="in a user namespace of one user, there is no other")

USER = "nobody"

CONFIG = """
groups: {
  ptp:  { address = "224.0.1.129"; port = 319; interfaces = ["eth0"]; handlers = ["raw"]; receive_buffer = "32M"; };
  news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; socket = true; };
};
handlers: { raw: { type = "file"; path = "$DIR/files/raw"; format = "raw"; flush = "0s"; }; };
user = "nobody";
"""


def without_leak_check():
    """Where fs.suid_dumpable is 2, a process that has changed its user cannot be traced, and LeakSanitizer gives it up with an
    error (proc_sys_fs(5), ptrace(2)). Elsewhere leaks are looked for here, too."""
    with open("/proc/sys/fs/suid_dumpable") as setting:
        if setting.read().strip() != "2":
            return ()
    return "env", f"ASAN_OPTIONS={os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0"


@pytest.fixture
def place():
    """A directory that the user can reach. pytest's own are closed whenever another one starts."""
    with tempfile.TemporaryDirectory(prefix="mcastd-") as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


@pytest.fixture
def daemon(place, start):
    files = place / "files"
    files.mkdir()
    for path in (place, files):
        os.chown(path, pwd.getpwnam(USER).pw_uid, -1)
    return start(CONFIG, directory=str(place), wrapper=without_leak_check())


def statuses(daemon):
    """/proc/PID/status of each thread."""
    for thread in os.listdir(f"/proc/{daemon.process.pid}/task"):
        with open(f"/proc/{daemon.process.pid}/task/{thread}/status") as file:
            yield dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def test_no_thread_has_any_right_of_root_left(daemon):
    user, threads = pwd.getpwnam(USER), list(statuses(daemon))
    assert len(threads) > 1
    for status in threads:
        assert status["Uid"].split() == [str(user.pw_uid)] * 4
        assert status["Gid"].split() == [str(user.pw_gid)] * 4
        assert "0" not in status["Groups"].split()
        assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {0}


def test_groups_on_ports_under_1024_are_joined_with_the_buffers_that_they_want(daemon, net):
    assert daemon.membership("ptp", "eth0")["state"] == "joined"
    assert daemon.membership("ptp", "eth0")["receiveBuffer"] == 32 << 20
    send(net.peer, b"x", "224.0.1.129", 319)
    daemon.wait_arrived("ptp", 1)


def test_files_are_the_users(daemon, net):
    send(net.peer, b"x", "224.0.1.129", 319)
    wait_until(lambda: os.path.exists(daemon.path("files", "raw")), "the file")
    for path in (daemon.path("files", "raw"), daemon.path("run"), daemon.group_path("news")):
        assert os.stat(path).st_uid == pwd.getpwnam(USER).pw_uid


def test_group_sockets_work_and_a_reload_makes_more_of_them(daemon, net):
    with seqpacket(daemon.group_path("news")) as sock, tutorial_receiver(net.peer, "233.252.0.1", 5004) as peer:
        sock.send(b"out")
        assert receive(peer) == [b"out"]
    daemon.write_config(CONFIG.replace("receive_buffer", "socket = true; receive_buffer"))
    daemon.ctl("reload")
    assert os.path.exists(daemon.group_path("ptp"))


def test_root_without_a_user_says_that_it_stays_root_and_what_to_write(start, daemon):
    assert "stays root" not in daemon.log()
    staying = start()
    assert f'stays root: write user = "mcastd"; into {staying.config_path}' in staying.log()


def test_root_makes_what_the_user_may_not_where_only_root_can_change_it(start, place):
    daemon = start(CONFIG.replace("$DIR/files/raw", "/dev/null"), directory=str(place), wrapper=without_leak_check())
    assert os.stat(daemon.control_path).st_uid == 0
    assert stat.S_IMODE(os.stat(daemon.control_path).st_mode) == 0o666
    for path in (daemon.path("run"), daemon.path("run", "groups"), daemon.group_path("news")):
        assert os.stat(path).st_uid == pwd.getpwnam(USER).pw_uid
    daemon.process.terminate()
    assert daemon.process.wait(TIMEOUT) == 0
    os.unlink(daemon.control_path)  # the user may not: the next start does it


def test_the_user_cannot_change_while_it_runs(daemon):
    daemon.write_config(CONFIG.replace('user = "nobody"', 'user = "daemon"'))
    assert f"{daemon.config_path}:7: user: cannot change from nobody to daemon while the daemon runs; restart it" in daemon.ctl("reload", status=1)


def test_a_user_that_there_is_not_is_refused(net, tmp_path):
    (tmp_path / "mcastd.conf").write_text(f'user = "nosuchuser"; control: {{ socket = "{tmp_path}/mcastd.sock"; }};')
    result = run_mcastd("-c", str(tmp_path / "mcastd.conf"), host=net.host)
    assert result.returncode == 78 and f"{tmp_path}/mcastd.conf:1: user: this system has no user nosuchuser: useradd" in result.stderr


def test_root_that_may_not_switch_says_what_to_give_it(net, place):
    path = place / "mcastd.conf"
    path.write_text(f'user = "{USER}"; control: {{ socket = "{place}/sock"; }}; run_directory = "{place}/run";')
    with net.host:
        result = subprocess.run(["setpriv", "--bounding-set=-setuid,-setgid", "--no-new-privs", MCASTD, "-c", path],
                                capture_output=True, text=True, timeout=TIMEOUT)
    assert result.returncode == 78
    assert "switching to user nobody: Operation not permitted" in result.stderr
    assert "--cap-add SETUID,SETGID" in result.stderr and "remove user and start mcastd as nobody" in result.stderr


def test_a_check_sees_with_the_eyes_of_the_user(net, tmp_path):
    directory = tempfile.mkdtemp(prefix="mcastd-")
    environment = {**os.environ, **dict(word.split("=", 1) for word in without_leak_check()[1:])}
    try:
        os.chmod(directory, 0o755)
        os.mkdir(f"{directory}/conf.d")
        for name, text in {"roots": "", "conf.d/secret.conf": ""}.items():
            with open(f"{directory}/{name}", "w") as file:
                file.write(text)
            os.chmod(f"{directory}/{name}", 0o600)
        config = f'''user = "{USER}"; run_directory = "{directory}/run"; control: {{ socket = "{directory}/socket"; }};
            handlers: {{ a: {{ type = "file"; path = "{directory}/roots"; }};
            b: {{ type = "file"; path = "{directory}/new"; }}; }};'''
        with open(f"{directory}/mcastd.conf", "w") as file:
            file.write(config)
        for refused in (f"conf.d/secret.conf: cannot open it: Permission denied for user {USER}", "roots: Permission denied; the daemon's user"):
            result = run_mcastd("-c", f"{directory}/mcastd.conf", "--check", host=net.host, env=environment)
            assert result.returncode == 78 and refused in result.stderr, result.stderr
            assert f"(checked as user {USER})" in result.stderr
            os.chmod(f"{directory}/conf.d/secret.conf", 0o644)
        assert f"opening {directory}/new: Permission denied" in result.stderr
        os.chown(directory, pwd.getpwnam(USER).pw_uid, -1)
        os.chown(f"{directory}/roots", pwd.getpwnam(USER).pw_uid, -1)
        result = run_mcastd("-c", f"{directory}/mcastd.conf", "--check", host=net.host, env=environment)
        assert result.returncode == 0, result.stderr
    finally:
        shutil.rmtree(directory)


def run_as_user(net, place, *options):
    """Where the start is refused, the process is not another user for good yet: see without_leak_check()."""
    environment = {**os.environ, "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0"}
    return run_mcastd("-c", str(place / "mcastd.conf"), *options, host=net.host, env=environment)


def leave_socket(path):
    """What a daemon leaves that was killed."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    os.chmod(path, 0o666)


# What keeps root from making the control socket, or run_directory, for the user.
OBSTACLES = {
    "directory-of-another-user": (lambda d: os.chown(d, 1, 1), "belongs to user 1, who could replace it"),
    "directory-that-a-group-may-write-to": (lambda d: os.chmod(d, 0o775), "lets others than root replace what is in it"),
    "socket-of-root-in-a-sticky-directory": (
        lambda d: (os.chmod(d, 0o1777), leave_socket(d / "socket")), "it is a socket that nobody listens on: have its owner or root remove it"),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_a_check_refuses_the_control_socket_that_the_start_refuses(net, place, name):
    prepare, words = OBSTACLES[name]
    (place / "d").mkdir()
    prepare(place / "d")
    (place / "mcastd.conf").write_text(f'user = "{USER}"; control: {{ socket = "{place}/d/socket"; }}; run_directory = "{place}/run";')
    check, start = run_as_user(net, place, "--check"), run_as_user(net, place)
    assert check.returncode == 78 and start.returncode == 1, check.stdout + start.stderr
    said = [line for line in check.stderr.splitlines() if "control socket: " in line]
    assert len(said) == 1 and words in said[0] and said[0] in start.stderr, check.stderr + start.stderr
    assert said[0].startswith(f"{place}/mcastd.conf:1: control socket: ")


def test_a_check_refuses_the_run_directory_that_the_start_refuses(net, place):
    (place / "d").mkdir()
    os.chown(place / "d", 1, 1)
    (place / "mcastd.conf").write_text(f'user = "{USER}"; control: {{ socket = "{place}/socket"; }}; run_directory = "{place}/d/run";')
    for option in (["--check"], []):
        result = run_as_user(net, place, *option)
        assert result.returncode == 78 and f"{place}/mcastd.conf:1: making run_directory" in result.stderr
        assert "belongs to user 1, who could replace it: let it belong to root; make it first: install -d" in result.stderr


# What a start as root can read and a reload as the user cannot: what is closed, its mode, and what is said.
CLOSED = {
    "file": ("mcastd.conf", 0o600, "mcastd.conf: cannot open it: ", "chmod g+r, this file"),
    "file-of-conf.d": ("conf.d/a.conf", 0o600, "conf.d/a.conf: cannot open it: ", "chmod g+r, this file"),
    "conf.d": ("conf.d", 0o700, "conf.d: cannot read the directory: ", "chmod g+rx, this directory"),
}


@pytest.mark.parametrize("name", CLOSED)
def test_a_check_names_what_the_user_cannot_read_and_the_remedy_mends_it(net, place, name):
    closed, mode, what, remedy = CLOSED[name]
    (place / "conf.d").mkdir()
    (place / "conf.d" / "a.conf").write_text("")
    (place / "mcastd.conf").write_text(f'user = "{USER}"; control: {{ socket = "{place}/socket"; }}; run_directory = "{place}/run";')
    os.chmod(place / closed, mode)
    result = run_as_user(net, place, "--check")
    group = grp.getgrgid(pwd.getpwnam(USER).pw_gid).gr_name
    assert result.returncode == 78
    assert f"{what}Permission denied for user {USER}, who runs the daemon: chgrp {group}, and {remedy}" in result.stderr
    os.chown(place / closed, -1, pwd.getpwnam(USER).pw_gid)
    os.chmod(place / closed, mode | (0o050 if closed == "conf.d" else 0o040))
    result = run_as_user(net, place, "--check")
    assert result.returncode == 0, result.stderr


def test_a_check_names_the_directory_that_the_user_cannot_search(net, place):
    (place / "mcastd.conf").write_text(f'user = "{USER}"; control: {{ socket = "{place}/socket"; }}; run_directory = "/run/mcastd";')
    os.chmod(place, 0o700)
    result = run_as_user(net, place, "--check")
    assert result.returncode == 78 and f"chmod g+x, the directory {place}\n" in result.stderr, result.stderr


def test_a_reload_names_who_cannot_read_the_file_and_the_remedy(daemon):
    os.chmod(daemon.config_path, 0o600)
    said = daemon.ctl("reload", status=1)
    assert f"Permission denied for user {USER}, who runs the daemon: chgrp " in said and "chmod g+r, this file" in said


def test_a_check_leaves_no_run_directory_behind(net, place):
    (place / "mcastd.conf").write_text(f'''user = "{USER}"; control: {{ socket = "{place}/socket"; }}; run_directory = "{place}/run";
        groups: {{ news: {{ address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; socket = true; }}; }};''')
    result = run_as_user(net, place, "--check")
    assert result.returncode == 0 and f"checked as user {USER}" in result.stdout, result.stderr
    assert os.listdir(place) == ["mcastd.conf"]
