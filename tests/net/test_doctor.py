"""The command line of mcastctl doctor: what it takes, prints and exits with. Whether it finds the causes is in doctor/."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading

import pytest

from harness.daemon import MCASTCTL
from harness.peers import tutorial_sender
from harness.strangers import NOBODY
from harness.waiting import wait_until

pytestmark = pytest.mark.waits

CONFIG = """
groups: {
  news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; };
  quiet: { address = "233.252.0.2"; port = 5005; interfaces = ["eth0"]; };
};
"""
# Of no group of the daemon: what another program has joined cannot be reported again.
ADDRESS = "233.252.0.9"
TARGET = f"{ADDRESS}:5004%eth0"


@pytest.fixture(scope="module")
def reachable():
    """A copy that nobody may run, too."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        yield shutil.copy(MCASTCTL, directory)


def doctor(net, *arguments, status, more=(), program=MCASTCTL, **options):
    with net.host:
        result = subprocess.run([program, *more, "doctor", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, timeout=20, cwd="/",
                                env={**os.environ, "MCASTD_SOCKET": "/nonexistent"}, **options)
    assert result.returncode == status, result
    return result.stdout if status < 2 else result.stderr


def report_of(net, *arguments, status, more=(), **options):
    return json.loads(doctor(net, *arguments, status=status, more=["--json", *more], **options))


@contextlib.contextmanager
def sending(net, address=ADDRESS):
    """A datagram each 20 ms."""
    ended = threading.Event()

    def run():
        with tutorial_sender(net.peer, address) as sock:
            while not ended.wait(0.02):
                sock.sendto(b"x", (address, 5004))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_target_that_arrives_is_healthy_and_exits_with_0(net):
    with sending(net):
        report = report_of(net, TARGET, "--wait", "500ms", status=0)
    membership, = report["memberships"]
    assert report["privileged"] is True
    assert membership["received"] >= membership["onWire"] > 0
    assert {**membership, "received": 1, "onWire": 1} == {
        "group": TARGET, "address": ADDRESS, "port": 5004, "interface": "eth0", "verdict": "delivered", "received": 1,
        "onWire": 1, "findings": [], "notes": []}


def test_a_target_that_is_silent_exits_with_1_and_says_what_to_do(net):
    words = doctor(net, TARGET, "--wait", "100ms", status=1)
    assert words.startswith(f"{TARGET}: the network brought nothing in 1.6s\n")
    assert "\n  cause     not-on-wire: nothing comes in on the wire" in words
    assert "\n  evidence  on the wire 0; reports sent " in words
    assert "\n  fix       # on the sender's host: mcastctl doctor --send 233.252.0.9:5004%NAME\n" in words


def test_without_privilege_it_is_host_or_network(net, reachable):
    report = report_of(net, TARGET, "--wait", "100ms", status=1, program=reachable, user=NOBODY, group=NOBODY, extra_groups=[])
    membership, = report["memberships"]
    finding, = membership["findings"]
    assert report["privileged"] is False and membership["onWire"] is None and membership["verdict"] == "unknown"
    assert (finding["cause"], finding["certain"]) == ("host-or-network", False)
    assert finding["fix"] == [f"sudo mcastctl doctor {TARGET}"]


def test_all_groups_of_the_daemon_are_told_by_name(daemon, net):
    with sending(net, "233.252.0.1"):
        report = report_of(net, "--wait", "300ms", status=1, more=["-s", daemon.control_path])
    assert [(each["group"], each["verdict"]) for each in report["memberships"]] == [("news", "delivered"), ("quiet", "network")]


def test_a_group_needs_the_daemon(net):
    assert "no mcastd at /nonexistent" in doctor(net, "news", status=3)
    assert "no mcastd at /nonexistent" in doctor(net, status=3)


@pytest.mark.parametrize("command", [("doctor", TARGET, "--wait", "100ms"), ("send", TARGET, "x"), ("tail", TARGET, "--count", "1")],
                         ids=lambda command: command[0])
def test_a_target_does_not_wait_for_a_daemon_that_is_stopped(daemon, net, command):
    os.kill(daemon.process.pid, signal.SIGSTOP)
    try:
        with sending(net), net.host:
            result = subprocess.run([MCASTCTL, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    text=True, timeout=60, env={**os.environ, "MCASTD_SOCKET": daemon.control_path})
    finally:
        os.kill(daemon.process.pid, signal.SIGCONT)
    assert result.returncode == 0, result
    assert f"does not answer: '{TARGET}' is taken for a TARGET" in result.stderr


def test_a_group_that_the_daemon_does_not_have_is_named(daemon, net):
    with net.host:
        result = subprocess.run([MCASTCTL, "-s", daemon.control_path, "doctor", "none"], stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1 and "none" in result.stderr


@pytest.mark.parametrize("change", [("port = 5004", "port = 5006"), ("233.252.0.1", "233.252.0.7"), ('["eth0"]', '["eth1"]'), ("news", "olds")],
                         ids=["port", "address", "interface", "name"])
def test_a_group_that_is_reloaded_meanwhile_is_not_judged(daemon, net, change):
    with sending(net, "233.252.0.1"), net.host:
        child = subprocess.Popen([MCASTCTL, "-s", daemon.control_path, "doctor", "--wait", "10m"], text=True, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until(lambda: net.host.run("cat", "/proc/net/packet").count("\n") > 1, "the look at the wire")
        daemon.write_config(CONFIG.replace(*change, 1))
        daemon.ctl("reload")
        child.send_signal(signal.SIGINT)
        output, errors = child.communicate(timeout=60)
    daemon.write_config(CONFIG)
    daemon.ctl("reload")
    assert child.returncode == 1 and "group news on eth0 was changed or removed meanwhile: ask again" in errors
    assert "news" not in output and "quiet" in output and "quiet" not in errors


@pytest.mark.parametrize("arguments, reason", [
    (["--wait", "soon"], "'soon' is not a duration"), (["--wait", "2h"], "at most an hour"),
    (["--send"], "--send needs a GROUP or a TARGET"), (["a", "b"], "too many arguments")])
def test_wrong_usage_is_explained(net, arguments, reason):
    assert reason in doctor(net, *arguments, status=2)


def test_what_is_sent_says_who_sent_it_and_is_no_traffic(net):
    report = report_of(net, TARGET, "--wait", "100ms", "--send", status=0)
    assert report["memberships"][0]["findings"] == []
    assert "sent" in [note["cause"] for note in report["memberships"][0]["notes"]]


def test_an_interrupt_ends_it_with_what_was_seen(net):
    with sending(net), net.host:
        child = subprocess.Popen([MCASTCTL, "--json", "doctor", TARGET, "--wait", "1m"], stdout=subprocess.PIPE, text=True)
        wait_until(lambda: ADDRESS in net.host.run("ip", "maddress", "show", "dev", "eth0"), "the join")
        child.send_signal(signal.SIGINT)
        output, _ = child.communicate(timeout=10)
    assert child.returncode in (0, 1)
    assert json.loads(output)["memberships"][0]["interface"] == "eth0"


def test_handlers_that_fail_and_one_that_its_rate_limits_are_told_apart(start, net):
    daemon = start("""
      groups: { mixed: { address = "233.252.0.3"; port = 5004; interfaces = ["eth0"]; handlers = ["disk", "gone", "some"]; }; };
      handlers: { disk: { type = "file"; path = "/dev/full"; };
                  gone: { type = "unix"; path = "$DIR/gone"; };
                  some: { type = "file"; path = "$DIR/some"; rate = "1/s"; }; };""")
    with sending(net, "233.252.0.3"):
        wait_until(lambda: daemon.handler("disk")["error"] and daemon.handler("gone")["error"], "both to fail")
        before = daemon.handler("some")["dropped"]["rate"]
        report = report_of(net, "mixed", "--wait", "1s", status=1, more=["-s", daemon.control_path])
        after = daemon.handler("some")["dropped"]["rate"]
    findings = {finding["cause"]: finding for finding in report["memberships"][0]["findings"]}
    assert set(findings) == {"handler-fails", "handler-limits"}
    fails, limits = findings["handler-fails"], findings["handler-limits"]
    for words in ("the handler disk delivers nothing: /dev/full: writing: No space left on device",
                  f"the handler gone delivers nothing: connecting to {daemon.path('gone')}: No such file or directory"):
        assert words in fails["message"]
    assert limits["message"] == "the group receives, and the handler some drops: its rate is less than what comes"
    assert limits["evidence"]["reason"] == "rate" and 0 < limits["evidence"]["dropped by handlers"] <= after - before
