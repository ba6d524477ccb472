"""The claims that take time to prove: make check-long. Each prints its figures."""

import os
import subprocess
import time

import pytest

from harness.daemon import Daemon, balance
from harness.peers import process
from harness.waiting import wait_until
from net import test_isolation
from net.test_isolation import CONFIG, FAMILIES

assert CONFIG  # of the daemon fixture
pytestmark = pytest.mark.long


@FAMILIES
@pytest.mark.parametrize("test", [
    test_isolation.test_groups_that_another_program_joined_on_the_port_stay_out,
    test_isolation.test_the_same_group_on_another_interface_stays_out,
    test_isolation.test_source_specific_groups_get_nothing_from_another_source,
    test_isolation.test_blocked_sources_stay_out,
], ids=["other-group", "other-interface", "other-source", "blocked-source"])
def test_no_foreign_datagram_in_100000(daemon, net, blast, monkeypatch, say, test, family):
    monkeypatch.setattr(test_isolation, "COUNT", 100_000)
    test(daemon, net, blast, family)
    say(f"{test.__name__}, IPv{family}: 0 foreign in 100,000 of each stream")


def ten_thousand_groups():
    groups = "\n".join(
        f'  g{number:04x}: {{ address = "239.1.{number // 256}.{number % 256}"; port = 5004; interfaces = ["eth0"]; '
        'handlers = ["lines"]; };' for number in range(10_000))
    return f"groups: {{\n{groups}\n}};\n" \
        'handlers: { lines: { type = "file"; path = "$DIR/lines"; format = "line"; queue = "64M"; }; };\n'


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(next(line for line in file if line.startswith("VmRSS")).split()[1]) / 1024


def test_10000_groups_are_joined_in_a_second_and_64_mib(net, blast, say, release):
    started = time.monotonic()
    with Daemon(net.host, ten_thousand_groups(), binary=release) as daemon:
        status = daemon.call("GetStatus")
        seconds = time.monotonic() - started
        assert status["memberships"] == {"joined": 10_000, "waiting": 0, "failed": 0}
        blast(net.peer, "239.1.0.0", 5004, 10_000, groups=10_000)
        wait_until(lambda: daemon.read("lines").count(b"\n") == 10_000, "one datagram for each group")
        for line in daemon.read("lines").splitlines():
            fields = line.split()
            assert int(fields[1][1:], 16) == int(fields[6])
        memory = resident_mib(daemon.process.pid)
        say(f"10,000 groups: joined after {seconds:.2f} s, {memory:.1f} MiB resident, each datagram named right")
        assert memory < 64
        assert seconds < 1


@pytest.mark.parametrize("drop", ["newest", "oldest"])
def test_1000000_datagrams_into_a_slow_handler_are_accounted_for(net, blast, say, release, drop):
    """The handler writes to a pipe that is read only when the flood is over."""
    reading, writing = os.pipe()
    config = f"""
      groups: {{ flood: {{ address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["slow"];
                         receive_buffer = "64K"; }}; }};
      handlers: {{ slow: {{ type = "log"; stream = "stdout"; queue = "1M"; drop = "{drop}"; }}; }};"""
    with Daemon(net.host, config, binary=release, stdout=writing) as daemon:
        os.close(writing)
        started = time.monotonic()
        sent = blast(net.peer, "233.252.0.1", 5004, 1_000_000, bulk=True)
        seconds = time.monotonic() - started
        daemon.ctl("stats", "--check")
        daemon.wait_arrived("flood", sent)
        daemon.ctl("stats", "--check")
        with process(net.host, "cat", stdin=reading, stdout=subprocess.DEVNULL):
            os.close(reading)
            handler = daemon.wait_idle("slow")
        daemon.ctl("stats", "--check")
        group = daemon.group("flood")
        say(f"1,000,000 sent in {seconds:.2f} s = {group['received']:,} received + {group['kernelDropped']:,} dropped"
            f" by the kernel; handler: {handler['delivered']:,} delivered + {handler['dropped']['queue']:,} dropped"
            f" (drop = {drop})")
        assert handler["dropped"]["queue"] > 0
        assert sent == group["received"] + group["kernelDropped"]
        assert handler["received"] == group["received"] and balance(handler) == 0
