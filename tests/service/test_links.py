"""Interfaces that are not there when the system boots."""

from itertools import groupby

import pytest

from harness.peers import send
from harness.waiting import wait_until

CONFIG = """
groups: {
  v4: { address = "233.252.0.1"; port = 5004; interfaces = ["late0"]; };
  v6: { address = "ff15::1"; port = 5004; interfaces = ["late*"]; };
};
"""

GROUPS = {"v4": "233.252.0.1", "v6": "ff15::1"}


@pytest.fixture
def link(system):
    """Adds and deletes the interface late0, whose other end is late0-end."""
    class Link:
        def add(self, index=""):
            system.network.ip(
                f"link add late0 {index and f'index {index}'} type veth peer name end0", "address add 203.0.113.1/24 dev late0",
                "address add 2001:db8:9::1/64 dev late0 nodad", "link set end0 up", "link set late0 up")

        def delete(self):
            system.network.ip("link delete late0")

    link = Link()
    yield link
    if "late0" in system.network.run("ip", "-br", "link"):
        link.delete()


def assert_receives(service):
    for name, address in GROUPS.items():
        wait_until(lambda: service.states(name) == {"late0": "joined"}, f"{name} to be joined")

        def received():
            if service.system.network.has_route("late0"):
                send(service.system, b"x", address, 5004, "late0")
            return service.group(name)["received"]

        wait_until(received, f"a datagram of {name}")


def test_the_service_starts_without_the_interface_and_joins_when_it_comes(service, link):
    service.start(CONFIG)
    assert service.states("v4") == {"late0": "waiting"}
    assert "2 waiting" in service.show("StatusText")
    link.add()
    assert_receives(service)


def test_an_interface_that_is_made_anew_is_joined_anew(service, link):
    link.add()
    service.start(CONFIG)
    for _ in range(3):
        assert_receives(service)
        link.delete()
        wait_until(lambda: service.states("v4") == {"late0": "waiting"}, "the interface to be missed")
        link.add()
    assert_receives(service)


def test_each_transition_is_an_entry_that_says_what_it_is_about(service, link):
    service.start(CONFIG)
    link.add()
    assert_receives(service)
    link.delete()
    wait_until(lambda: service.states("v4") == {"late0": "waiting"}, "the interface to be missed")

    def about():
        """Alike ones that follow each other are one: an interface that comes or goes may be seen while it is down."""
        service.system.run("journalctl", "--sync")
        return [what for what, _ in groupby(
            (entry["MCASTD_ABOUT_INTERFACE"], entry["MESSAGE_ID"], entry["PRIORITY"], entry["_SYSTEMD_UNIT"])
            for entry in service.system.entries("MCASTD_ABOUT_GROUP=v4", since=service.since))]

    wait_until(lambda: len(about()) >= 3, "the entries")
    waiting = ("late0", "fb658578d5304ea784e4b172c2ef849e", "5", "mcastd.service")
    joined = ("late0", "48ade7c0a2cc4716baa3ab3315c2fa4b", "6", "mcastd.service")
    assert about() == [waiting, joined, waiting]
    shown = service.system.run("journalctl", "-x", "-q", "--since", service.since, "MCASTD_ABOUT_GROUP=v4")
    assert " Subject: Joined the multicast group v4 on late0\n" in shown


def test_the_status_follows_the_interfaces(service, link):
    service.start(CONFIG)
    link.add()
    assert_receives(service)
    wait_until(lambda: service.show("StatusText") == "2 groups: 2 memberships joined, 0 waiting, 0 failed", "the status")


def test_an_interface_that_is_replaced_at_once_by_one_of_the_same_index_is_joined_anew(service, link):
    """systemd's copy of the old socket, closed later, does not take the new membership with it."""
    link.add(index=4711)
    service.start(CONFIG)
    for _ in range(5):
        assert_receives(service)
        link.delete()
        link.add(index=4711)
    assert_receives(service)


def test_the_status_follows_join_and_leave(service):
    service.start(CONFIG)
    service.ctl("join", "233.252.0.7:5007", "--name", "more", "--interface", "eth0")
    wait_until(lambda: service.show("StatusText") == "3 groups: 1 membership joined, 2 waiting, 0 failed", "the status")
    service.ctl("leave", "more")
    wait_until(lambda: service.show("StatusText") == "2 groups: 0 memberships joined, 2 waiting, 0 failed", "the status")
