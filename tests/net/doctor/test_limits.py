"""What mcastctl doctor costs: time, memory, and the host is as before."""

import os
import subprocess
import time

import pytest

from harness.daemon import Daemon
from harness.faults import FAULTS, HEALTHY
from harness.lab import sh
from harness.topology import Host
from harness.waiting import wait_until
from net.doctor.trial import situation, target_of

pytestmark = pytest.mark.waits

BY_NAME = {fault.name: fault for fault in FAULTS + HEALTHY}
GROUPS = 10_000


def ctl_of(release):
    return os.path.join(os.path.dirname(release), "mcastctl")


def peak_of(pid):
    """How much memory it has had at most, in MiB; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("VmHWM:")), 0) / 1024
    except (FileNotFoundError, ProcessLookupError):
        return 0


def state_of(host):
    """What of a host a doctor could change."""
    return "\n".join(sh(host, command) for command in (
        "sysctl -a 2>/dev/null | grep -E '^net.(ipv4|ipv6|core|bridge)' | grep -vE 'nf_conntrack|random|neigh'", "ip -d link", "ip address",
        "ip route; ip -6 route; ip rule", "nft list ruleset | sed 's/packets [0-9]* bytes [0-9]*//'", "ip maddress"))


@pytest.mark.parametrize("name", ["plain", "input_drops_the_port", "rp_filter_strict"])
def test_the_host_is_as_before(office, name):
    with situation(BY_NAME[name]) as lab:
        lab.begin()
        before = state_of(lab.host)
        office.ask(lab, "target")
        assert state_of(lab.host) == before


@pytest.mark.long
@pytest.mark.parametrize("name", ["plain", "sender_is_silent", "input_drops_the_port", "a_thousand_a_second", "switch_forgot_the_host"])
def test_it_ends_in_time_and_is_small(release, name):
    fault = BY_NAME[name]
    with situation(fault) as lab:
        lab.begin()
        lab.stream.wait(5)
        began, peak = time.monotonic(), 0
        with lab.host:
            child = subprocess.Popen([ctl_of(release), "doctor", target_of(lab), "--wait", "1s"], stdout=subprocess.DEVNULL)
        while child.poll() is None:
            peak = max(peak, peak_of(child.pid))
            lab.stream.wait(1)
        assert child.returncode in (0, 1)
        assert time.monotonic() - began < 3
        assert 0 < peak < 20


@pytest.mark.long
def test_ten_thousand_groups_in_ten_seconds_and_the_loop_is_never_away(release, say):
    host = Host()
    host.ip("link add one type veth peer name two", "link set one up", "link set two up", "address add 192.0.2.2/24 dev one")
    groups = "".join(f'g{number}: {{ address = "239.1.{number // 250}.{number % 250}"; port = 5004; interfaces = ["one"]; }}; '
                     for number in range(GROUPS))
    with Daemon(host, f"groups: {{ {groups} }};\n", binary=release) as daemon:
        wait_until(lambda: daemon.call("GetStatus")["memberships"]["joined"] == GROUPS, "the joins", timeout=60)
        began, longest = time.monotonic(), 0
        with host:
            child = subprocess.Popen([ctl_of(release), "-s", daemon.control_path, "doctor"],
                                     stdout=subprocess.DEVNULL)
        with daemon.connect() as control:
            while child.poll() is None:
                asked = time.monotonic()
                control.call("GetStatus")
                longest = max(longest, time.monotonic() - asked)
        child.wait()
        took = time.monotonic() - began
    host.close()
    say(f"{GROUPS} groups: {took:.1f} s, the loop was away for at most {longest * 1000:.0f} ms")
    assert took < 10 and longest < 0.02
