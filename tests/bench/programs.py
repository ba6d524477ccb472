"""Programs on a core, and what they cost."""

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, replace

from bench.lan import GROUP, PORT, RECEIVER_CORE, SENDER_CORE
from harness.topology import die_with_us

BUFFER = 8 << 20  # bytes: the receive buffer of every receiver
PATIENCE = 20  # seconds, for what should take a moment

programs_directory = None  # where the Makefile has built them; tests/bench/run sets it


def built(name):
    return os.path.join(programs_directory, name)


def environment(buffer=BUFFER):
    return {**os.environ, "BENCH_BUFFER": str(buffer), "LC_ALL": "C"}


def start(host, core, command, **options):
    """Starts a program in the host's namespace, on a core. It does not outlive the bench."""
    def prepare():
        die_with_us()
        os.sched_setaffinity(0, {core})

    options = {"stdin": subprocess.DEVNULL, "env": environment(), "preexec_fn": prepare, **options}
    with host:
        return subprocess.Popen(command, **options)


def stop(process, number=signal.SIGTERM):
    """Ends a program, and takes what it has printed."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.communicate(timeout=PATIENCE)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0]


def answer(output):
    """What one of our programs printed last: a line of JSON."""
    return json.loads(output.splitlines()[-1])


def run(host, core, *command):
    """Runs one of our programs to its end, and returns its answer."""
    process = start(host, core, [built(command[0]), *map(str, command[1:])], stdout=subprocess.PIPE, text=True)
    try:
        output = process.communicate(timeout=120)[0]
    finally:
        stop(process)
    if process.returncode:
        raise RuntimeError(f"{command} failed")
    return answer(output)


def cpu_ns(pid):
    """CPU time of all threads of a process, by the scheduler's own count."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                total += int(file.read().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def settle(pid, quiet=0.15, most=3.0):
    """Waits until a process has done what there was to do: the count of its CPU time is exact only then, and what it keeps back
    for a moment is part of its work. Some do a little now and then."""
    last, since = cpu_ns(pid), time.monotonic()
    end = since + most
    while time.monotonic() - since < quiet and time.monotonic() < end:
        time.sleep(0.02)
        now = cpu_ns(pid)
        if now - last > 300_000:
            since = time.monotonic()
        last = now
    return last


@dataclass(frozen=True)
class Load:
    """What the generator sends, see load.c."""

    size: int = 64
    rate: int = 0
    seconds: float = 1.0
    count: int = 0
    burst: int = 64
    groups: int = 1
    segmented: bool = False
    layout: str = ""  # "": the one that the receiver expects
    address: str = GROUP
    port: int = PORT

    def command(self):
        amount = ["-n", self.count] if self.count else ["-t", int(self.seconds * 1000)]
        return [
            "load", "-i", "eth0", "-s", self.size, "-r", self.rate, *amount, "-b", self.burst, "-g", self.groups,
            "-l", self.layout or "plain", *(["-S"] if self.segmented else []), self.address, self.port]

    def send(self, net, core=SENDER_CORE):
        return run(net.sender, core, *self.command())

    def start(self, net):
        command = [built("load"), *map(str, self.command()[1:])]
        return start(net.sender, SENDER_CORE, command, stdout=subprocess.PIPE, text=True)

    def changed(self, **changes):
        return replace(self, **changes)


def start_receiver(net, command, **options):
    return start(net.host, RECEIVER_CORE, command, **options)


def start_in_sink(net, name, *arguments):
    """One of our programs where datagrams end."""
    return start(net.sink, SENDER_CORE, [built(name), *map(str, arguments)], stdout=subprocess.PIPE, text=True)
