"""Reloads by the hundred under load: what they do not change loses nothing."""

import time

import pytest

from harness.waiting import wait_until

GROUPS = 100
RATE = 10_000
SIZE = 200
RECORDED = 'handlers: { raw: { type = "file"; path = "/var/log/mcastd/raw"; format = "raw"; }; };'


def groups(changed=None, number=0):
    """A hundred groups, of which one may be changed to a receive buffer and a TTL of its own."""
    def group(i):
        ttl, buffer = (number % 200 + 2, f"{number % 3 + 1}M") if i == changed else (1, "4M")
        return f'g{i}: {{ address = "239.1.0.{i + 1}"; port = 5004; interfaces = ["eth0"]; handlers = ["raw"];' \
            f' ttl = {ttl}; receive_buffer = "{buffer}"; }};'

    return f"groups: {{ {' '.join(group(i) for i in range(GROUPS))} }};\n{RECORDED}\n"


def sockets(service):
    """Descriptor and inode of each socket."""
    lines = service.system.run("sh", "-c", f"cd /proc/{service.pid}/fd && for i in *; do readlink $i | sed s/^/$i:/; done")
    return {line for line in lines.splitlines() if "socket:" in line}


def counts(service):
    return {group["name"]: group["received"] for group in service.call("ListGroups")["groups"]}


def assert_nothing_lost(service, sent, before):
    def all_there():
        now = counts(service)
        return sum(now.values()) - sum(before.values()) == sent

    wait_until(all_there, f"{sent} datagrams")
    assert sum(group["kernelDropped"] for group in service.call("ListGroups")["groups"]) == 0
    service.ctl("stats", "--check")


@pytest.fixture(autouse=True)
def remove_recording(system):
    yield
    system.try_run("rm", "-f", "/var/log/mcastd/raw")


@pytest.mark.long
def test_1000_sighups_in_10_seconds_touch_nothing(service, blast, say):
    service.start(groups())
    before, fds = counts(service), sockets(service)
    with blast.stream(service.system.network, "239.1.0.1", 5004, SIZE, rate=RATE, interface="eth0",
                      groups=GROUPS) as stream:
        started = time.monotonic()
        service.system.run("sh", "-c", f"for i in $(seq 1000); do kill -HUP {service.pid}; sleep 0.008; done")
        seconds = time.monotonic() - started
    assert_nothing_lost(service, stream.sent, before)
    assert sockets(service) == fds
    say(f"1,000 SIGHUPs in {seconds:.1f} s: {service.log().count('reloaded: ')} reloads; {stream.sent:,} sent, 0 lost")


@pytest.mark.long
def test_50_reloads_that_change_one_group_of_100_leave_the_others_alone(service, blast, say):
    service.start(groups())
    before, fds = counts(service), sockets(service)
    with blast.stream(service.system.network, "239.1.0.1", 5004, SIZE, rate=RATE, interface="eth0",
                      groups=GROUPS) as stream:
        for number in range(50):
            service.configure(groups(0, number))
            service.reload()
    # The groups are sent to in turn.
    least = stream.sent // GROUPS
    names = [name for name in before if name != "g0"]
    wait_until(lambda: min(counts(service)[name] for name in names) >= least, "what was sent to the others")
    after = counts(service)
    assert {after[name] - least for name in names} <= {0, 1}
    assert sum(group["kernelDropped"] for group in service.call("ListGroups")["groups"]) == 0
    assert len(fds - sockets(service)) == 1  # the one of g0
    service.ctl("stats", "--check")
    say(f"50 reloads that change one group of {GROUPS}: {stream.sent:,} sent, 0 of the others lost, their sockets the"
        f" same; {least - after['g0']} of the {least} of the group itself")


@pytest.mark.long
def test_reloads_of_a_broken_configuration_lose_nothing(service, blast, say):
    service.start(groups())
    before, fds, pid = counts(service), sockets(service), service.pid
    with blast.stream(service.system.network, "239.1.0.1", 5004, SIZE, rate=RATE, interface="eth0",
                      groups=GROUPS) as stream:
        for _ in range(20):
            service.configure(groups() + "nonsense = 1;\n")
            service.system.fail("systemctl", "reload", "mcastd")
            assert service.systemctl("is-active", "mcastd").strip() == "active"
    assert_nothing_lost(service, stream.sent, before)
    assert (service.pid, sockets(service)) == (pid, fds)
    say(f"20 reloads of a broken configuration: {stream.sent:,} sent, 0 lost")
