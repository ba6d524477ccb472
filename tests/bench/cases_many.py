"""Many at once: subscribers of one group, and a flood beside groups that are not flooded."""

import os
import subprocess
import tempfile
import time
from contextlib import contextmanager

import programs
from case import Case
from lan import GROUP, OUT_PORT, PORT, RECEIVER_CORE, SENDER_CORE, SINK
from measure import Sample, spread
from peers import has_membership
from programs import Load, cpu_ns, settle
from receivers import address, mcastd_config, run_mcastd
from report import Limit, Row
from waiting import wait_until

RATE = 10_000  # a second, to subscribers
PROBE_PORT = 7000


# Subscribers


@contextmanager
def reading(net, path, connections, *call):
    """Programs that read, on the sender's core: the receiver's is the daemon's alone."""
    command = [programs.built("readers"), path, str(connections), *call]
    process = programs.start(net.host, SENDER_CORE, command, stdout=subprocess.PIPE, text=True)
    answer = {}
    try:
        if process.stdout.readline() != "READY\n":
            raise RuntimeError("the readers did not start")
        yield answer
    finally:
        answer.update(programs.answer(programs.stop(process)))


def cost_of(net, pid, load):
    settle(pid)
    before, cpu = net.received(), cpu_ns(pid)
    sent = load.send(net)
    settle(pid)
    return Sample(sent["sent"], net.received() - before, 0, cpu_ns(pid) - cpu, sent["seconds"])


def subscribed(net, count, load):
    """mcastd with so many subscribers. Returns what it cost, what they lost, and the size of a message."""
    call = '{"method":"io.mcastd.Subscribe","parameters":{"groups":["g0"]},"more":true}'
    with run_mcastd(net, mcastd_config()) as daemon:
        with reading(net, daemon.control_path, count, call) as answer:
            wait_until(lambda: daemon.call("GetStatus")["subscribers"] == count, "the subscribers")
            cost = cost_of(net, daemon.process.pid, load)
            time.sleep(0.2)
    return cost, cost.sent * count - answer["messages"], answer["bytes"] // max(answer["messages"], 1)


def bare_sends(net, count, load, size):
    """A program that makes so many sends of a message for each datagram."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        path = os.path.join(directory, "socket")
        command = [programs.built("raw"), "sends", GROUP, str(PORT), "eth0", path, str(count), str(size)]
        process = programs.start_receiver(net, command, stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: os.path.exists(path), "the socket")
            with reading(net, path, count):
                wait_until(lambda: has_membership(net.host, GROUP), "raw sends to join")
                return cost_of(net, process.pid, load)
        finally:
            programs.stop(process)


def run_subscribers(bench):
    count, size = 100, 300
    load = Load(rate=RATE, burst=1, seconds=bench.seconds)
    pairs, lost = [], []
    for _ in range(bench.pairs):
        ours, missing, size = subscribed(bench.net, count, load)
        pairs.append((ours, bare_sends(bench.net, count, load, size)))
        lost.append(missing / (ours.sent * count) * 100)
    work = f"{count} subscribers, {RATE:,}/s"
    yield Row("subscribers/cost", work, f"{count} bare sends", "x their CPU", spread(a.ns / b.ns for a, b in pairs),
              Limit(at_most=1.3), f"{spread(a.ns for a, _ in pairs).median / 1000:.1f} us",
              f"{spread(b.ns for _, b in pairs).median / 1000:.1f} us", steady=True)
    yield Row("subscribers/loss", f"{work}: lost", "", "%", spread(lost), Limit(at_most=0))


# A flood beside groups that are not flooded


@contextmanager
def ended(process):
    """A program that is stopped at the end, if it has not been."""
    try:
        yield process
    finally:
        if process.poll() is None:
            programs.stop(process)


def flooded(net, seconds, slow=50):
    """Floods one group, and sends to the others at 1,000/s all together: from the receiver's core, as what comes from the
    flood's would wait behind it before it is anybody's. Returns what the slow ones lost, what of them did not come to
    the probe, what the flooded one lost, and the probe's answer."""
    config = mcastd_config('handlers = ["out"];', f'type = "udp"; address = "{SINK}"; port = {PROBE_PORT};', slow + 1)
    # The flooded group, which is the first, has a handler of its own, whose output nobody looks at.
    config = config.replace('handlers = ["out"]', 'handlers = ["flood"]', 1).replace(
        "handlers: {", f'handlers: {{ flood: {{ type = "udp"; address = "{SINK}"; port = {OUT_PORT}; }};', 1)
    slow_load = Load(address=address(1), groups=slow, rate=1000, burst=1, seconds=seconds)
    with run_mcastd(net, config) as daemon, ended(programs.start_in_sink(net, "probe", PROBE_PORT)) as probe:
        with ended(Load(segmented=True, seconds=seconds + 1).start(net)):
            time.sleep(0.3)
            sent = slow_load.send(net, RECEIVER_CORE)["sent"]
        lost = sum(g["kernelDropped"] for g in daemon.call("ListGroups")["groups"] if g["name"] != "g0")
        lost += sum(daemon.handler("out")["dropped"].values())
        overrun = daemon.group("g0")["kernelDropped"]
        answer = programs.answer(programs.stop(probe))
    return lost, sent - answer["received"], overrun, answer


def run_fairness(bench):
    runs = [flooded(bench.net, 0.5 if bench.quick else 2) for _ in range(bench.pairs)]
    work = "one group flooded, 50 slow ones"
    note = f"the flooded one lost {spread(overrun for _, _, overrun, _ in runs).median:,.0f} a run"
    yield Row("flood/loss", f"{work}: slow datagrams lost", "", "a run", spread(lost for lost, _, _, _ in runs),
              Limit(at_most=0), note=note)
    missing = spread(missing for _, missing, _, _ in runs).median
    yield Row("flood/p99", f"{work}: p99 of the slow", "", "us", spread(answer["p99"] for _, _, _, answer in runs),
              Limit(at_most=1000), note=f"{missing:.0f} a run did not come so far" if missing else "")


CASES = [Case("subscribers", run_subscribers), Case("flood", run_fairness)]
