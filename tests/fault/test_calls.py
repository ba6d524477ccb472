"""The list of the calls is the daemon's: a call that it makes and that nobody makes fail is found here."""

import glob
import re

from fault.calls import CALLS, LEFT_ALONE, UNSEEN
from fault.lab import Lab
from harness.brokered import place_with_engine


def system_calls(prefix):
    """The names in the traces of the daemon's threads, without those of the programs that it starts."""
    names = set()
    for path in glob.glob(f"{prefix}.*"):
        with open(path, errors="backslashreplace") as file:
            trace = file.read()
        if not re.search(r'^execve\("(?!.*/mcastd")', trace, re.MULTILINE):
            names |= set(re.findall(r"^(\w+)\(", trace, re.MULTILINE))
    return names


def test_every_system_call_of_the_daemon_is_made_to_fail(lab, release, tmp_path):
    lab.binary = place_with_engine(tmp_path / "place", release).mcastd  # the sanitizers make calls of their own
    prefix = str(tmp_path / "trace")
    lab.start(wrapper=["strace", "-D", "-ff", "-qq", "-o", prefix])
    for phase in *Lab.PHASES.values(), Lab.rotate:  # the second file that is rotated makes the first one go
        assert phase(lab) == []
    lab.assert_recovers()
    assert lab.stop() == 0
    names = system_calls(prefix)
    assert {"recvmmsg", "epoll_wait", "sendmmsg"} <= names, names
    assert sorted(names - set(CALLS) - set(LEFT_ALONE)) == [], "system calls that tests/fault/calls.py does not list"
    assert sorted(set(CALLS) - names - set(UNSEEN)) == [], "tests/fault/calls.py lists system calls that are not made"
