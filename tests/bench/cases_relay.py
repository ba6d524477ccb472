"""Relaying: one network in, another one out; and how long a datagram takes on the way."""

from bench import programs, receivers
from bench.case import Case, Comparison
from bench.cases_many import cost_of
from bench.cases_record import CHUNKS
from bench.lan import GROUP, GROUP6, OUT_GROUP, PORT, SINK, SINK6
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


# From one network to many


def spokes(net, count):
    """Interfaces of the host, spoke0 and so on, with addresses; the sink has their other ends."""
    net.sink.ip(*(f"link add far{i} type veth peer name spoke{i} netns {net.host.path}" for i in range(count)),
                *(f"link set far{i} up" for i in range(count)))
    net.host.ip(*(f"address add 10.1.{i}.1/24 dev spoke{i}" for i in range(count)),
                *(f"link set spoke{i} up" for i in range(count)))


def run_hub(bench):
    """A relay of 64 interfaces, and a program that does nothing but the sends."""
    count, rate = 63, 1000
    config = f"""groups: {{ g0: {{ address = "{GROUP}"; port = {PORT}; interfaces = ["eth0"];
        relay: {{ to = ["spoke*"]; }}; }}; }};"""
    load = Load(rate=rate, burst=1, seconds=bench.seconds)
    pairs, missing = [], []
    spokes(bench.net, count)
    try:
        for _ in range(bench.pairs):
            with receivers.run_mcastd(bench.net, config) as daemon:
                ours = cost_of(bench.net, daemon.process.pid, load)
                row = daemon.handler("g0.relay")
                missing.append(ours.sent * count - row["delivered"])
            bare = receivers.raw("spread", "", [GROUP, PORT, "spoke", count], relay=True)
            with bare.start(bench.net) as running:
                pairs.append((ours, cost_of(bench.net, running.pid, load)))
    finally:
        bench.net.sink.ip(*(f"link del far{i}" for i in range(count)))
    work = f"relay to {count} interfaces, {rate:,}/s"
    yield Row("relay-hub/cost", work, f"{count} bare sends", "x their CPU", spread(a.ns / b.ns for a, b in pairs),
              Limit(at_most=1.5), f"{spread(a.ns for a, _ in pairs).median / 1000:.1f} us",
              f"{spread(b.ns for _, b in pairs).median / 1000:.1f} us", steady=True)
    yield Row("relay-hub/loss", f"{work}: not sent", "", "copies a run", spread(missing), Limit(at_most=0))


CASES = [
    Comparison("relay/socat", RELAY, relay, receivers.socat_relay, Limit(at_least=8)),
    Comparison("relay/multicat", RELAY, relay, receivers.multicat_relay, Limit(at_least=3), quick=False),
    Comparison("relay/multicat-ts", "relay, 1,316 B, to a host", relay, receivers.multicat_relay_ts, load=CHUNKS),
    Comparison("relay/raw", RELAY, relay, receivers.raw_relay, steady=False),
    Comparison("relay/ipv6", "relay, 64 B, to a host, over IPv6", receivers.relay(address=SINK6, group=GROUP6),
               receivers.relay("mcastd, over IPv4"), less=False),
    Comparison("relay-group/raw", "relay, 64 B, to a group", receivers.relay(address=OUT_GROUP), receivers.raw_relay,
               steady=False),
    Comparison("keep-source/relay", "relay with keep_source, 64 B, to a group", keeping,
               receivers.relay("mcastd without it", address=OUT_GROUP), Limit(at_least=0.34)),
    Comparison("coalesce/socat", "relay with coalesce, 64 B, to a host", coalescing, receivers.socat_relay,
               Limit(at_least=15)),
    Case("relay-hub", run_hub),
    Case("latency", run_latency),
]
