"""Many at once: subscribers of one group, and a flood beside groups that are not flooded."""

import os
import time
from contextlib import contextmanager

from bench import programs
from bench.case import Case
from bench.lan import OUT_PORT, RECEIVER_CORE, SINK
from bench.measure import Sample, spread
from bench.programs import Load, cpu_ns, settle
from bench.readers import reading
from bench.receivers import address, mcastd_config, raw, run_mcastd
from bench.report import Limit, Row
from harness.waiting import wait_until

RATE = 10_000  # a second, to subscribers
PROBE_PORT = 7000


# Subscribers


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
        with reading(net, "stream", daemon.control_path, count, call) as read:
            wait_until(lambda: daemon.call("GetStatus")["subscribers"] == count, "the subscribers")
            cost = cost_of(net, daemon.process.pid, load)
            time.sleep(0.2)
            answer = read()
    return cost, cost.sent * count - answer["messages"], answer["bytes"] // max(answer["messages"], 1)


def bare_sends(net, count, load, size):
    """A program that makes so many sends of a message for each datagram."""
    with raw("sends", "", ["socket", count, size]).start(net) as running:
        with reading(net, "stream", os.path.join(running.directory, "socket"), count):
            return cost_of(net, running.pid, load)


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
              Limit(at_most=0.6), f"{spread(a.ns for a, _ in pairs).median / 1000:.1f} us",
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
    flood's would wait behind it before it is anybody's. Returns what the slow ones lost, what the flooded one lost,
    and the probe's answer."""
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
    return max(lost, sent - answer["received"]), overrun, answer  # what was counted as lost did not come to the probe either


def run_fairness(bench):
    runs = [flooded(bench.net, 0.5 if bench.quick else 2) for _ in range(bench.pairs)]
    work = "one group flooded, 50 slow ones"
    note = f"the flooded one lost {spread(overrun for _, overrun, _ in runs).median:,.0f} a run"
    yield Row("flood/loss", f"{work}: slow datagrams lost", "", "a run", spread(lost for lost, _, _ in runs),
              Limit(at_most=0), note=note)
    yield Row("flood/p99", f"{work}: p99 of the slow", "", "us", spread(answer["p99"] for _, _, answer in runs),
              Limit(at_most=1000))


CASES = [Case("subscribers", run_subscribers), Case("flood", run_fairness)]
