"""Handlers of type nats with real servers: what is stored, what comes in at another site, and what is lost on the way (nothing)."""

import pytest

from harness.brokers import NatsServer
from harness.daemon import Daemon
from harness.peers import receiver_on, send
from harness.waiting import wait_until

GROUP, PORT, IMPORT_PORT = "233.252.0.1", 5004, 5999


def config(site, servers, more="", group=""):
    """A site whose group news is exported to the servers and fed by them."""
    urls = ", ".join(f'"{url}"' for url in servers)
    return f"""import_port = {IMPORT_PORT};
groups: {{ news: {{ address = "{GROUP}"; port = {PORT}; interfaces = ["eth0"]; handlers = ["hq"]; inputs = ["hq"];
    receive_buffer = "16M"; {group} }}; }};
handlers: {{ hq: {{ type = "nats"; servers = [{urls}]; site = "{site}"; {more} }}; }};
"""


def wait_bound(server, *names, stream="mcast"):
    """Until these consumers of the stream are there."""
    def bound():
        with server.client() as client:
            return {consumer["name"] for consumer in client.consumers(stream)} >= set(names)

    wait_until(bound, f"consumers {names}")


@pytest.fixture
def server(sites, tmp_path):
    with NatsServer(sites.broker, tmp_path) as server:
        with server.client() as client:
            client.create_stream("mcast", "mcast.>")
        yield server


@pytest.fixture
def pair(sites, server):
    """A daemon at each site, both ways."""
    with Daemon(sites.first.host, config("plant-1", [server.url])) as first, \
            Daemon(sites.second.host, config("plant-2", [server.url])) as second:
        wait_bound(server, "mcastd+plant-1+hq+news", "mcastd+plant-2+hq+news")
        yield first, second


def test_what_is_sent_to_a_group_at_one_site_arrives_in_it_at_the_other(sites, pair):
    with receiver_on(sites.second.peer, GROUP, PORT, "eth0") as sock:
        send(sites.first.peer, b"hello", GROUP, PORT, "eth0")
        payload, source = sock.recvfrom(100)
        assert payload == b"hello" and source[1] == IMPORT_PORT
