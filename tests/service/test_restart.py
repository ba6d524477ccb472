"""What arrives while the daemon is not there is received after it: over restarts, crashes and hangs."""

import re

import pytest

from harness.daemon import balance
from harness.peers import has_membership, send
from harness.waiting import wait_until

pytestmark = pytest.mark.usefixtures("remove_recording")

CONFIG = """
groups: {
  news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["raw"]; receive_buffer = "16M"; };
  v6: { address = "ff15::1"; port = 5004; interfaces = ["eth0"]; };
  ssm: { address = "232.1.1.1"; port = 5004; interfaces = ["eth0"]; sources = ["192.0.2.1"]; };
};
handlers: { raw: { type = "file"; path = "/var/log/mcastd/raw"; format = "raw"; }; };
"""
SIZE = 200


def restart(service):
    service.restart()


def kill(service):
    pid = service.pid
    service.kill("KILL")
    service.wait_restarted(pid)


ENDS = pytest.mark.parametrize("end", [restart, kill])


def assert_all_arrived(service, sent):
    """Every datagram was received, and every one of them is accounted for."""
    def arrived():
        group = service.group("news")
        return group["received"] + group["kernelDropped"] >= sent and not service.handler("raw")["queued"]

    wait_until(arrived, f"{sent} datagrams")
    group, handler = service.group("news"), service.handler("raw")
    assert (group["received"], group["kernelDropped"]) == (sent, 0)
    assert handler["received"] == sent and balance(handler) == 0
    return handler


@ENDS
def test_nothing_is_lost_and_the_counters_go_on(service, blast, end):
    service.start(CONFIG)
    with blast.stream(service.system.network, "233.252.0.1", 5004, SIZE, rate=2000, interface="eth0") as stream:
        for _ in range(3):
            before = service.group("news")["received"]
            service.wait_received("news", before + 500)
            end(service)
    handler = assert_all_arrived(service, stream.sent)
    assert handler["dropped"]["shutdown"] == (0 if end is restart else handler["received"] - handler["delivered"])
    service.ctl("stats", "--check")
    assert re.search("continuing an earlier run: 3 memberships stayed joined, .* dropped 0 datagrams",
                     service.log())


@ENDS
@pytest.mark.long
def test_nothing_is_lost_over_20_of_them_at_20000_a_second(service, blast, say, end):
    service.start(CONFIG)
    with blast.stream(service.system.network, "233.252.0.1", 5004, SIZE, rate=20000, interface="eth0") as stream:
        for _ in range(20):
            before = service.group("news")["received"]
            service.wait_received("news", before + 5000)
            end(service)
    handler = assert_all_arrived(service, stream.sent)
    group = service.group("news")
    say(f"{end.__name__}: {stream.sent} sent, {group['received']} received, {group['kernelDropped']} dropped by the kernel")
    say(f"  {handler['delivered']} delivered, {handler['dropped']['shutdown']} dropped at the end of a run")


def test_a_stop_leaves_the_groups_and_a_start_begins_anew(service):
    service.start(CONFIG)
    send(service.system, b"x", "233.252.0.1", 5004, "eth0")
    service.wait_received("news")
    assert has_membership(service.system, "233.252.0.1") and has_membership(service.system, "ff15::1")
    service.systemctl("stop", "mcastd")
    assert not has_membership(service.system, "233.252.0.1") and not has_membership(service.system, "ff15::1")
    send(service.system, b"x", "233.252.0.1", 5004, "eth0")
    service.systemctl("start", "mcastd")
    assert service.group("news")["received"] == 0


def test_an_interface_that_was_made_anew_meanwhile_is_joined_again(service):
    service.system.network.ip("link add veth9 index 900 type veth peer name veth9-end", "link set veth9-end up",
                              "address add 198.51.100.1/24 dev veth9", "link set veth9 up")
    try:
        service.start('groups: { g: { address = "233.252.0.9"; port = 5004; interfaces = ["veth9"]; }; };')
        pid = service.pid
        service.kill("STOP")
        service.system.network.ip("link delete veth9",
                                  "link add veth9 index 900 type veth peer name veth9-end", "link set veth9-end up",
                                  "address add 198.51.100.1/24 dev veth9", "link set veth9 up")
        service.kill("KILL")
        service.wait_restarted(pid)
        assert service.states("g") == {"veth9": "joined"}

        def receives():
            send(service.system, b"x", "233.252.0.9", 5004, "veth9")
            return service.group("g")["received"]

        wait_until(receives, "a datagram")
    finally:
        service.system.network.ip("link delete veth9")


def test_a_group_that_the_configuration_has_no_more_is_left(service):
    service.start(CONFIG)
    service.configure(CONFIG.replace("232.1.1.1", "232.1.1.2"))
    service.restart()
    assert not has_membership(service.system, "232.1.1.1") and has_membership(service.system, "232.1.1.2")


def test_a_group_that_a_reload_removes_is_left_and_does_not_come_back(service):
    service.start(CONFIG)
    service.configure(re.sub("ssm: .*\n", "", CONFIG))
    assert has_membership(service.system, "232.1.1.1")
    service.reload()
    assert not has_membership(service.system, "232.1.1.1")
    service.restart()
    assert {group["name"] for group in service.call("ListGroups")["groups"]} == {"news", "v6"}
    assert not has_membership(service.system, "232.1.1.1")


def test_a_daemon_that_hangs_is_replaced_and_nothing_is_unexplained(service, blast):
    service.drop_in("watchdog", "[Service]\nWatchdogSec=1\n")
    service.start(CONFIG)
    with blast.stream(service.system.network, "233.252.0.1", 5004, SIZE, rate=2000, interface="eth0") as stream:
        service.wait_received("news", 500)
        pid = service.pid
        service.kill("STOP")
        service.wait_restarted(pid)
        service.wait_received("news", service.group("news")["received"] + 500)
    assert_all_arrived(service, stream.sent)


SMALL = """
groups: {
  news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["raw"]; receive_buffer = "64K"; };
};
handlers: { raw: { type = "file"; path = "/var/log/mcastd/raw"; format = "raw"; }; };
"""

def held(service, act):
    """Does something while the daemon stands still, and then kills it, so that the next one finds the outcome."""
    pid = service.pid
    service.kill("STOP")
    result = act()
    service.kill("KILL")
    service.wait_restarted(pid)
    return result


def overflow(service, blast, count=1000):
    """Sends more than the receive buffer holds. Returns the group, with the drops counted."""
    service.kill("STOP")
    blast(service.system.network, "233.252.0.1", 5004, count, SIZE, interface="eth0")
    service.kill("CONT")

    def counted():
        group = service.group("news")
        return group["received"] + group["kernelDropped"] == count and group

    return wait_until(counted, "all to be counted")


def test_what_the_kernel_dropped_is_counted_once_over_restarts(service, blast):
    service.start(SMALL)
    dropped = overflow(service, blast)["kernelDropped"]
    assert dropped > 0
    for _ in range(3):
        service.restart()
        assert service.group("news")["kernelDropped"] == dropped


def test_drops_of_an_interface_that_went_meanwhile_stay_counted(service, blast):
    network = service.system.network
    network.ip("link add late0 type veth peer name end0", "address add 203.0.113.1/24 dev late0", "link set end0 up",
               "link set late0 up")
    service.start(SMALL.replace("eth0", "late*"))
    service.kill("STOP")
    blast(network, "233.252.0.1", 5004, 1000, SIZE, interface="late0")
    service.kill("CONT")
    dropped = wait_until(lambda: service.group("news")["kernelDropped"], "drops")
    held(service, lambda: network.ip("link delete late0"))
    assert service.group("news")["kernelDropped"] == dropped


def test_counters_that_begin_anew_do_not_count_the_drops_of_before(service, blast):
    service.start(SMALL)
    overflow(service, blast)
    pid = service.pid
    held(service, lambda: service.system.run(
        "sh", "-c", rf"cd /proc/{pid}/fd && for i in *; do case $(readlink $i) in *mcastd-counters*)"
        r" printf '\377' | dd of=$i bs=1 seek=8 conv=notrunc; esac; done"))
    group = service.group("news")
    assert (group["received"], group["kernelDropped"]) == (0, 0)


def test_what_waits_in_a_socket_that_the_new_configuration_opens_otherwise_is_received(service, blast):
    service.start(SMALL)

    def change():
        service.configure(SMALL.replace("64K", "1M"))
        return blast(service.system.network, "233.252.0.1", 5004, 60, SIZE, interface="eth0")

    sent = held(service, change)
    wait_until(lambda: service.group("news")["received"] == sent, "what was sent meanwhile")


def test_a_socket_that_is_given_up_does_not_take_the_new_membership_with_it(service):
    """The interface is made anew under its index, and the group has changed."""
    network = service.system.network

    def add():
        network.ip("link add veth9 index 900 type veth peer name veth9-end", "link set veth9-end up",
                   "address add 198.51.100.1/24 dev veth9", "link set veth9 up")

    add()
    try:
        config = SMALL.replace("eth0", "veth9")
        service.start(config)

        def change():
            network.ip("link delete veth9")
            add()
            service.configure(config.replace("64K", "128K"))

        held(service, change)

        def receives():
            send(service.system, b"x", "233.252.0.1", 5004, "veth9")
            return service.group("news")["received"]

        wait_until(receives, "a datagram")
    finally:
        network.ip("link delete veth9")


NUMBERED = """
groups: {
  a: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; sequence = "u16@0"; };
  b: { address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; };
  merged: { merge = ["a", "b"]; sequence = "u16@0"; };
};
"""


def test_numbers_and_legs_add_up_after_each_kill(service, blast):
    service.start(NUMBERED)
    with blast.stream(service.system.network, "233.252.0.1", 5004, SIZE, rate=20000, interface="eth0"):
        for _ in range(3):
            service.wait_received("merged", service.group("merged")["received"] + 500)
            kill(service)
            service.ctl("stats", "--check")
