"""Fixtures of the tests with real programs: those of the network tests, two networks that route to each other, and two sites."""

import pytest

from harness.sites import Sinks, two_sites
from net.conftest import accounting, daemon, directory, net, programs, pytest_configure, start  # noqa: F401


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


@pytest.fixture(scope="module")
def sites():
    """Two sites, and three hosts for brokers on the WAN between them."""
    with two_sites(brokers=3) as sites:
        yield sites


@pytest.fixture(scope="session")
def sinks(tmp_path_factory):
    """sinks(host, group, port): what comes of what blast(..., timed=True) sends."""
    return Sinks(tmp_path_factory.mktemp("sinks"))
