"""Sending: what programs get out to a group through the daemon, beside a program that does only that."""

import os
import subprocess
import tempfile
import time
from contextlib import contextmanager

from bench import programs
from bench.case import Case
from bench.lan import OUT_GROUP, OUT_PORT
from bench.measure import spread, take_turns
from bench.programs import SENDER_CORE, cpu_ns
from bench.receivers import run_mcastd
from bench.report import Limit, Row
from harness.waiting import wait_until

CONFIG = f"""groups: {{ out: {{
    address = "{OUT_GROUP}"; port = {OUT_PORT}; interfaces = ["eth1"]; loop = false; socket = true;
}}; }};
"""


@contextmanager
def run_sender(net):
    """The daemon's process, and where its doors are."""
    with run_mcastd(net, CONFIG, joined=(OUT_GROUP, "eth1")) as daemon:
        yield daemon.process.pid, {"socket": daemon.group_path("out"), "control": daemon.control_path}


@contextmanager
def run_gate(net):
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        path = os.path.join(directory, "gate")
        process = programs.start_receiver(
            net, [programs.built("gate"), path, OUT_GROUP, str(OUT_PORT), "eth1"], stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: os.path.exists(path), "the gate")
            yield process.pid, {"socket": path}
        finally:
            programs.stop(process)


def write(doors, milliseconds):
    return "writer", doors["socket"], 64, milliseconds


def call(doors, milliseconds):
    return "pipeline", doors["control"], "out", 64, milliseconds


def measure(bench, run, command):
    """Lets a program send for a while. Returns how many datagrams a second came to the other host, what each has cost whoever
    sent them for it, and the program's own answer."""
    milliseconds = int(bench.seconds * 1000)
    with run(bench.net) as (pid, doors):
        programs.run(bench.net.sender, SENDER_CORE, *command(doors, 50))
        programs.settle(pid)
        before, cpu, began = bench.net.drained(), cpu_ns(pid), time.monotonic()
        answer = programs.run(bench.net.sender, SENDER_CORE, *command(doors, milliseconds))
        programs.settle(pid)
        count = bench.net.drained() - before
        cpu = cpu_ns(pid) - cpu
    if not count:
        raise RuntimeError(f"nothing arrived; {time.monotonic() - began:.1f} s, {answer}")
    return count / answer["seconds"], cpu / count, answer


def row(bench, name, work, limit, command):
    pairs = take_turns(bench.pairs, lambda: measure(bench, run_sender, command), lambda: measure(bench, run_gate, write))
    ours = [ours for ours, _ in pairs]
    errors = sum(answer.get("errors", 0) for _, _, answer in ours)
    note = f"{spread(rate for rate, _, _ in ours).median:,.0f}/s" + (f"; {errors} errors" if errors else "")
    return Row(name, work, "a bare recvmmsg(64) and sendmmsg(64)", "x its CPU", spread(a[1] / b[1] for a, b in pairs),
               Limit(at_most=limit), f"{spread(cost for _, cost, _ in ours).median:.0f} ns",
               f"{spread(b[1] for _, b in pairs).median:.0f} ns", note, steady=True)


def run_group_socket(bench):
    yield row(bench, "send/socket", "group socket to the network, 64 B", 1.3, write)


def run_control(bench):
    """Each call is a JSON text of some 130 bytes, and is answered."""
    yield row(bench, "send/control", "control socket, pipelined Send, 64 B", 4, call)


CASES = [Case("send/socket", run_group_socket), Case("send/control", run_control)]
