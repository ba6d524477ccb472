"""More memberships than there are descriptors: they fail and say why, and the daemon can still be asked and changed."""

import os
import resource
import select
import socket
import subprocess

import pytest

from harness.daemon import MCASTD
from harness.strangers import as_stranger, skip_without_strangers
from harness.waiting import wait_until

LIMIT = 128
FIX = "LimitNOFILE="


def groups(count, keys=""):
    return "groups: {" + "".join(
        f'g{i}: {{ address = "233.252.{i // 250}.{i % 250}"; port = 5004; interfaces = ["eth0", "eth1"]; '
        f'{keys.replace("NUMBER", str(4000 + i))} }};'
        for i in range(count)) + "};\n"


def limited(limit=LIMIT):
    return ("prlimit", f"--nofile={limit}:{limit}")


@pytest.fixture
def crowded(start):
    """A daemon that wants twice the memberships that it has descriptors for, and that nobody is connected to."""
    daemon = start(groups(LIMIT), wrapper=limited())
    daemon.control.close()
    daemon.control = None
    yield daemon
    daemon.control = daemon.connect()


def run(net, tmp_path, config, limit, *options):
    """Runs mcastd, which has to end, with few descriptors. Returns its status and lines."""
    path = tmp_path / "mcastd.conf"
    path.write_text(f'{config}control: {{ socket = "{tmp_path}/mcastd.sock"; }}; run_directory = "{tmp_path}/run";\n')
    with net.host:
        result = subprocess.run([*limited(limit), MCASTD, "-c", path, *options], capture_output=True, text=True, timeout=60)
    return result.returncode, result.stderr.splitlines()


def check(*arguments):
    return run(*arguments, "--check")


def memberships(daemon):
    with daemon.connect() as control:
        return [membership for group in control.call("ListGroups")["groups"] for membership in group["memberships"]]


def try_again(net, count):
    """Has the daemon try again what has failed on eth0."""
    net.host.ip(f"address {'delete' if count % 2 else 'add'} 198.51.100.1/32 dev eth0")


def test_root_is_answered_each_time_while_memberships_are_tried_again(net, crowded):
    for i in range(60):
        try_again(net, i)
        assert crowded.ctl("status").startswith("version")


def test_a_membership_without_a_descriptor_is_shown_as_failed_with_the_reason_and_what_mends_it(crowded):
    failed = [membership for membership in memberships(crowded) if membership["state"] == "failed"]
    assert failed
    assert all(FIX in membership["error"] and f"of {LIMIT}, the last" in membership["error"] for membership in failed)
    assert f"of {LIMIT}, the last" in crowded.ctl("groups")


def test_memberships_leave_descriptors_for_connections_and_reloads(net, crowded):
    reserved = 3 * LIMIT // 16
    wait_until(lambda: len(os.listdir(f"/proc/{crowded.process.pid}/fd")) <= LIMIT - reserved, "the reserve to be free")
    joined = sum(membership["state"] == "joined" for membership in memberships(crowded))
    assert joined > LIMIT // 2
    for i in range(4):
        try_again(net, i)
    assert sum(membership["state"] == "joined" for membership in memberships(crowded)) == joined


def test_a_reload_finds_descriptors_and_frees_those_of_groups_that_it_removes(crowded):
    crowded.write_config(groups(10))
    crowded.ctl("reload")
    wait_until(lambda: all(membership["state"] == "joined" for membership in memberships(crowded)), "all to be joined")
    assert len(memberships(crowded)) == 20


def test_users_without_privilege_are_answered_too(crowded):
    skip_without_strangers()
    assert as_stranger(crowded, 'print(call(connect(), "GetStatus"))') == ["ok"]


def test_memberships_are_joined_once_the_limit_is_raised(start):
    daemon = start(groups(1), wrapper=limited(1024))
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (LIMIT, 1024))
    daemon.write_config(groups(LIMIT))
    daemon.ctl("reload")
    assert any(membership["state"] == "failed" for membership in memberships(daemon))
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (1024, 1024))
    wait_until(lambda: all(membership["state"] == "joined" for membership in memberships(daemon)), "all to be joined")


def test_a_way_out_without_a_descriptor_says_why(start):
    daemon = start(groups(LIMIT, "source_port = NUMBER;"), wrapper=limited())
    failed = daemon.ctl("send", f"g{LIMIT - 1}", "hello", status=1)
    assert FIX in failed


# Checking: what would stop a start, and what would not


def test_check_warns_of_memberships_that_would_fail_and_counts_those_of_each_interface(net, tmp_path):
    status, lines = check(net, tmp_path, groups(60), LIMIT)
    assert status == 0 and len(lines) == 1
    assert "60 groups have 120 memberships" in lines[0] and FIX in lines[0]


def test_check_warns_of_nothing_where_all_memberships_fit(net, start, tmp_path):
    assert check(net, tmp_path, groups(40), LIMIT) == (0, [])
    daemon = start(groups(40), wrapper=limited())
    assert all(membership["state"] == "joined" for membership in memberships(daemon))


@pytest.mark.parametrize("act", [check, run])
def test_group_sockets_that_find_no_descriptor_are_one_error_of_check_and_of_a_start(net, tmp_path, act):
    status, lines = act(net, tmp_path, groups(60, "socket = true;"), 64)
    errors = [line for line in lines if FIX in line]
    assert status == 78 and len(errors) == 1 and "groups.g" in errors[0] and "warning" not in errors[0]


def test_check_and_a_start_agree_on_the_last_group_whose_sockets_fit(net, start, tmp_path):
    def config(count):
        return groups(count, "socket = true;")

    most = next(count for count in range(10, 30) if check(net, tmp_path, config(count + 1), 64)[0])
    assert run(net, tmp_path, config(most + 1), 64)[0] == 78
    assert start(config(most), wrapper=limited(64)).call("GetStatus")["groups"] == most


def test_group_sockets_come_before_memberships(net, start, tmp_path):
    config = groups(30, "socket = true;")
    status, lines = check(net, tmp_path, config, LIMIT)
    assert status == 0 and "60 group sockets" in lines[0]
    daemon = start(config, wrapper=limited())
    states = [membership["state"] for membership in memberships(daemon)]
    assert {"joined", "failed"} == set(states)


def test_a_reload_with_too_many_group_sockets_is_refused_and_changes_nothing(crowded):
    crowded.write_config(groups(LIMIT, "socket = true;"))
    assert FIX in crowded.ctl("reload", status=1)
    assert crowded.ctl("status").startswith("version")


# A daemon that reads nothing


def test_mcastctl_says_that_the_daemon_reads_nothing_and_waits_on_but_not_where_it_has_read(start):
    daemon = start(groups(1))
    tail = daemon.start_tail("g0")
    daemon.pause()
    status = daemon.ctl_start("status", text=True)
    try:
        line = status.stderr.readline()
        assert daemon.control_path in line and "has not read this for 5 s" in line and "log" in line
        assert status.poll() is None
        assert not select.select([tail.stderr], [], [], 0)[0]
    finally:
        daemon.resume()
    output, errors = status.communicate(timeout=60)
    assert output.startswith("version") and not errors and status.returncode == 0
    tail.kill()
    tail.communicate()


def test_mcastctl_says_so_as_well_where_its_connection_waits_for_others(start, net):
    daemon = start(groups(1))
    daemon.pause()
    others = []
    try:
        with pytest.raises(BlockingIOError):
            while True:
                others.append(socket.socket(socket.AF_UNIX))
                others[-1].setblocking(False)
                others[-1].connect(daemon.control_path)
        process = daemon.ctl_start("status", text=True)
        assert "has not read this for 5 s" in process.stderr.readline()
        assert process.poll() is None
    finally:
        for other in others:
            other.close()
        daemon.resume()
    output, errors = process.communicate(timeout=60)
    assert output.startswith("version") and not errors and process.returncode == 0
