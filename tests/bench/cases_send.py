"""Sending: what programs get out to a group through the daemon."""

import time

from bench import programs
from bench.case import Case
from bench.lan import OUT_GROUP, OUT_PORT
from bench.measure import spread
from bench.programs import SENDER_CORE, cpu_ns
from bench.receivers import run_mcastd
from bench.report import Limit, Row

CONFIG = f"""groups: {{ out: {{
    address = "{OUT_GROUP}"; port = {OUT_PORT}; interfaces = ["eth1"]; loop = false; socket = true;
}}; }};
"""


def run_sender(net):
    return run_mcastd(net, CONFIG, joined=(OUT_GROUP, "eth1"))


def measure(bench, command):
    """Lets a program send for a while. Returns how many datagrams a second came to the other host, what each has cost the
    daemon, and the program's own answer."""
    milliseconds = int(bench.seconds * 1000)
    with run_sender(bench.net) as daemon:
        programs.run(bench.net.sender, SENDER_CORE, *command(daemon, 50))
        before, cpu, began = bench.net.drained(), cpu_ns(daemon.process.pid), time.monotonic()
        answer = programs.run(bench.net.sender, SENDER_CORE, *command(daemon, milliseconds))
        programs.settle(daemon.process.pid)
        count = bench.net.drained() - before
        cpu = cpu_ns(daemon.process.pid) - cpu
    if not count:
        raise RuntimeError(f"nothing arrived; {time.monotonic() - began:.1f} s, {answer}")
    return count / answer["seconds"], cpu / count, answer


def rate_row(bench, name, work, limit, command):
    runs = [measure(bench, command) for _ in range(bench.pairs)]
    errors = sum(answer.get("errors", 0) for _, _, answer in runs)
    cost = spread(cost for _, cost, _ in runs).median
    note = f"a core of its own would do {1e9 / cost:,.0f}/s" + (f"; {errors} errors" if errors else "")
    return Row(name, work, "", "/s", spread(rate for rate, _, _ in runs), Limit(at_least=limit), ours=f"{cost:.0f} ns",
               note=note)


def run_group_socket(bench):
    yield rate_row(bench, "send/socket", "group socket to the network, 64 B", 450_000,
                   lambda daemon, milliseconds: ("writer", daemon.group_path("out"), 64, milliseconds))


def run_control(bench):
    yield rate_row(bench, "send/control", "control socket, pipelined Send, 64 B", 250_000,
                   lambda daemon, milliseconds: ("pipeline", daemon.control_path, "out", 64, milliseconds))


CASES = [Case("send/socket", run_group_socket), Case("send/control", run_control)]
