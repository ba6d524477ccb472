"""The recipe doc/two-sites-over-a-vpn.md, with its configurations as they are: the WAN stands for the VPN."""

import pytest

from harness.daemon import Daemon
from harness.documents import configurations
from harness.peers import receive, receiver_on, send
from harness.sites import two_sites
from harness.waiting import wait_until

PAGE = "doc/two-sites-over-a-vpn.md"
RELAY, ONE_WAY_OUT, ONE_WAY_IN, BOTH_WAYS = configurations(PAGE)
GROUP, PORT = "233.252.0.1", 5004


def mirrored(config):
    """The same for the other site: its names and addresses of sites change places."""
    for one, other in ("site-b", "site-a"), ("from-b", "from-a"), ("10.8.0.2", "10.8.0.1"):
        config = config.replace(one, other)
    return config


@pytest.fixture(scope="module")
def sites():
    with two_sites() as sites:
        for number, site in enumerate((sites.first, sites.second), 1):
            site.host.ip(f"address add 10.8.0.{number}/24 dev wan", "link property add dev wan altname wg0")
        yield sites


def run(sites, first, second, ways):
    """Runs a daemon with a configuration at each site, and sends over each of the ways (a site and the other one). The other site
    hears what is said, each once, and a site does not hear again what it has said itself."""
    with Daemon(sites.first.host, first) as a, Daemon(sites.second.host, second) as b:
        for here, there in ways:
            with receiver_on(here.peer, GROUP, PORT, "eth0") as own, receiver_on(there.peer, GROUP, PORT, "eth0") as far:
                for text in (b"one", b"two", b"three"):
                    send(here.second, text, GROUP, PORT, "eth0")
                assert receive(far, 3) == [b"one", b"two", b"three"]
                assert receive(own, 3) == [b"one", b"two", b"three"]
                # Whatever comes back, or comes twice, comes before this.
                send(here.second, b"end", GROUP, PORT, "eth0")
                assert receive(far) == [b"end"] and receive(own) == [b"end"]
        for daemon in a, b:
            daemon.assert_balanced()
        return a.call("ListHandlers")["handlers"], b.call("ListHandlers")["handlers"]


def test_where_the_vpn_carries_groups_a_relay_at_each_site_is_enough(sites):
    run(sites, RELAY, RELAY, [(sites.first, sites.second), (sites.second, sites.first)])


def test_a_group_is_sent_to_the_other_site_by_unicast(sites):
    run(sites, ONE_WAY_OUT, ONE_WAY_IN, [(sites.first, sites.second)])


def test_two_sites_say_to_each_other_what_they_hear_and_nothing_circles(sites):
    handlers = run(sites, BOTH_WAYS, mirrored(BOTH_WAYS), [(sites.first, sites.second), (sites.second, sites.first)])
    for site, other in zip(handlers, ("site-b", "site-a")):
        delivered = {handler["name"]: handler["delivered"] for handler in site}
        assert (delivered[other], delivered["lan"]) == (4, 4)


def test_nothing_leaves_by_the_default_route_while_there_is_no_vpn(sites):
    host = sites.first.host
    host.ip("link property del dev wan altname wg0", "route add default dev wan")
    try:
        with Daemon(host, ONE_WAY_OUT) as daemon:
            send(sites.first.second, b"for the other site only", GROUP, PORT, "eth0")
            wait_until(lambda: daemon.handler("site-b")["received"], "the datagram")
            assert daemon.handler("site-b")["dropped"]["absent"] == 1
    finally:
        host.ip("route del default dev wan", "link property add dev wan altname wg0")
