"""The table of faults: what makes each, and what a doctor may say of it. Whoever looks for the cause knows nothing of this."""

from dataclasses import dataclass

# The ways to ask, and who asks: mcastctl alone, as root; and with a daemon that has the group. STRANGER is nobody, alone.
WAYS = "target", "root", "user", "nobody"
STRANGER = "stranger"

# What an honest program says that cannot know better.
HONEST = frozenset({"host-or-network", "not-on-wire"})


@dataclass
class Fault:
    name: str
    make: object  # function(lab): the situation, but for the stream
    causes: frozenset  # each of them is right, and may be certain
    family: int = 4
    base: str = "pair"  # the method of Lab that is called first; None: none
    ways: tuple = WAYS
    named_by: frozenset = frozenset(WAYS)  # who has to name one of the causes; others may say that they cannot know
    also: frozenset = frozenset()  # what is true, too, though not the cause
    arrives: str = "none"  # at a plain receiver: "none", "some", "all", "twice"
    wire: bool = True  # whether it comes in on the interface; None: nothing to look at
    plain: bool = True  # a plain receiver meets the fault, not only the daemon
    pasted: bool = False  # what the doctor says can be pasted on this host, and ends the fault
    send: bool = False  # the doctor is asked to send

    def __str__(self):
        return self.name


FAULTS = []
HEALTHY = []


def fault(*causes, families=(4,), into=None, unnamed="", also=(), ways=WAYS, **options):
    """Adds what it decorates, for each family. unnamed: "nobody user", those who need not name it."""
    named_by = frozenset(set(ways) - set(unnamed.split()))

    def add(make):
        for family in families:
            name = make.__name__ + ("_v6" if family == 6 else "")
            (FAULTS if into is None else into).append(
                Fault(name, make, frozenset(causes), family, named_by=named_by, also=frozenset(also), ways=tuple(ways), **options))
        return make

    return add


def healthy(families=(4,), **options):
    return fault(families=families, into=HEALTHY, arrives="all", **options)
