"""Fixtures of the tests with real programs: those of the network tests, and two networks that route to each other."""

import pytest

from net.conftest import accounting, directory, net, pytest_configure, start  # noqa: F401


@pytest.fixture(scope="module")
def routed(net):
    """The host forwards unicast between its networks, as the router of a house does: phone and device can talk, but
    groups stay where they are. The phone is net.peer, the device net.side."""
    with net.host:
        with open("/proc/sys/net/ipv4/ip_forward", "w") as setting:
            setting.write("1")
    net.peer.ip(f"route add default via {net.host.v4}")
    net.side.ip("route add default via 198.51.100.1")
    return net
