"""Discovery between two networks by real programs: what one side says the other side hears, once, and answers find back."""

import socket
import time
from collections import Counter
from contextlib import ExitStack, contextmanager

import pytest

from harness.daemon import Daemon
from harness.discovery import Avahi, Wire, gssdp_discover, minidlna, wsdd
from harness.documents import configurations
from harness.waiting import wait_until

PAGE = "doc/discovery-between-networks.md"
PARTS = 3  # of the page's configurations: mDNS; SSDP and WS-Discovery; HDHomeRun and Sonos
PORTS = (5353, 1900, 3702, 65001)
HOSTS = {"192.0.2.1", "198.51.100.1"}  # of the relay


@contextmanager
def wires(net, *ports):
    """What passes on both networks, seen by the hosts there."""
    with ExitStack() as stack:
        yield [(stack.enter_context(Wire(net.peer, "eth0", port)), stack.enter_context(Wire(net.side, "eth0", port)))
               for port in ports]


def assert_no_echo(*pairs):
    """What a host said is on its own network as often as it said it: the relay brings none of it back. Programs say the same
    more than once; then the other network has as many."""
    for phone, device in pairs:
        for own, other, network in ((phone, device, "192.0.2."), (device, phone, "198.51.100.")):
            said = Counter(payload for source, _, _, payload in own.read() if source.startswith(network) and
                           source not in HOSTS)
            relayed = Counter(payload for source, _, _, payload in own.read() if source in HOSTS)
            for payload in said.keys() & relayed.keys():
                also = sum(1 for source, _, _, p in other.read() if p == payload and source not in HOSTS)
                assert relayed[payload] <= also, f"the relay brought back {payload[:80]}"


def recipe():
    """What somebody has who copies the first configurations of the page, with the interfaces of the host."""
    parts = [block for block in configurations(PAGE) if "handlers: {" not in block][:PARTS]
    groups = "".join(block.removeprefix("groups: {\n").removesuffix("};\n") for block in parts)
    return f"groups: {{\n{groups}}};\n".replace("lan0", "eth0").replace("iot0", "eth1")


@pytest.fixture(scope="module")
def relays(routed):
    with Daemon(routed.host, recipe()) as daemon:
        yield daemon


@pytest.mark.parametrize("there, here", [("side", "peer"), ("peer", "side")])
def test_avahi_resolves_a_service_of_the_other_network(relays, routed, tmp_path, there, here):
    there, here = getattr(routed, there), getattr(routed, here)
    with wires(routed, 5353) as seen, Avahi(there, tmp_path, "speaker", "Loud"), Avahi(here, tmp_path, "phone") as phone:
        with phone.browse() as browser:
            browser.wait_for(rf"=;eth0;IPv4;Loud;_http._tcp;local;speaker.local;{there.v4};8080;")
        assert_no_echo(*seen)
        relayed = [ttl for wire in seen[0] for source, port, ttl, _ in wire.read() if source in HOSTS and port == 5353]
        assert relayed and set(relayed) == {255}


@pytest.mark.parametrize("there, here", [("side", "peer"), ("peer", "side")])
def test_gssdp_finds_a_media_server_of_the_other_network(relays, routed, tmp_path, there, here):
    there, here = getattr(routed, there), getattr(routed, here)
    with wires(routed, 1900) as seen, minidlna(there, tmp_path) as server:
        server.wait_for("HTTP listening on port 8200")
        with gssdp_discover(here, "urn:schemas-upnp-org:device:MediaServer:1") as search:
            search.wait_for(rf"resource available\n.*MediaServer:1\n.*http://{there.v4}:8200/")
        assert_no_echo(*seen)


@pytest.mark.parametrize("there, here", [("side", "peer"), ("peer", "side")])
def test_a_wsdd_client_hears_the_hello_of_the_other_network(relays, routed, there, here):
    there, here = getattr(routed, there), getattr(routed, here)
    with wires(routed, 3702) as seen, wsdd(here, "-D", "-o", "-l", "5359") as client:
        client.wait_for("joined multicast group")
        with wsdd(there, "-n", "DISKSTATION"):
            client.wait_for("DISKSTATION")
        assert_no_echo(*seen)


@pytest.mark.parametrize("there, here", [("side", "peer"), ("peer", "side")])
def test_a_broadcast_search_is_answered_from_the_other_network(relays, routed, there, here):
    there, here = getattr(routed, there), getattr(routed, here)
    with wires(routed, 65001) as seen, there, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tuner:
        tuner.bind(("", 65001))
        tuner.settimeout(10)
        with here, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            phone.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\0")
            phone.bind((here.v4, 0))
            phone.settimeout(10)
            phone.sendto(b"anybody?", ("255.255.255.255", 65001))
            question, asker = tuner.recvfrom(100)
            assert (question, asker) == (b"anybody?", phone.getsockname())
            tuner.sendto(b"a tuner", asker)
            assert phone.recvfrom(100) == (b"a tuner", (there.v4, 65001))
        assert_no_echo(*seen)


@pytest.mark.long  # make check-peers PYTEST_ARGS="-m long"
def test_a_minute_of_all_of_them_brings_no_echo(relays, routed, tmp_path):
    before = {handler["name"]: handler["delivered"] for handler in relays.call("ListHandlers")["handlers"]}
    with ExitStack() as stack:
        seen = stack.enter_context(wires(routed, *PORTS))
        for name, host in (("phone", routed.peer), ("speaker", routed.side)):
            avahi = stack.enter_context(Avahi(host, tmp_path, name, f"The {name}"))
            stack.enter_context(avahi.browse())
            stack.enter_context(gssdp_discover(host))
            stack.enter_context(wsdd(host, "-n", name))
        stack.enter_context(minidlna(routed.side, tmp_path))
        end = time.monotonic() + 60
        wait_until(lambda: [wire.read() for pair in seen for wire in pair] and time.monotonic() > end, "the minute", 70)
        assert_no_echo(*seen)
    after = {handler["name"]: handler["delivered"] for handler in relays.call("ListHandlers")["handlers"]}
    assert all(after[f"{name}.relay"] > before[f"{name}.relay"] for name in ("mdns", "ssdp", "wsd"))
