"""Receiving: what a datagram costs that is only counted, and how many a second can come before one is lost."""

import receivers
from case import Case, Comparison
from measure import spread, take_turns
from programs import Load
from report import Limit, Row

COUNT = "64 B, count only"
count = receivers.mcastd()

STEP = 1.05  # rates are tried in such steps
LOWEST, HIGHEST = 50_000, 3_000_000


def stream_seconds(bench):
    """So long that the receive buffer hardly matters: 8 MiB hide some 20,000 datagrams that a receiver falls behind."""
    return 0.1 if bench.quick else 1.2


def loses(net, receiver, rate, seconds, tries=2):
    """Whether a receiver loses any of a stream of that rate, and the rate that it really was. It tries again: it may have been
    somebody else who took its core for a moment."""
    stream = Load(segmented=True, rate=rate, seconds=seconds, layout=receiver.layout)
    with receiver.start(net):
        stream.changed(count=2000, rate=50_000).send(net)
        for _ in range(tries):
            before = net.dropped()
            sent = stream.send(net)
            if net.dropped() == before:
                return False, sent["sent"] / sent["seconds"]
    return True, 0


def loss_free(net, receiver, seconds, steps=6):
    """The highest rate at which a receiver loses nothing, by bisection. Where nothing is lost at all, it is what the
    generator can send."""
    low, high = LOWEST, HIGHEST
    best = 0
    for _ in range(steps):
        rate = (low * high) ** 0.5
        lost, real = loses(net, receiver, int(rate), seconds)
        if lost:
            high = rate
        else:
            low, best = rate, max(best, real)
        if high / low < STEP:
            break
    return best


def best_peer(bench):
    """The packaged peer with the highest loss-free rate, and what it was for each."""
    peers = [receivers.iperf, receivers.mgen_silent, receivers.rsyslog, receivers.multicat_null]
    found = {peer: loss_free(bench.net, peer, stream_seconds(bench)) for peer in peers if not peer.missing()}
    return max(found, key=found.get) if found else None


def run_loss_free(bench):
    row = Row("loss-free", "loss-free rate, 64 B", "the best packaged peer", "x its rate", limit=Limit(at_least=1.3))
    best = best_peer(bench)
    if not best:
        row.note = "no peer is installed"
        return [row]
    pairs = take_turns(bench.pairs, lambda: loss_free(bench.net, count, stream_seconds(bench)),
                       lambda: loss_free(bench.net, best, stream_seconds(bench)))
    row.spread = spread(ours / max(theirs, 1) for ours, theirs in pairs)
    row.ours = f"{spread(ours for ours, _ in pairs).median:,.0f}/s"
    row.theirs = f"{spread(theirs for _, theirs in pairs).median:,.0f}/s"
    row.note = f"the best peer is {best.name}"
    return [row]


CASES = [
    Comparison("count/raw", COUNT, count, receivers.raw_count, Limit(at_most=1.08), less=False),
    Comparison("count/iperf", COUNT, count, receivers.iperf, Limit(at_least=1.6)),
    Comparison("count/mgen", COUNT, count, receivers.mgen, Limit(at_least=2.2)),
    Comparison("count/mgen-silent", COUNT, count, receivers.mgen_silent),
    Comparison("count/single", COUNT, count, receivers.raw_single, Limit(at_least=2.2)),
    Comparison("count/multicat", COUNT, count, receivers.multicat_null),
    Comparison("count/socat", COUNT, count, receivers.socat_null, Limit(at_least=7)),
    Case("loss-free", run_loss_free),
]
