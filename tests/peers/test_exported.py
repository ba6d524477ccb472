"""What leaves a network for a broker: each datagram once, and nothing that came back. The broker is a nats-server on the daemon's
host, which has the group on two networks."""

import pytest

from harness.brokers import NatsServer
from harness.peers import receiver_on, send, sender_as
from harness.waiting import wait_until

GROUP, PORT, IMPORT_PORT = "233.252.0.1", 5004, 5999
INTERFACES = ("eth0", "eth1")


@pytest.fixture
def server(net, tmp_path):
    for interface in ("all", *INTERFACES):  # copies with the address of their sender come in by eth1
        net.host.run("sysctl", "-qw", f"net.ipv4.conf.{interface}.rp_filter=0")
    with NatsServer(net.host, tmp_path) as server:
        with server.client() as client:
            client.create_stream("mcast", "mcast.>")
        yield server


@pytest.fixture
def begin(start, server):
    """begin(keys): a daemon that exports the group, and takes what other sites have exported."""
    def begin(keys):
        daemon = start(f"""import_port = {IMPORT_PORT};
            groups: {{ news: {{ address = "{GROUP}"; port = {PORT}; interfaces = ["eth0", "eth1"];
              handlers = ["hq"]; inputs = ["hq"]; {keys} }}; }};
            handlers: {{ hq: {{ type = "nats"; servers = "{server.url}"; site = "plant-1"; }}; }};""")

        def is_bound():
            with server.client() as client:
                return len(client.consumers("mcast")) == 1

        wait_until(is_bound, "the consumer")
        return daemon
    return begin


def stored(server):
    with server.client() as client:
        return [message.payload for message in client.messages("mcast")]


def wait_filtered(daemon, filtered, delivered):
    """Until all that the group has received is accounted for like this."""
    def settled():
        handler = daemon.handler("hq")
        return (handler["filtered"], handler["delivered"], handler["queued"]) == (filtered, delivered, 0)

    wait_until(settled, f"{filtered} filtered and {delivered} delivered")
    assert daemon.group("news")["received"] == filtered + delivered


@pytest.mark.parametrize("keep_source", ["false", "true"])
def test_the_copy_that_a_relay_sends_and_the_daemon_receives_is_not_exported(net, begin, server, keep_source):
    daemon = begin(f"relay: {{ loop = true; keep_source = {keep_source}; }};")
    with receiver_on(net.side, GROUP, PORT, "eth0") as sock:
        send(net.peer, b"one", GROUP, PORT, "eth0")
        assert sock.recv(100) == b"one"
    wait_filtered(daemon, 1, 1)
    assert stored(server) == [b"one"]


def test_a_reply_is_not_exported(net, begin, server):
    daemon = begin("replies = true;")
    with receiver_on(net.peer, GROUP, PORT, "eth0") as device:
        daemon.call("Send", group="news", text="search")
        payload, source = device.recvfrom(100)
    assert payload == b"search"
    send(net.peer, b"answer", *source[:2])
    wait_until(lambda: daemon.group("news")["replies"] == 1, "the reply")
    wait_filtered(daemon, 1, 1)
    assert stored(server) == [b"search"]


def test_what_came_in_by_a_broker_is_not_exported(net, begin, server):
    daemon = begin("")
    with receiver_on(net.peer, GROUP, PORT, "eth0") as sock:
        with server.client() as client:
            client.acknowledged_publish("mcast.news.plant-2", b"far", {"Mcastd-Id": "plant-2/9f3c2a61d04b77e8/1"})
        payload, source = sock.recvfrom(100)
        assert (payload, source[1]) == (b"far", IMPORT_PORT)
    wait_until(lambda: daemon.handler("hq")["filtered"] > 0, "the daemon to have received it as well")
    send(net.peer, b"near", GROUP, PORT, "eth0")
    wait_until(lambda: stored(server) == [b"far", b"near"], "the other one")
    # Another daemon of the network has sent it there.
    with sender_as(net.peer, net.peer.v4, IMPORT_PORT) as other:
        other.sendto(b"again", (GROUP, PORT))
    send(net.peer, b"last", GROUP, PORT, "eth0")
    wait_until(lambda: stored(server) == [b"far", b"near", b"last"], "the last one")
