"""What a case of the bench is: a name, and a function that measures and gives rows."""

from dataclasses import dataclass, field
from typing import Callable

from bench.measure import sample, spread, take_turns
from bench.programs import Load
from bench.receivers import Receiver
from bench.report import Limit, Row


@dataclass
class Bench:
    """What a run of the bench has: the network, and how long it may take."""

    net: object
    quick: bool
    say: Callable

    @property
    def pairs(self):
        return 1 if self.quick else 5

    @property
    def seconds(self):
        return 0.2 if self.quick else 0.6


@dataclass(frozen=True)
class Case:
    name: str
    run: Callable  # (bench) -> rows


# More than any of them can take that does something with what it reads, so that they read full batches. Where datagrams are
# only counted, mcastd and raw keep up.
FLOOD = Load(segmented=True, rate=1_800_000)


@dataclass(frozen=True)
class Comparison:
    """The CPU time of two receivers for a datagram. The ratio is mcastd's of the other's; with less, how many times less
    mcastd takes."""

    name: str
    work: str
    ours: Receiver
    theirs: Receiver
    limit: Limit = None
    less: bool = True
    load: Load = field(default=FLOOD)
    quick: bool = True  # also in a quick run, where it has a limit
    steady: bool = True  # the same on all machines, unless the other makes a system call for each datagram, as programs do

    def row(self, **facts):
        unit = "x less CPU" if self.less else "x its CPU"
        return Row(self.name, self.work, self.theirs.name, unit, limit=self.limit, **facts)

    def ratio(self, ours, theirs):
        return theirs.ns / ours.ns if self.less else ours.ns / theirs.ns

    def run(self, bench):
        if bench.quick and not (self.limit and self.quick):
            return []
        missing = self.theirs.missing()
        if missing:
            return [self.row(note=missing)]
        load = self.load.changed(seconds=bench.seconds)
        pairs = take_turns(
            bench.pairs, lambda: sample(bench.net, self.ours, load), lambda: sample(bench.net, self.theirs, load))
        for ours, theirs in pairs:
            if not ours.delivered or not theirs.delivered:
                return [self.row(note="nothing was delivered")]
        notes = {self.theirs.note, *(note for pair in pairs for note in (pair[0].note, pair[1].note))} - {""}
        return [self.row(
            spread=spread(self.ratio(*pair) for pair in pairs), ours=f"{spread(a.ns for a, _ in pairs).median:.0f} ns",
            theirs=f"{spread(b.ns for _, b in pairs).median:.0f} ns", note="; ".join(sorted(notes)),
            steady=self.steady and not self.theirs.tool)]
