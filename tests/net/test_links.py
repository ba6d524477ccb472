"""Interfaces that come late, go, and come back: the daemon receives again whenever there is something to receive from."""

import socket

import pytest

from harness.peers import send
from harness.topology import Host
from harness.waiting import wait_until

CONFIG = """
groups: {
  v4:  { address = "233.252.0.1"; port = 5004; interfaces = ["late*"]; };
  v6:  { address = "ff15::1"; port = 5004; interfaces = ["late0"]; };
  ssm: { address = "232.0.0.1"; port = 5004; interfaces = ["late0"]; sources = ["203.0.113.2"]; };
};
"""

GROUPS = {"v4": "233.252.0.1", "v6": "ff15::1", "ssm": "232.0.0.1"}


class Link:
    """An interface of the host that comes and goes, and a peer at its other end."""

    def __init__(self, host, peer):
        self.host, self.peer = host, peer

    def add(self, name="late0", index=None):
        index = f"index {index} " if index else ""
        self.host.ip(f"link add {name} {index}type veth peer name eth9 netns {self.peer.path}")
        self.peer.ip("address add 203.0.113.2/24 dev eth9", "address add 2001:db8:9::2/64 dev eth9 nodad",
                     "link set eth9 up")
        self.host.ip(f"address add 203.0.113.1/24 dev {name}", f"link set {name} up")

    def delete(self, name="late0"):
        self.host.ip(f"link delete {name}")


@pytest.fixture
def link(net):
    peer = Host()
    link = Link(net.host, peer)
    yield link
    for name in ("late0", "late1"):
        if name in net.host.run("ip", "-br", "link"):
            link.delete(name)
    peer.close()


def state(daemon, group):
    return {m["state"] for m in daemon.group(group)["memberships"]}


def wait_state(daemon, wanted):
    wait_until(lambda: all(state(daemon, group) == {wanted} for group in GROUPS), f"all groups to be {wanted}")


def assert_receives(daemon, link):
    """Sends until a datagram of each group has arrived: a link may take a moment to carry anything."""
    for group, address in GROUPS.items():
        before = daemon.group(group)["received"]

        def received():
            if link.peer.has_route("eth9"):
                send(link.peer, b"x", address, 5004, "eth9")
            return daemon.group(group)["received"] > before

        wait_until(received, f"a datagram of {group}")


def test_an_interface_that_comes_late_is_joined(start, link):
    daemon = start(CONFIG)
    wait_state(daemon, "waiting")
    link.add()
    wait_state(daemon, "joined")
    assert_receives(daemon, link)


def test_a_deleted_interface_is_waited_for_and_says_so(start, link):
    link.add()
    daemon = start(CONFIG)
    wait_state(daemon, "joined")
    link.delete()
    wait_state(daemon, "waiting")
    assert daemon.membership("v6", "late0")["error"] == "there is no such interface"
    assert "group v6: waiting for late0: there is no such interface" in daemon.log()


def test_an_interface_may_be_made_anew_time_and_again(start, link):
    daemon = start(CONFIG)
    for _ in range(5):
        link.add()
        wait_state(daemon, "joined")
        assert_receives(daemon, link)
        link.delete()


def test_an_interface_that_is_replaced_at_once_by_one_of_the_same_index_is_joined_anew(start, link):
    link.add(index=4711)
    daemon = start(CONFIG)
    wait_state(daemon, "joined")
    assert_receives(daemon, link)
    # Stopped, the daemon does not see that it was gone: when it looks, the same name has the same index.
    daemon.pause()
    link.delete()
    link.add(index=4711)
    daemon.resume()
    assert_receives(daemon, link)


def test_a_renamed_interface_is_another(start, link, net):
    link.add("late1")
    daemon = start(CONFIG)
    assert state(daemon, "v6") == {"waiting"}
    net.host.ip("link set late1 down", "link set late1 name late0", "link set late0 up")
    wait_state(daemon, "joined")
    assert_receives(daemon, link)


def test_an_interface_that_is_set_down_and_up_goes_on(start, link, net):
    link.add()
    daemon = start(CONFIG)
    wait_state(daemon, "joined")
    net.host.ip("link set late0 down", "link set late0 up")
    assert_receives(daemon, link)


def test_an_interface_that_is_down_at_the_start_is_waited_for(start, link, net):
    link.add()
    net.host.ip("link set late0 down")
    daemon = start(CONFIG)
    wait_state(daemon, "waiting")
    net.host.ip("link set late0 up")
    wait_state(daemon, "joined")
    assert_receives(daemon, link)


def test_an_interface_whose_addresses_are_flushed_goes_on(start, link, net):
    link.add()
    daemon = start(CONFIG)
    wait_state(daemon, "joined")
    net.host.ip("address flush dev late0", "address add 203.0.113.1/24 dev late0")
    assert_receives(daemon, link)


def test_a_membership_that_the_kernel_forgets_is_joined_again(start, link, net):
    """With an MTU that IPv6 cannot do with, the kernel drops all that it has of it, and tells no socket."""
    link.add()
    daemon = start(CONFIG)
    wait_state(daemon, "joined")
    assert_receives(daemon, link)
    net.host.ip("link set late0 mtu 1200", "link set late0 mtu 1500")
    assert_receives(daemon, link)
    assert "group v6: the kernel has forgotten the membership on late0; joining again" in daemon.log()


def test_a_port_that_others_hold_is_tried_again_until_it_is_free(start, net):
    with net.host:
        holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        holder.bind(("233.252.0.1", 5004))
    with holder:
        daemon = start('groups: { g: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; }; };')
        assert state(daemon, "g") == {"failed"}
        assert daemon.membership("g", "eth0")["error"] == (
            "port 5004 is held by uid 0, which does not share it (SO_REUSEADDR); ss -lunp sport = 5004 shows the program, "
            "or none where it is the kernel (VXLAN, WireGuard)")
    wait_until(lambda: state(daemon, "g") == {"joined"}, "the membership")
    assert daemon.log().count("not joined on eth0") == 1


def test_a_reload_tries_at_once_what_the_kernel_refused(start):
    host = Host()
    host.ip("link add x0 type bridge", "link set x0 up", "address add 203.0.113.1/24 dev x0")
    host.run("sysctl", "-qw", "net.ipv4.igmp_max_memberships=0")
    daemon = start('groups: { g: { address = "233.252.0.1"; port = 5004; interfaces = ["x0"]; }; };', host=host)
    assert state(daemon, "g") == {"failed"}
    host.run("sysctl", "-qw", "net.ipv4.igmp_max_memberships=20")
    daemon.call("Reload")
    assert state(daemon, "g") == {"joined"}
    host.close()


def test_a_port_that_the_kernel_holds_is_told_and_tried_again(start, net):
    net.host.ip("link add vx0 type vxlan id 5 remote 192.0.2.2 dstport 4789 dev eth0", "link set vx0 up")
    daemon = start('groups: { g: { address = "233.252.0.1"; port = 4789; interfaces = ["eth0"]; }; };')
    assert daemon.membership("g", "eth0")["error"].endswith("or none where it is the kernel (VXLAN, WireGuard)")
    net.host.ip("link delete vx0")
    wait_until(lambda: state(daemon, "g") == {"joined"}, "the membership")


def test_an_interface_may_leave_the_namespace_and_come_back(start, link, net):
    link.add()
    daemon = start(CONFIG)
    wait_state(daemon, "joined")
    net.host.ip(f"link set late0 netns {net.other.path}")
    wait_state(daemon, "waiting")
    net.other.ip(f"link set late0 netns {net.host.path}")
    net.host.ip("link set late0 up", "address add 203.0.113.1/24 dev late0")
    wait_state(daemon, "joined")
    assert_receives(daemon, link)


def test_counters_go_on_when_an_interface_is_made_anew(start, link):
    link.add()
    daemon = start(CONFIG)
    wait_state(daemon, "joined")
    assert_receives(daemon, link)
    before = {group: daemon.group(group)["received"] for group in GROUPS}
    link.delete()
    link.add()
    wait_state(daemon, "joined")
    assert_receives(daemon, link)
    assert all(daemon.group(group)["received"] > before[group] for group in GROUPS)
