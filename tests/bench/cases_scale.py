"""How the cost of a datagram grows: with groups, handlers, subscribers and the payload."""

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Callable

from bench.case import FLOOD, Case
from bench.cases_many import subscribed
from bench.measure import sample, spread
from bench.programs import Load
from bench.receivers import Receiver, Running, mcastd, mcastd_config, run_mcastd
from bench.report import Row

SEGMENT_MAX = 1400  # bytes: what is larger than the MTU cannot be sent in bulk


@dataclass(frozen=True)
class Series:
    """One curve: what changes, its values, and how to measure the nanoseconds of a datagram at one of them."""

    name: str
    work: str  # with {} for the value
    axis: str  # what is said below the curve
    values: tuple
    measure: Callable  # (bench, value) -> ns

    def run(self, bench):
        values = (self.values[0], self.values[-2]) if bench.quick else self.values
        for value in values:
            runs = [self.measure(bench, value) for _ in range(1 if bench.quick else 3)]
            yield Row(f"scale/{self.name}/{value}", self.work.format(f"{value:,}"), "", "ns", spread(runs))


def groups_one(bench, count):
    return sample(bench.net, mcastd(groups=count), FLOOD.changed(seconds=bench.seconds)).ns


def groups_all(bench, count):
    return sample(bench.net, mcastd(groups=count), Load(seconds=bench.seconds, groups=count)).ns


def handlers(count):
    """mcastd with so many recorders on one group, each with a thread of its own."""
    names = [f"h{number}" for number in range(count)]
    keys = "handlers = [" + ", ".join(f'"{name}"' for name in names) + "];"
    body = "".join(f'{name}: {{ type = "file"; path = "$DIR/{name}"; format = "raw"; }}; ' for name in names)

    config = mcastd_config(keys) + f"handlers: {{ {body} }};\n"

    @contextmanager
    def start(net):
        with run_mcastd(net, config) as daemon:
            yield Running(daemon.process.pid, net.received)

    return Receiver("mcastd", start)


def many_handlers(bench, count):
    return sample(bench.net, handlers(count), Load(rate=20_000, seconds=bench.seconds)).ns


def many_subscribers(bench, count):
    return subscribed(bench.net, count, Load(rate=200, burst=1, seconds=bench.seconds))[0].ns


def payloads(bench, size):
    segmented = 0 < size <= SEGMENT_MAX
    return sample(bench.net, mcastd(), Load(size=size, segmented=segmented, seconds=bench.seconds)).ns


SERIES = [
    Series("groups-one", "{} groups, traffic on one", "groups joined, traffic on one", (1, 10, 100, 1000, 10_000),
           groups_one),
    Series("groups-all", "{} groups, traffic on all", "groups, traffic on all", (1, 10, 100, 1000, 10_000), groups_all),
    Series("handlers", "{} recorders on a group, 20,000/s", "recorders on a group", (1, 4, 16, 64), many_handlers),
    Series("subscribers", "{} subscribers, 200/s", "subscribers of a group", (1, 10, 100, 1000), many_subscribers),
    Series("payload", "{} bytes, count only", "bytes of payload", (0, 64, 512, 1400, 8192, 65_507), payloads),
]

CASES = [Case(f"scale/{series.name}", series.run) for series in SERIES]
