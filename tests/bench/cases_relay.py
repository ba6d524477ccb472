"""Relaying: one network in, another one out; and how long a datagram takes on the way."""

from bench import programs, receivers
from bench.case import Case, Comparison
from bench.cases_record import CHUNKS
from bench.lan import OUT_GROUP, SINK
from bench.measure import spread, take_turns
from bench.programs import Load
from bench.report import Limit, Row

RELAY = "relay, 64 B, to a host"
PROBE_PORT = 7000
relay = receivers.relay()
keeping = receivers.relay(address=OUT_GROUP, more="keep_source = true;")
coalescing = receivers.relay(keys="coalesce = true;")


def latency(net, receiver, seconds):
    """How long 10,000 datagrams a second take through a receiver to the network behind it: the probe's answer."""
    probe = programs.start_in_sink(net, "probe", PROBE_PORT)
    try:
        with receiver.start(net):
            Load(rate=10_000, burst=1, seconds=seconds).send(net)
    finally:
        output = programs.stop(probe)
    return programs.answer(output)


def run_latency(bench):
    ours = receivers.mcastd(
        handler=f'type = "udp"; address = "{SINK}"; port = {PROBE_PORT}; interface = "eth1";', relay=True)
    theirs = receivers.raw("forward", "a raw epoll loop", [SINK, PROBE_PORT], relay=True)
    seconds, count = (0.5, bench.pairs) if bench.quick else (2, 11)  # a p99 is what a machine happened to do beside it
    pairs = take_turns(count, lambda: latency(bench.net, ours, seconds), lambda: latency(bench.net, theirs, seconds))
    for key in "p50", "p99":
        yield Row(
            f"latency/{key}", f"latency at 10,000/s, {key}", theirs.name, "x its latency",
            spread(a[key] / b[key] for a, b in pairs), Limit(at_most=1.1),
            f"{spread(a[key] for a, _ in pairs).median:.1f} us", f"{spread(b[key] for _, b in pairs).median:.1f} us")


CASES = [
    Comparison("relay/socat", RELAY, relay, receivers.socat_relay, Limit(at_least=8)),
    Comparison("relay/multicat", RELAY, relay, receivers.multicat_relay, Limit(at_least=3)),
    Comparison("relay/multicat-ts", "relay, 1,316 B, to a host", relay, receivers.multicat_relay_ts, load=CHUNKS),
    Comparison("relay/raw", RELAY, relay, receivers.raw_relay),
    Comparison("relay-group/raw", "relay, 64 B, to a group", receivers.relay(address=OUT_GROUP), receivers.raw_relay),
    Comparison("keep-source/relay", "relay with keep_source, 64 B, to a group", keeping,
               receivers.relay("mcastd without it", address=OUT_GROUP), Limit(at_least=0.34)),
    Comparison("coalesce/socat", "relay with coalesce, 64 B, to a host", coalescing, receivers.socat_relay,
               Limit(at_least=15)),
    Case("latency", run_latency),
]
