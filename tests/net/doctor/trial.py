"""One situation, made, and what mcastctl doctor says of it, in each way to ask."""

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

from harness import with_us
from harness.daemon import MCASTCTL, SANITIZER_REPORT, Daemon
from harness.lab import COUNT, Lab, sh
from harness.strangers import NOBODY
from harness.waiting import TIMEOUT, wait_until

USER = "daemon"  # who may receive the group: there on every Linux
UIDS = {"target": 0, "stranger": NOBODY, "root": 0, "user": pwd.getpwnam(USER).pw_uid, "nobody": NOBODY}

LOOKS = 3  # at most

ENVIRONMENT = dict(os.environ)  # trials run in threads, while pytest changes its own

ALONE = {"target": "target", "stranger": "target"}  # ways without a daemon, and the one that a fault must have for it


@contextlib.contextmanager
def situation(*faults):
    """A lab with all of these faults, but for the stream. Of several, each must start from a plain pair."""
    with contextlib.closing(Lab(faults[0].family)) as lab:
        if faults[0].base:
            getattr(lab, faults[0].base)()
        for fault in faults:
            fault.make(lab)
        yield lab


# Plain programs

@dataclass
class Sight:
    """What plain programs saw while COUNT datagrams and more were sent."""

    sent: int
    received: list  # by interface
    twice: int  # of these at two interfaces
    on_wire: int
    repaired: int = None  # received of COUNT and more, after the repair


def look(lab, with_receiver=True, with_watch=True, count=COUNT):
    with contextlib.ExitStack() as stack:
        watch = stack.enter_context(contextlib.closing(lab.watch())) if with_watch else None
        receivers = [stack.enter_context(contextlib.closing(lab.receiver(interface)))
                     for interface in lab.interfaces if with_receiver]
        lab.stream.wait(min(5, count))  # the first ones may be lost while a switch learns
        before = [receiver.read() for receiver in receivers], watch.read() if watch else 0, lab.stream.sent
        lab.stream.wait(count)
        received = [receiver.read() - had for receiver, had in zip(receivers, before[0])]
        twice = len(set.intersection(*(receiver.payloads for receiver in receivers))) if len(receivers) > 1 else 0
        return Sight(lab.stream.sent - before[2], received, twice, watch.read() - before[1] if watch else 0)


def examine(fault):
    """What plain programs see of a fault, and whether its repair ends it."""
    with situation(fault) as lab:
        lab.begin()
        if lab.before_look:
            lab.receiver()  # which stays
        for prepare in lab.before_look:
            prepare()
        sight = look(lab, fault.plain and not lab.before_look, fault.wire is not None, 3 if lab.options.get("rate") == 1 else COUNT)
        if fault.plain and lab.repairs:
            lab.repair()
            sight.repaired = 0

            def arrives():
                sight.repaired = look(lab).received[0]
                return sight.repaired >= COUNT - 2

            wait_until(arrives, "the datagrams after the repair")
        return sight


# mcastctl doctor

@dataclass
class Answer:
    """What the doctor said."""

    status: int
    text: str
    stderr: str
    seconds: float
    report: dict = None

    def memberships(self):
        return self.report["memberships"] if self.report else []

    def findings(self):
        return [finding for membership in self.memberships() for finding in membership["findings"]]

    def causes(self):
        return {finding["cause"] for finding in self.findings()}

    def notes(self):
        return {note["cause"] for membership in self.memberships() for note in membership["notes"]}

    def short(self):
        return " ".join(f"{finding['cause']}{'' if finding['certain'] else '?'}" for finding in self.findings()) or (
            "healthy" if self.status == 0 else f"exit {self.status}: {(self.stderr or self.text).strip()[:200]}")


def target_of(lab):
    address = f"[{lab.group}]" if lab.family == 6 else lab.group
    interface = "%eth*" if len(lab.interfaces) > 1 else "".join(f"%{name}" for name in lab.interfaces)
    return "".join([f"{address}:{lab.port}{interface}", *(f",source={source}" for source in lab.sources)])


class Office:
    """A directory with what everybody may run."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="mcastd-doctor-")
        os.chmod(self.directory, 0o755)
        self.ctl = shutil.copy(MCASTCTL, self.directory)

    def close(self):
        shutil.rmtree(self.directory)

    def look(self, lab, way, daemon=None, more=()):
        """Asks, and again where this machine was too busy to send what the situation is made of."""
        for _ in range(LOOKS):
            for prepare in lab.before_look:
                prepare()
            paces = [stream.pace() for stream in lab.streams]
            answer = self.ask(lab, way, daemon, more)
            if all(kept() for kept in paces):
                break
        return answer

    def ask(self, lab, way, daemon=None, more=()):
        socket_option = ["-s", daemon.control_path] if daemon else []
        wrapper = [*(() if daemon else lab.wrapper)]
        if UIDS[way]:
            wrapper += ["setpriv", f"--reuid={UIDS[way]}", f"--regid={UIDS[way]}", "--clear-groups"]
        command = [*wrapper, self.ctl, *socket_option, "--json", "doctor", "g" if daemon else target_of(lab), "--wait", lab.wait, *more]
        environment = {**ENVIRONMENT, "MCASTD_SOCKET": "/nonexistent/mcastd.sock"}
        began = time.monotonic()
        with lab.viewer or lab.host:
            child = with_us.start(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  cwd="/", env=environment)
        with child:
            try:
                text, errors = child.communicate(timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                child.kill()
                text, errors = child.communicate()
                errors += f"\nstill running after {TIMEOUT} s"
        answer = Answer(child.returncode, text, errors, time.monotonic() - began)
        with contextlib.suppress(ValueError):
            answer.report = json.loads(text)
        assert not SANITIZER_REPORT.search(errors), errors
        return answer


def config(lab):
    """Of a daemon that has the group and a user who may receive it."""
    interfaces = ", ".join(f'"{name}"' for name in lab.interfaces)
    interfaces = f"interfaces = [{interfaces}];" if lab.interfaces else ""
    sources = ", ".join(f'"{source}"' for source in lab.sources)
    sources = f"sources = [{sources}];" if lab.sources else ""
    senders = ", ".join(f'"{user}"' for user in (lab.senders.split() if lab.senders else ("user:root", f"user:{USER}", "user:nobody")))
    return (f'groups: {{ g: {{ address = "{lab.group}"; port = {lab.port}; {interfaces} {sources} '
            f'allow_receive = ["user:root", "user:{USER}"]; allow_send = [{senders}]; {lab.settings} }}; {lab.more} }}; handlers: {{ {lab.handlers} }};\n')


@dataclass
class Trial:
    faults: tuple
    answers: dict = field(default_factory=dict)  # by way
    pasted: list = None  # what was run of what root was told to
    arrives: bool = None  # whether the datagrams do then
    failure: str = None
    seconds: float = 0

    def causes(self):
        return frozenset().union(*(fault.causes for fault in self.faults))

    def wrong(self, way):
        """Findings that are certain and not true."""
        true = self.causes().union(*(fault.also for fault in self.faults))
        return [finding for finding in self.answers[way].findings() if finding["certain"] and finding["cause"] not in true]

    def named(self, way):
        return bool(self.answers[way].causes() & self.causes())


def try_one(office, *faults, ways=None, paste=True):
    """Asks in each of the ways, and then runs what root was told to."""
    trial, began = Trial(faults), time.monotonic()
    ways = [way for way in ways or faults[0].ways if all(ALONE.get(way, way) in fault.ways for fault in faults)]
    more = ["--send"] if any(fault.send for fault in faults) else []
    with situation(*faults) as lab:
        lab.begin()
        for way in filter(ALONE.get, ways):
            trial.answers[way] = office.look(lab, way, more=more)
        with_daemon = [way for way in ways if way not in ALONE]
        if with_daemon:
            ask_with_daemon(trial, office, lab, with_daemon, more, paste and all(fault.pasted for fault in faults))
    trial.seconds = time.monotonic() - began
    return trial


def ask_with_daemon(trial, office, lab, ways, more, paste):
    daemon = Daemon(lab.host, config(lab), wrapper=lab.wrapper)
    try:
        os.chmod(daemon.directory, 0o711)
        for begin in lab.on_start:
            begin(daemon)
        settle(lab, daemon)
        for way in ways:
            trial.answers[way] = office.look(lab, way, daemon, more)
        if paste:
            paste_from(trial, office, lab, daemon)
    finally:
        daemon.kill()


def settle(lab, daemon):
    """Until the daemon has joined, where it can, and would have received something."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: all(membership["state"] == "joined" for membership in daemon.group("g")["memberships"]), "the join", timeout=0.5)
    if lab.options.get("rate", 50) > 1:
        lab.stream.wait(10)


def paste_from(trial, office, lab, daemon):
    """Runs the commands that root was given, as root on the host. Where nothing arrived, what arrives counts from then on: a switch
    forgets again soon."""
    answer = trial.answers["root"]
    for prepare in lab.before_look:
        prepare()
    came = daemon.group("g")["received"] if all(fault.arrives == "none" for fault in trial.faults) else None
    trial.pasted = [command for finding in answer.findings() if finding["cause"] in trial.causes() for command in finding["fix"]]
    where = f'PATH={office.directory}:$PATH; export MCASTD_SOCKET={daemon.control_path}; '
    for command in trial.pasted:
        try:
            sh(lab.host, where + command, stderr=subprocess.STDOUT)
        except subprocess.CalledProcessError as error:
            trial.pasted.append(f"FAILED {error.output.strip()}")
            break

    def arrives():
        before = daemon.group("g")["received"] if came is None else came
        lab.stream.wait(COUNT)
        return daemon.group("g")["received"] >= before + COUNT - 2

    trial.arrives = True
    try:
        wait_until(arrives, "the datagrams")
    except AssertionError:
        trial.arrives = False
