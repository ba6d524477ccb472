"""Interfaces that are not there when the system boots."""

import pytest

from peers import send
from waiting import wait_until

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
        def add(self):
            system.network.ip(
                "link add late0 type veth peer name end0", "address add 203.0.113.1/24 dev late0",
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
