"""The daemon's own life: starting with one group and with ten thousand, its memory, and doing nothing."""

import os
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager

from bench import programs, receivers
from bench.case import Case, Comparison
from bench.lan import lan
from bench.measure import spread, take_turns
from bench.receivers import FILE_GROUPS, mcastd_config, run_mcastd, write_more_groups
from bench.report import Limit, Row
from harness.daemon import MCASTD

GROUPS, HANDLERS = 10_000, 100


@contextmanager
def configuration(groups, handlers=0):
    """A directory with a configuration of so many groups, and of so many recorders, which the first has: its file."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        path = os.path.join(directory, "mcastd.conf")
        with open(path, "w") as file:
            names = [f"h{number}" for number in range(handlers)]
            first = 'handlers = [%s];' % ", ".join(f'"{name}"' for name in names) if handlers else ""
            file.write(mcastd_config(groups=min(groups, FILE_GROUPS)).replace("g0: {", f"g0: {{ {first}", 1))
            body = "".join(f'{name}: {{ type = "file"; path = "{directory}/{name}"; }}; ' for name in names)
            file.write(f"handlers: {{ {body} }};\n" if handlers else "")
            file.write(f'control: {{ socket = "{directory}/s"; }};\nrun_directory = "{directory}/run";\n')
        write_more_groups(directory, groups)
        yield path


def memory(pid):
    """VmRSS and RssAnon of a process, in KiB."""
    with open(f"/proc/{pid}/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return {name: int(fields[name].split()[0]) for name in ("VmRSS", "RssAnon")}


def start_until_ready(net, groups=1, handlers=0):
    """Starts the daemon. Returns the milliseconds until it says READY, and its memory then."""
    with configuration(groups, handlers) as path, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path + ".notify")
        notify.settimeout(programs.PATIENCE)
        environment = {**programs.environment(), "NOTIFY_SOCKET": path + ".notify"}
        began = time.monotonic()
        process = programs.start_receiver(net, [MCASTD, "-c", path], env=environment, stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL)
        try:
            while b"READY=1" not in notify.recv(4096):
                pass
            return (time.monotonic() - began) * 1000, memory(process.pid)
        finally:
            notify.close()  # it would else wait for somebody to read what it still has to say
            programs.stop(process)


def start_anew(groups=1, handlers=0):
    """The same in a network of its own: where ten thousand groups have just been left, the kernel looks through all of them for
    each that is joined, until it has told the routers (IGMPv3)."""
    with lan() as net:
        return start_until_ready(net, groups, handlers)


def check_time(net, groups):
    """How many milliseconds "mcastd --check" takes, which reads all of the configuration, and joins nothing."""
    with configuration(groups) as path:
        began = time.monotonic()
        process = programs.start_receiver(net, [MCASTD, "--check", "-c", path], stdout=subprocess.DEVNULL)
        if process.wait():  # with a limit, it would look only now and then
            raise RuntimeError("the configuration is wrong")
        return (time.monotonic() - began) * 1000


def run_start(bench):
    times = [start_until_ready(bench.net)[0] for _ in range(2 * bench.pairs)]
    yield Row("start", "start to READY, one group", "", "ms", spread(times), Limit(at_most=20))


def run_join(bench):
    net, work = bench.net, f"{GROUPS:,} groups"
    pairs = take_turns(bench.pairs, lambda: start_anew(GROUPS), start_anew)
    check = spread(check_time(net, GROUPS) for _ in range(bench.pairs)).median - check_time(net, 1)
    yield Row("groups/start", f"{work}: start to READY", "", "ms", spread(a[0] for a, _ in pairs))
    yield Row("groups/join", f"{work}: joining them", "", "ms", spread(a[0] - b[0] - check for a, b in pairs),
              Limit(at_most=150), note=f"start to READY, less that with one group and {check:.0f} ms to read {work}")
    if not bench.quick:
        runs = [start_anew(GROUPS, HANDLERS) for _ in range(bench.pairs)]
        yield Row("groups/handlers", f"{work} and {HANDLERS} recorders: start to READY", "", "ms", spread(run[0] for run in runs))
    yield Row("groups/memory", f"{work}: user memory of each", "", "bytes",
              spread((a[1]["RssAnon"] - b[1]["RssAnon"]) * 1024 / (GROUPS - 1) for a, b in pairs), Limit(at_most=1024))


def wake_ups(pid):
    """How often the threads of a process have gone to sleep so far: as often they were woken."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status") as file:
            fields = dict(line.split(":", 1) for line in file)
        total += int(fields["voluntary_ctxt_switches"])
    return total


def run_idle(bench):
    """There is no watchdog here, so that once a minute the memberships are looked at, and there is nothing else to wake up for."""
    seconds, groups = 4 if bench.quick else 60, 100
    with run_mcastd(bench.net, mcastd_config(groups=groups)) as daemon:
        time.sleep(1)
        before = wake_ups(daemon.process.pid)
        time.sleep(seconds)
        count = wake_ups(daemon.process.pid) - before
        resident = memory(daemon.process.pid)["VmRSS"] / 1024
    yield Row("idle/wake-ups", f"idle, {groups} groups: wake-ups", "", f"in {seconds} s", spread([count]),
              Limit(at_most=1))
    yield Row("idle/memory", f"idle, {groups} groups: resident memory", "", "MiB", spread([resident]), Limit(at_most=6))


many = receivers.mcastd(f"mcastd, {GROUPS:,} groups", groups=GROUPS)
one = receivers.mcastd("mcastd, one group")

CASES = [
    Comparison("groups/cost", f"{GROUPS:,} groups joined, traffic on one", many, one, Limit(at_most=1.15), less=False),
    Case("groups/join", run_join),
    Case("start", run_start),
    Case("idle", run_idle),
]
