"""Start, stop, crash, hang: what systemd does with the daemon, and what programs see of it."""

import os
import socket
import threading

import pytest

from harness.peers import has_membership, seqpacket, send
from harness.service import EXAMPLES, RUNNING
from harness.waiting import wait_until

CONFIG = """
groups: {
  news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; socket = true; };
  v6: { address = "ff15::1"; port = 5004; interfaces = ["eth0"]; };
};
"""

BROKEN = 'groups: {\n  news: {\n    adress = "233.252.0.1";\n  };\n};\n'


def assert_receives(service):
    """Both groups are joined and get what is sent, at once: whoever says that it is ready has joined."""
    for name, address in (("news", "233.252.0.1"), ("v6", "ff15::1")):
        assert service.states(name) == {"eth0": "joined"}
        before = service.group(name)["received"]
        send(service.system, b"x", address, 5004, "eth0")
        service.wait_received(name, before + 1)


def many_groups(count):
    groups = "".join(f'g{i}: {{ address = "239.1.{i // 250}.{i % 250 + 1}"; port = 5004; interfaces = ["eth0"]; }};\n'
                     for i in range(count))
    return f"groups: {{ {groups} }};"


def test_a_start_returns_when_every_group_is_joined(service):
    service.start(many_groups(500))
    assert has_membership(service.system, "239.1.1.250")
    assert all(group["memberships"][0]["state"] == "joined" for group in service.call("ListGroups")["groups"])


def test_the_status_says_what_is_joined_and_what_is_waited_for(service):
    service.start('groups: { a: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0", "absent0"]; }; };')
    assert service.show("StatusText") == "1 group: 1 membership joined, 1 waiting, 0 failed"


def test_a_stop_leaves_no_socket_behind_that_is_listened_on_and_is_not_a_failure(service):
    """The file of a group's socket stays, as over a restart: the daemon cannot tell the two from each other."""
    service.start(CONFIG)
    assert service.system.exists("/run/mcastd/groups/news")
    service.systemctl("stop", "mcastd")
    assert service.show("Result") == "success"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as program, pytest.raises(ConnectionRefusedError):
        program.connect(service.system.path("/run/mcastd/groups/news"))
    service.systemctl("stop", "mcastd.socket")
    assert not service.system.exists("/run/mcastd.sock")


def test_a_start_removes_what_a_stop_has_left_of_a_group_that_was_taken_out(service):
    service.start(CONFIG)
    service.systemctl("stop", "mcastd")
    service.start(CONFIG.replace(" socket = true;", ""))
    assert service.system.run("ls", "/run/mcastd/groups") == ""


def test_a_client_of_a_service_that_cannot_start_is_told_where_it_says_why(service):
    service.configure(BROKEN)
    service.systemctl("start", "mcastd.socket")
    status, words = service.system.fail("mcastctl", "status")
    assert status == 3 and "journalctl -u mcastd says why, and mcastd --check" in words, words


def test_a_client_is_told_what_makes_a_removed_control_socket_again(service):
    service.start(CONFIG)
    service.system.remove("/run/mcastd.sock")
    status, words = service.system.fail("mcastctl", "status")
    assert status == 3 and "systemctl restart mcastd.socket" in words, words
    service.systemctl("restart", "mcastd.socket")
    assert_receives(service)


IGNORED = {"user": ('user = "bin"; group = "bin";', "and the daemon runs as mcastd"), "group": ('user = "bin"; group = "bin";', "and the daemon's group is"),
           "control.socket": ('control: { socket = "/run/other.sock"; };', "systemd listens at /run/mcastd.sock")}


@pytest.mark.parametrize("key", IGNORED)
def test_keys_that_the_units_decide_are_a_warning_of_the_check_a_start_and_a_reload(service, key):
    config, words = IGNORED[key]
    warning = f"{key}: warning: it has no effect"
    service.configure(CONFIG + config)
    errors = service.system.try_run("mcastd", "--check").stderr
    assert warning in errors and words in errors, errors
    service.systemctl("start", "mcastd")
    assert service.log().count(warning) == 1 and words in service.log()
    service.reload()
    wait_until(lambda: service.log().count(warning) == 2, "the warning of the reload")


GROUP_SOCKET = "/etc/systemd/system/mcastd-news.socket"


def test_a_stop_also_stops_the_socket_of_a_group_that_systemd_opens(service):
    system = service.system
    system.write(GROUP_SOCKET, system.read(f"{EXAMPLES}/group.socket").decode())
    service.systemctl("daemon-reload")
    try:
        service.systemctl("enable", "--now", "mcastd-news.socket")
        service.start(CONFIG)
        assert service.states("news")["eth0"] == "joined"
        for _ in range(2):
            service.systemctl("stop", "mcastd.socket", "mcastd")
            assert service.show("ActiveState", "mcastd-news.socket") == "inactive"
            service.systemctl("start", "mcastd")
            assert service.show("ActiveState", "mcastd-news.socket") == RUNNING
    finally:
        service.systemctl("disable", "--now", "mcastd-news.socket")
        system.remove(GROUP_SOCKET)


def test_a_client_that_comes_before_the_daemon_starts_it_and_is_answered(service):
    service.configure(CONFIG)
    service.systemctl("start", "mcastd.socket")
    assert service.pid == "0"
    assert [group["name"] for group in service.call("ListGroups")["groups"]] == ["news", "v6"]
    assert_receives(service)
    assert service.show("ActiveState") == RUNNING


def test_no_client_is_refused_while_the_daemon_restarts(service):
    """It may have to wait, or be disconnected before it has its answer."""
    service.start(CONFIG)
    stop = threading.Event()
    answers, refusals = [], []

    def ask():
        while not stop.is_set():
            try:
                answers.append(service.call("GetStatus"))
            except (ConnectionRefusedError, FileNotFoundError, TimeoutError) as error:
                refusals.append(error)
            except (AssertionError, ConnectionResetError, BrokenPipeError):
                pass

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(3):
            service.restart()
            before = len(answers)
            wait_until(lambda: len(answers) > before, "answers of the next daemon")
    finally:
        stop.set()
        asking.join()
    assert refusals == []


def test_a_daemon_that_is_killed_is_started_again_and_receives(service):
    service.start(CONFIG)
    for restarts in range(1, 4):
        pid = service.pid
        service.kill("KILL")
        service.wait_restarted(pid)
        assert service.show("NRestarts") == str(restarts)
        assert_receives(service)


def test_the_directory_of_group_sockets_stays_the_same(service):
    """Containers have it mounted."""
    service.start(CONFIG)
    directory = service.system.path("/run/mcastd/groups")
    inode = os.stat(directory).st_ino

    def assert_same():
        assert os.stat(directory).st_ino == inode
        with seqpacket(f"{directory}/news") as sock:
            sock.send(b"hello")
            assert sock.recv(100) == b"hello"

    service.restart()
    assert_same()
    pid = service.pid
    service.kill("KILL")
    service.wait_restarted(pid)
    assert_same()
    service.systemctl("stop", "mcastd")
    service.systemctl("start", "mcastd")
    assert_same()


def test_a_daemon_that_hangs_is_killed_and_started_again(service):
    service.drop_in("watchdog", "[Service]\nWatchdogSec=1s\nLimitCORE=0\n")
    service.start(CONFIG)
    pid = service.pid
    service.kill("STOP")
    service.wait_restarted(pid)
    assert "Watchdog timeout (limit 1s)!" in service.log()
    assert_receives(service)


def test_a_daemon_that_does_not_hang_says_so_in_time(service):
    service.drop_in("watchdog", "[Service]\nWatchdogSec=1s\n")
    service.start(CONFIG)
    pid = service.pid
    seen = set()
    wait_until(lambda: seen.add(service.show("WatchdogTimestampMonotonic")) or len(seen) > 4, "signs of life")
    assert service.pid == pid


def test_a_wrong_configuration_is_told_and_no_restart_is_tried(service):
    service.configure(BROKEN)
    service.system.fail("systemctl", "start", "mcastd")
    assert service.show("ExecMainStatus") == "78"
    assert service.show("NRestarts") == "0"
    wait_until(lambda: f"{service.configuration}:3: " in service.log(), "the error in the journal")


def test_clients_of_a_wrong_configuration_do_not_start_it_for_ever(service):
    """The socket goes after a few starts, and comes with the next good one."""
    service.configure(BROKEN)
    service.systemctl("start", "mcastd.socket")
    with service.connect():
        wait_until(lambda: service.show("ActiveState", "mcastd.socket") == "failed", "the socket to be given up")
    assert service.show("Result", "mcastd.socket") == "trigger-limit-hit"
    assert 1 < service.log().count("Starting mcastd.service") <= 11
    service.start(CONFIG)
    assert_receives(service)


@pytest.mark.parametrize("unit", ["mcastd.service", "mcastd.socket"])
def test_systemd_warns_of_nothing_in_the_units(service, unit):
    service.start(CONFIG)
    warned = [entry["MESSAGE"] for entry in service.system.entries(f"UNIT={unit}", "PRIORITY=4", "PRIORITY=3",
                                                                   since=service.since)]
    assert warned == []
