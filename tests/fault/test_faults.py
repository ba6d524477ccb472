"""Each call that the daemon makes fails: while it starts, while it works, while it stops.

After each, the daemon lives, or says why it does not; every datagram is accounted for; who asked gets an answer; and when
the fault is over, everything works again. How many calls of a name fail one by one, FAULT_POINTS says, or "all".
"""

import os

import pytest

from fault.calls import CALLS
from fault.lab import ALWAYS, GROUPS, Lab
from harness.daemon import SANITIZER_REPORT
from harness.peers import receiver_on, send
from harness.waiting import wait_until

# Of each name, error and phase, this many calls fail one after the other, spread over all that there are.
POINTS = os.environ.get("FAULT_POINTS", "20")
BURST = 50

EVERY_CALL = pytest.mark.parametrize("name", CALLS)


def spread(count):
    """Which of so many calls fail."""
    limit = count if POINTS == "all" else min(count, int(POINTS))
    return [index * count // limit for index in range(limit)]


class Findings(list):
    """What was wrong, all of it: a test goes on, with another daemon if need be."""

    def __init__(self, lab):
        super().__init__()
        self.lab = lab

    def add(self, where, what):
        log = self.lab.log() if self.lab.daemon else []
        reports = [number for number, line in enumerate(log) if SANITIZER_REPORT.search(line)]
        shown = log[reports[0]:reports[0] + 16] if reports else log[-3:]
        self.append("\n    ".join([f"{where}: {what}", *(line[:200] for line in shown)]))

    def check(self):
        assert not self, f"{len(self)} findings:\n" + "\n".join(self)


def say_why(lab, error):
    """None when the daemon ended with a line that says why, else what is wrong with that."""
    status, log = lab.daemon.process.returncode, lab.log()
    if status is None:
        return "does not end"
    if status not in (1, 78):
        return f"ended with {status}"
    if not log:
        return f"ended with {status} without a word"
    if error != "SHORT" and not log[-1].rpartition(": ")[2].strip():
        return "says nothing of the reason"
    return None


def unexplained(errors):
    return [error for error in errors if not any(str(value) for value in error[1].values())]


def judge(lab, findings, where, before, errors, phase):
    """What one fault did to a running daemon. Returns False when another one is needed."""
    if lab.daemon.process.poll() is not None:
        findings.add(where, say_why(lab, "") or "ended, though it ran")
        return False
    if unexplained(errors):
        findings.add(where, f"answers without a reason: {unexplained(errors)}")
    try:
        if phase == "reload" and errors:
            lab.changed = "d" in lab.names()[0]
            if errors[0][0].endswith("ReloadFailed") and lab.names() != before:
                findings.add(where, f"a refused reload changed {before} to {lab.names()}")
        if lab.unbalanced():
            findings.add(where, str(lab.unbalanced()))
        if not lab.is_ready():
            findings.add(where, "the service manager is not told that it is ready")
    except (AssertionError, OSError) as error:
        findings.add(where, f"does not answer: {error!r}")
        return False
    return True


def recovers(lab, findings, where):
    try:
        lab.assert_recovers()
        return True
    except (AssertionError, OSError) as error:
        findings.add(where, str(error) or repr(error))
        return False


def renew(lab):
    lab.close()
    lab.start()


def survived(lab, findings, where):
    """Whether it still answers; what a fault did may show only now."""
    try:
        return lab.names()
    except (AssertionError, OSError) as error:
        findings.add(f"before {where}", f"does not answer: {error!r}")
        return None


def fail(lab, findings, where, phase, name, error, skip, count=1):
    """Returns how many calls failed."""
    before = survived(lab, findings, where)
    if not before:
        renew(lab)
        before = lab.names()
    lab.shim.arm(name, error, skip, count)
    errors = Lab.PHASES[phase](lab)
    _, injected = lab.shim.disarm()
    if not judge(lab, findings, where, before, errors, phase):
        renew(lab)
    return injected


def count_calls(lab, phase, name):
    """How many calls of the name there are in two rounds of a phase, as one changes what the other changes back."""
    lab.shim.arm(name, "EIO", skip=ALWAYS)
    Lab.PHASES[phase](lab)
    Lab.PHASES[phase](lab)
    return lab.shim.disarm()[0]


def finish(lab, findings):
    if lab.daemon and lab.daemon.process.poll() is None and lab.stop() != 0:
        findings.add("at the end", f"ended with {lab.daemon.process.returncode}")
    lab.assert_sound()
    lab.close()
    findings.check()


def test_the_first_call_of_each_name_fails_and_the_daemon_recovers(lab):
    """The short round, of one error each."""
    findings = Findings(lab)
    lab.start()
    for name, errors in CALLS.items():
        error = errors.split()[0]
        for phase in Lab.PHASES:
            fail(lab, findings, f"{phase}, {name}: {error}", phase, name, error, 0)
        if not recovers(lab, findings, f"after {name}: {error}"):
            renew(lab)
    finish(lab, findings)


@pytest.mark.long
@EVERY_CALL
def test_any_call_fails_in_a_running_daemon(lab, say, name):
    findings = Findings(lab)
    lab.start()
    injected = 0
    for error in CALLS[name].split():
        for phase in Lab.PHASES:
            for skip in spread(count_calls(lab, phase, name)):
                injected += fail(lab, findings, f"{phase}, {name} {skip}: {error}", phase, name, error, skip)
            if not recovers(lab, findings, f"after {phase}, {name}: {error}"):
                renew(lab)
    say(f"{name}: {injected} faults in a running daemon")
    finish(lab, findings)


@pytest.mark.long
@EVERY_CALL
def test_many_calls_fail_in_a_running_daemon(lab, say, name):
    findings = Findings(lab)
    lab.start()
    injected = 0
    for error in CALLS[name].split():
        for phase in Lab.PHASES:
            where = f"{phase}, {name} many times: {error}"
            injected += fail(lab, findings, where, phase, name, error, 0, BURST)
            if not recovers(lab, findings, f"after {where}"):
                renew(lab)
    say(f"{name}: {injected} faults in bursts")
    finish(lab, findings)


def judge_start(lab, findings, where, error):
    """Starts a daemon with the fault. Returns how many calls failed."""
    lab.start(wait=False)
    try:
        answers = lab.comes_up()
    except AssertionError:
        findings.add(where, "neither answers nor ends")
        return lab.shim.disarm()[1]
    injected = lab.shim.disarm()[1]
    if not answers and (wrong := say_why(lab, error)):
        findings.add(where, wrong)
    if answers and not lab.is_ready():
        findings.add(where, "the service manager is not told that it is ready")
    if answers and recovers(lab, findings, where) and lab.stop() != 0:
        findings.add(where, f"ended with {lab.daemon.process.returncode}")
    lab.assert_sound()
    return injected


@pytest.mark.long
@EVERY_CALL
def test_any_call_fails_at_the_start(lab, say, name):
    findings = Findings(lab)
    lab.shim.arm(name, "EIO", skip=ALWAYS)
    lab.start()
    count, injected = lab.shim.disarm()[0], 0
    for error in CALLS[name].split():
        for skip in spread(count):
            lab.close()
            lab.shim.arm(name, error, skip)
            injected += judge_start(lab, findings, f"start, {name} {skip}: {error}", error)
    say(f"{name}: {injected} faults at the start")
    lab.close()
    findings.check()


@pytest.mark.long
@EVERY_CALL
def test_any_call_fails_at_the_stop(lab, say, name):
    findings = Findings(lab)
    lab.start()
    lab.traffic()
    lab.shim.arm(name, "EIO", skip=ALWAYS)
    lab.stop()
    count, injected = lab.shim.disarm()[0], 0
    for error in CALLS[name].split():
        for skip in spread(count):
            lab.close()
            lab.start()
            lab.traffic()
            lab.shim.arm(name, error, skip)
            if lab.stop() != 0 and (wrong := say_why(lab, error)):
                findings.add(f"stop, {name} {skip}: {error}", wrong)
            injected += lab.shim.disarm()[1]
            lab.assert_sound()
    say(f"{name}: {injected} faults at the stop")
    lab.close()
    findings.check()


def reply_port(lab):
    """Where replies to group a are read: what is sent to it comes from there."""
    with receiver_on(lab.net.peer, "239.1.1.1", 5001, "eth0") as device:
        assert not lab.call("Send", group="a", text="who is there?")
        while True:
            data, source = device.recvfrom(100)
            if data == b"who is there?":
                return source[1]


def test_what_the_kernel_does_not_let_be_read_is_told_and_tried_again_slowly(lab):
    """As with a seccomp filter, or a security module, that forbids recvmmsg(2): the sockets stay readable."""
    def memberships(interface):
        return [membership for group in lab.stats()["groups"] if group["name"] in GROUPS
                for membership in group["memberships"] if membership["interface"] == interface]

    lab.start()
    lab.send()
    port = reply_port(lab)
    lab.shim.arm("recvmmsg", "EACCES", fail=ALWAYS)
    lab.send()
    send(lab.net.peer, b"a reply", lab.net.host.v4, port)
    wait_until(lambda: {membership["state"] for membership in memberships("eth0")} == {"failed"}, "all that get datagrams")
    wait_until(lambda: any("group a: replies on eth0: what arrives cannot be read" in line for line in lab.log()), "replies")
    assert all("recvmmsg(2)): Permission denied; a seccomp filter or a security module" in membership["error"]
               for membership in memberships("eth0"))
    refused = lab.reload()  # joins some anew, and some for the first time
    assert not refused, refused
    assert {membership["state"] for membership in memberships("eth0")} == {"failed"}
    assert sum("group a: replies on eth0: what arrives" in line for line in lab.log()) == 1
    calls, failed = lab.shim.disarm()
    assert calls == failed and calls < 1000, calls
    lab.assert_recovers()
    wait_until(lambda: next(group["replies"] for group in lab.stats()["groups"] if group["name"] == "a"), "the reply")
    assert lab.stop() == 0
    lab.assert_sound()
