"""Measuring: what a datagram costs a receiver, and A against B in pairs.

The machine is never quiet, and it changes. So A and B take turns, each pair gives one ratio, and what counts is the median of
the ratios. How far they spread is told with it.
"""

import statistics
import time
from dataclasses import dataclass

from bench.programs import settle

WARM_UP = 2000  # datagrams before the first that counts


@dataclass
class Sample:
    """One run of one receiver."""

    sent: int
    delivered: int
    dropped: int  # by the kernel, as the receive buffer was full
    cpu_ns: int
    seconds: float
    note: str = ""

    @property
    def ns(self):
        """CPU time for each datagram that was delivered."""
        return self.cpu_ns / max(self.delivered, 1)

    @property
    def rate(self):
        return self.delivered / self.seconds


def check_count(running, before, received):
    """The receiver's own count and the kernel's are of the same datagrams."""
    own = running.own_count() - before
    return "" if own == received else f"it counted {own} datagrams, the kernel {received}"


def finish(net, running, arrived, sent):
    """Waits until what was sent has been read or dropped, as far as sockets of the host get it at all, and settled."""
    end = time.monotonic() + 0.5
    while net.received() + net.dropped() < arrived + sent and time.monotonic() < end:
        time.sleep(0.01)
    return settle(running.pid)


def sample(net, receiver, load):
    """Starts a receiver, sends to it, and says what that has cost."""
    load = load.changed(layout=load.layout or receiver.layout, address=receiver.group)
    with receiver.start(net) as running:
        warm = load.changed(count=min(WARM_UP, load.count or WARM_UP), rate=min(load.rate or 50_000, 50_000))
        arrived = net.received() + net.dropped()
        finish(net, running, arrived, warm.send(net)["sent"])
        own = running.own_count() if running.own_count else 0
        delivered, received, dropped = running.delivered(), net.received(), net.dropped()
        cpu = settle(running.pid, quiet=0.05)
        sent = load.send(net)
        cpu = finish(net, running, received + dropped, sent["sent"]) - cpu
        note = check_count(running, own, net.received() - received) if running.own_count else ""
        return Sample(
            sent["sent"], running.delivered() - delivered, net.dropped() - dropped, cpu, sent["seconds"], note)


def take_turns(count, first, second):
    """Calls both so many times, and who is first changes. Returns the pairs of what they returned."""
    pairs = []
    for number in range(count):
        if number % 2:
            theirs = second()
            pairs.append((first(), theirs))
        else:
            ours = first()
            pairs.append((ours, second()))
    return pairs


@dataclass
class Spread:
    median: float
    low: float
    high: float
    values: list


def spread(values):
    """The median, and the quartiles around it."""
    values = list(values)
    if len(values) < 2:
        return Spread(values[0], values[0], values[0], values)
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high, values)
