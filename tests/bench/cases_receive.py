"""Receiving: what a datagram costs that is only counted, and how many a second can come before one is lost."""

from bench import receivers
from bench.case import Case, Comparison
from bench.lan import GROUP6
from bench.measure import finish, sample, spread, take_turns
from bench.programs import Load
from bench.report import Limit, Row

COUNT = "64 B, count only"
count = receivers.mcastd()

LOWEST, HIGHEST = 50_000, 3_000_000  # a second
CLOSE = 1.02  # a rate without loss and one with it are so close in the end
ROUGH = 1.1  # to find the best peer


def stream(bench, receiver, rate):
    """So long that the receive buffer hardly matters: 8 MiB hide some 20,000 datagrams that a receiver falls behind."""
    return Load(segmented=True, rate=int(rate), seconds=0.1 if bench.quick else 1.2, layout=receiver.layout)


def loses(net, running, load, tries=2):
    """Whether a receiver loses any of a stream, and the rate that it really was. It tries again when that is little: it may have
    been somebody else who took its core for a moment."""
    for _ in range(tries):
        arrived, dropped = net.received() + net.dropped(), net.dropped()
        sent = load.send(net)
        finish(net, running, arrived, sent["sent"])
        lost = net.dropped() - dropped
        if not lost or lost > sent["sent"] / 20:
            break
    return lost > 0, sent["sent"] / sent["seconds"]


def loss_free(bench, receiver, guess, close):
    """The highest rate at which a receiver loses nothing: from a guess on in growing steps until one rate is without loss and
    one is not, then by bisection. Where nothing is lost at all, it is what the generator can send."""
    low = high = best = 0
    rate, step = guess, ROUGH ** 0.5
    with receiver.start(bench.net) as running:
        stream(bench, receiver, 50_000).changed(count=2000).send(bench.net)
        while LOWEST <= rate <= HIGHEST and not (low and high and high / low < close):
            lost, real = loses(bench.net, running, stream(bench, receiver, rate))
            if lost:
                high = rate
            else:
                low, best = rate, max(best, real)
                if real < rate / CLOSE:
                    break
            if low and high:
                rate = (low * high) ** 0.5
            else:
                rate, step = rate * step if low else rate / step, step ** 2
    return best


def flood(bench, receiver):
    """What a receiver gets of all that the generator can send: a first guess."""
    return sample(bench.net, receiver, stream(bench, receiver, HIGHEST))


def best_peer(bench):
    """The packaged peer with the highest loss-free rate, and that rate."""
    peers = [receivers.iperf, receivers.mgen_silent, receivers.rsyslog, receivers.multicat_null]
    found = {peer: loss_free(bench, peer, flood(bench, peer).rate, ROUGH) for peer in peers if not peer.missing()}
    return max(found.items(), key=lambda item: item[1], default=(None, 0))


def run_loss_free(bench):
    row = Row("loss-free", "loss-free rate, 64 B", "the best packaged peer", "x its rate", limit=Limit(at_least=1.3))
    best, about = best_peer(bench)
    if not best:
        row.note = "no peer is installed"
        return [row]
    flooded, close = flood(bench, count), ROUGH if bench.quick else CLOSE
    pairs = take_turns(bench.pairs, lambda: loss_free(bench, count, flooded.rate, close),
                       lambda: loss_free(bench, best, about, close))
    row.spread = spread(ours / max(theirs, 1) for ours, theirs in pairs)
    row.ours = f"{spread(ours for ours, _ in pairs).median:,.0f}/s"
    row.theirs = f"{spread(theirs for _, theirs in pairs).median:,.0f}/s"
    row.note = f"the best peer is {best.name}; the generator can send {flooded.sent / flooded.seconds:,.0f}/s"
    if not flooded.dropped:
        row.limit = None  # the ratio is the generator's
        row.note += ", of which mcastd loses nothing"
    return [row]


def lost(bench, receiver, load):
    run = sample(bench.net, receiver, load)
    return run.sent - run.delivered


def run_default_buffer(bench):
    """A receiver may pause, for as long as the buffer is sure to hold out. What a recorder loses is also a matter of how soon there
    is memory to write to: it has no limit."""
    theirs = receivers.raw("count", receivers.raw_count.name, buffer=DEFAULT_BUFFER)
    count = 1 if bench.quick else bench.pairs
    for size, rate in (1400, 400_000), (64, 1_000_000):
        load = Load(size=size, segmented=True, rate=rate, seconds=bench.seconds)
        for name, work, ours, limit in DEFAULT_BUFFER_WORKS:
            pairs = take_turns(count, lambda: lost(bench, ours, load), lambda: lost(bench, theirs, load))
            both = [f"{spread(counts).median:,.0f} lost" for counts in zip(*pairs)]
            yield Row(f"default-buffer/{name}-{size}", f"{work}, {size:,} B at {rate:,}/s, default buffer: lost", theirs.name,
                      "datagrams lost a run", spread(a for a, _ in pairs), limit, *both)


DEFAULT_BUFFER = 4 << 20  # bytes: what mcastd asks for by itself
DEFAULT_BUFFER_WORKS = [
    ("count", "count only", receivers.mcastd(buffer=""), Limit(at_most=0)),
    ("file", "raw file recorder", receivers.recorder(buffer=""), None),
]

CASES = [
    Comparison("count/raw", COUNT, count, receivers.raw_count, Limit(at_most=1.08), less=False),
    Comparison("count/raw-unread", COUNT, count, receivers.raw_unread, less=False),
    Comparison("count/iperf", COUNT, count, receivers.iperf, Limit(at_least=1.6), quick=False),
    Comparison("count/mgen", COUNT, count, receivers.mgen, Limit(at_least=2.2)),
    Comparison("count/mgen-silent", COUNT, count, receivers.mgen_silent),
    Comparison("count/single", COUNT, count, receivers.raw_single, Limit(at_least=2.2), quick=False,
               steady=False),
    Comparison("count/multicat", COUNT, count, receivers.multicat_null),
    Comparison("count/socat", COUNT, count, receivers.socat_null, Limit(at_least=7)),
    Comparison("count/ipv6", "64 B, count only, over IPv6", receivers.mcastd(group=GROUP6), receivers.mcastd("mcastd, over IPv4"),
               less=False),
    Comparison("count/sockets", "64 B, count only, beside 1,000 idle groups with sockets",
               receivers.mcastd("mcastd", keys="socket = true;", groups=1000), receivers.mcastd("mcastd, that group alone"),
               Limit(at_most=1.15), less=False, quick=False),
    Case("loss-free", run_loss_free),
    Case("default-buffer", run_default_buffer),
]
