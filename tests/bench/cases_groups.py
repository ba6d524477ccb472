"""Traffic that is spread over many groups: what each datagram costs, whether any is lost, and how soon one comes that is wanted
at once."""

from bench import programs, receivers
from bench.case import Case, Comparison
from bench.lan import SINK
from bench.measure import sample, spread, take_turns
from bench.programs import Load
from bench.report import Limit, Row

PROBE_PORT = 7000
RATES = {20_000: Limit(at_most=0.6), 200_000: Limit(at_most=0.45), 800_000: None}


def comparison(groups, rate):
    ours = receivers.counting("mcastd", receivers.mcastd_config(groups=groups), groups)
    theirs = receivers.raw("many", "a raw epoll loop, payloads unread", [groups], groups=groups)
    return Comparison(f"groups/{groups}-{rate}", f"{groups:,} groups, {rate:,}/s in all, count only", ours, theirs,
                      RATES[rate] if groups >= 100 else None, less=False, load=Load(rate=rate, groups=groups),
                      quick=groups == 100, steady=False)


def recording(groups):
    config = receivers.mcastd_config('handlers = ["out"];', 'type = "file"; path = "$DIR/out"; queue = "64M"; format = "raw";', groups)
    return receivers.counting(f"mcastd, {groups} group{'s' if groups > 1 else ''}", config, groups)


def run_recorder(bench):
    """A recorder of many groups, and one of one group, at the same rate."""
    load = Load(rate=200_000, seconds=bench.seconds)
    pairs = take_turns(bench.pairs, lambda: sample(bench.net, recording(100), load.changed(groups=100)),
                       lambda: sample(bench.net, recording(1), load))
    yield Row("groups/file", "100 groups, 200,000/s in all, raw file recorder", recording(1).name, "x its CPU",
              spread(a.ns / b.ns for a, b in pairs), None, f"{spread(a.ns for a, _ in pairs).median:.0f} ns",
              f"{spread(b.ns for _, b in pairs).median:.0f} ns", steady=True)


def run_loss(bench):
    groups, rate = 1000, 800_000
    receiver = receivers.counting("mcastd", receivers.mcastd_config(groups=groups, buffer=""), groups)
    load = Load(rate=rate, groups=groups, seconds=1 if bench.quick else 10)
    runs = [sample(bench.net, receiver, load) for _ in range(1 if bench.quick else bench.pairs)]
    yield Row("groups/loss", f"{groups:,} groups, {rate:,}/s for {load.seconds} s, default buffers: lost", "", "datagrams lost a run",
              spread(run.dropped for run in runs), Limit(at_most=0),
              note=f"sent at {spread(run.sent / run.seconds for run in runs).median:,.0f}/s")


def latency(net, receiver, groups, seconds):
    """How long datagrams of the first group take, while the others have traffic, too."""
    probe = programs.start_in_sink(net, "probe", PROBE_PORT)
    beside = Load(rate=20_000, groups=groups - 1, address=receivers.address(1), seconds=seconds + 1)
    try:
        with receiver.start(net):
            others = beside.start(net)
            Load(rate=1000, burst=1, seconds=seconds).send(net)
            programs.stop(others)
    finally:
        output = programs.stop(probe)
    return programs.answer(output)


def run_latency(bench):
    groups = 1000
    config = receivers.mcastd_config(
        handler=f'type = "udp"; address = "{SINK}"; port = {PROBE_PORT}; interface = "eth1";', groups=groups)
    first, brace, rest = config.partition(" };")
    ours = receivers.counting("mcastd", f'{first} handlers = ["out"];{brace}{rest}', groups)
    theirs = receivers.raw("forward", "a raw epoll loop that has it only", [SINK, PROBE_PORT], relay=True)
    seconds, count = (0.5, bench.pairs) if bench.quick else (2, 11)
    pairs = take_turns(
        count, lambda: latency(bench.net, ours, groups, seconds), lambda: latency(bench.net, theirs, groups, seconds))
    for key in "p50", "p99":
        yield Row(f"groups/{key}", f"a relay of one among {groups:,} groups, the others at 20,000/s: {key}", theirs.name,
                  "x its latency", spread(a[key] / b[key] for a, b in pairs), Limit(at_most=1.1),
                  f"{spread(a[key] for a, _ in pairs).median:.1f} us", f"{spread(b[key] for _, b in pairs).median:.1f} us")


CASES = [
    *(comparison(groups, rate) for groups in (10, 100, 1000) for rate in RATES),
    Case("groups/file", run_recorder),
    Case("groups/loss", run_loss),
    Case("groups/latency", run_latency),
]
