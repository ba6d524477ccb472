"""mcastctl probe through a multicast router, and at the other end of ffmpeg: what was lost and doubled on the way, and how many hops."""

import json
import subprocess

import pytest

from harness import with_us
from harness.daemon import MCASTCTL
from harness.discovery import Program, find, need, smcroute
from harness.nft import Ingress
from harness.peers import has_membership
from harness.waiting import TIMEOUT, wait_until

GROUP, PORT = "239.12.0.7", 5004
TARGET = f"{GROUP}:{PORT}%eth0"
HOST_PORT, PEER_PORT = "port1", "port2"  # of the switch
COUNT = 2000


@pytest.fixture(scope="module")
def router(net, tmp_path_factory):
    """net.host, which routes the group from the peer's network to that of net.side."""
    with smcroute(net.host, tmp_path_factory.mktemp("smcroute"), "phyint eth0 enable", "phyint eth1 enable",
                  f"mgroup from eth0 group {GROUP}", f"mroute from eth0 group {GROUP} to eth1"):
        wait_until(lambda: net.host.run("cat", "/proc/net/ip_mr_vif").count("eth") == 2, "the router's interfaces")
        yield net.host


@pytest.fixture
def ingress(net):
    with Ingress(net.first.switch, PEER_PORT) as ingress:
        yield ingress


class Receiving:
    """The receiving end, without a daemon."""

    def __init__(self, host, *options):
        with host:
            self.process = with_us.start([MCASTCTL, "--json", "probe", TARGET, *options], stdin=subprocess.DEVNULL, text=True,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until(lambda: has_membership(host, GROUP), "the receiving end")

    def finish(self):
        """Its exit status and what it has measured; what it says where that is nothing."""
        out, errors = self.process.communicate(timeout=4 * TIMEOUT)
        return self.process.returncode, json.loads(out) if out else errors


def came(host):
    """Packets of the host's first interface."""
    line = next(line for line in host.run("cat", "/proc/net/dev").splitlines() if line.strip().startswith("eth0:"))
    return int(line.split(":")[1].split()[1])


def send(host, *options):
    return host.run(MCASTCTL, "probe", "send", TARGET, "--rate", "2000/s", *options)


def test_a_ttl_that_ends_at_the_router_brings_nothing(net, router):
    receiving = Receiving(net.side, "--timeout", "2s")
    send(net.peer, "--count", "100", "--ttl", "1")
    status, said = receiving.finish()
    assert status == 1 and "no datagram came" in said


@pytest.mark.parametrize("ttl", [2, 3, 64])
def test_the_router_is_one_hop_whatever_the_ttl(net, router, ttl):
    receiving = Receiving(net.side)
    send(net.peer, "--count", "200", "--ttl", str(ttl))
    status, found = receiving.finish()
    assert status == 0
    assert (found["received"], found["lost"], found["hops"], found["hopsMax"]) == (200, 0, 1, 1)


def test_what_is_lost_and_doubled_before_the_router_is_reported_exactly(net, router, ingress):
    ingress.begin(GROUP, PORT, "numgen inc mod 100 7", "numgen inc mod 50 3", HOST_PORT)
    receiving = Receiving(net.side)
    send(net.peer, "--count", str(COUNT), "--ttl", "3")
    status, found = receiving.finish()
    lost, doubled = ingress.end()
    assert status == 1 and lost == COUNT // 100 and doubled
    assert (found["sent"], found["lost"], found["duplicates"], found["hops"]) == (COUNT, lost, doubled, 1)


def test_what_is_lost_and_doubled_of_ffmpeg_is_reported_exactly(net, router, ingress):
    need("ffmpeg")
    receiving = Receiving(net.side, "--wait", "1s")
    command = ["-loglevel", "error", "-readrate", "20", "-f", "lavfi", "-i", "sine=sample_rate=8000", "-c:a", "pcm_mulaw", "-f", "rtp",
               f"rtp://{GROUP}:{PORT}?ttl=4&pkt_size=172"]
    with Program(net.peer, find("ffmpeg"), *command):
        ingress.begin(GROUP, PORT, "numgen inc mod 40 39", "numgen inc mod 25 3", HOST_PORT)
        wait_until(lambda: ingress.lost() >= 20, "20 datagrams to be lost")
        lost, doubled = ingress.end()
        before = came(net.side)
        wait_until(lambda: came(net.side) > before + 10, "more after the last that was lost")
    status, found = receiving.finish()
    assert status == 1 and found["delayP50"] is None and found["hops"] is None
    assert (found["lost"], found["duplicates"]) == (lost, doubled)


def test_a_group_with_sequence_is_the_receiving_end_as_well(net, router, ingress, start):
    daemon = start(f'groups: {{ g: {{ address = "{GROUP}"; port = {PORT}; interfaces = ["eth0"]; sequence = "rtp"; }}; }};', net.side)
    daemon.wait_joined("g")
    ingress.begin(GROUP, PORT, "numgen inc mod 100 7", "numgen inc mod 50 3", HOST_PORT)
    send(net.peer, "--count", str(COUNT), "--ttl", "3")
    lost, doubled = ingress.end()
    wait_until(lambda: daemon.group("g")["received"] == COUNT - lost + doubled, "all that was sent")
    sums = daemon.group("g")["sequence"]
    assert (sums["lost"] + sums["open"], sums["duplicates"]) == (lost, doubled)
