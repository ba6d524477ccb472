"""A broker of MQTT that is wrong, or means harm: what it sends breaks nothing, fills no memory, and does not keep the daemon from
ending."""

import struct
import threading
import time
from contextlib import ExitStack

import pytest

from harness.mqtt import CONNACK, PINGRESP, PUBACK, PUBLISH, SUBACK
from harness.mqtt_server import MqttServer, packet, publication
from harness.peers import tutorial_sender
from harness.waiting import wait_until
from peers.test_mqtt import GROUP, PORT, assert_error, assert_exact, config, resident, wait_connected

MEGABYTE = 1 << 20


@pytest.fixture
def server(sites):
    with MqttServer(sites.broker) as server:
        yield server


def connack(*properties):
    data = b"".join(properties)
    return packet(CONNACK, bytes([0, 0, len(data)]) + data)


def receive_maximum(count):
    return struct.pack("!BH", 0x21, count)


def packet_maximum(size):
    return struct.pack("!BI", 0x27, size)


def keep_alive(seconds):
    return struct.pack("!BH", 0x13, seconds)


def stop(daemon, within=5):
    begin = time.monotonic()
    daemon.stop()
    assert time.monotonic() - begin < within


# Not here: a property that MQTT 5 does not have. libmosquitto 2.0.11 ends the process at that, with an assertion.
NONSENSE = {
    "nothing": b"",
    "zeros": bytes(64),
    "ones": b"\xff" * 64,
    "no-length": bytes([PUBLISH << 4, 0x80, 0x80, 0x80, 0x80, 0x80]),
    "half": packet(PUBLISH, b"\x00\x10mcast")[:5],
    "short-topic": packet(PUBLISH, b"\xff\xffmcast/news/x"),
    "no-topic": packet(PUBLISH, b"\0\0\0payload"),
    "qos-3": packet(PUBLISH, b"\0\1x\0\1\0", 6),
    "wildcard": publication("mcast/news/+", b"x"),
    "no-utf-8": publication(b"mcast/news/\xff\xfe", b"x"),
    "id-0": packet(PUBLISH, b"\0\x0cmcast/news/x\0\0\0", 2),
    "long-properties": packet(PUBLISH, b"\0\x0cmcast/news/x\xff\xff\xff\x7f"),
    "puback-short": packet(PUBACK, b"\0"),
    "puback-0": packet(PUBACK, b"\0\0"),
    "suback-empty": packet(SUBACK, b"\0\1\0"),
    "pong": packet(PINGRESP, b"pong"),
    "second-no": packet(CONNACK, b"\0\x87\0"),
    "auth": packet(15, b"\x18\0"),
    "connect": packet(1, b"\0\4MQTT\5\0\0\0\0\0\0"),
}


@pytest.mark.parametrize("when", ["first", "later"])
def test_nonsense_costs_a_connection_and_no_more(sites, start, when):
    with ExitStack() as stack:
        servers = [stack.enter_context(MqttServer(sites.broker, 2000 + number)) for number in range(len(NONSENSE))]
        for server, nonsense in zip(servers, NONSENSE.values()):
            if when == "first":
                server.accepting = nonsense
        handlers = " ".join(f'h{number}: {{ type = "mqtt"; site = "plant-1"; servers = ["{server.url}"]; }};'
                            for number, server in enumerate(servers))
        names = ", ".join(f'"h{number}"' for number in range(len(servers)))
        daemon = start(f'groups: {{ news: {{ address = "{GROUP}"; port = {PORT}; interfaces = ["eth0"]; handlers = [{names}]; '
                       f'inputs = [{names}]; }}; }};\nhandlers: {{ {handlers} }};\nimport_port = 5999;\n', host=sites.first.host)
        daemon.wait_joined("news")
        for server, nonsense in zip(servers, NONSENSE.values()):
            connection = server.wait()
            if when == "later":
                connection.send(nonsense)
            server.accepting = connack()
            connection.close()
        for server in servers:
            server.wait(2)
        with tutorial_sender(sites.first.peer, GROUP) as sender:
            sender.sendto(b"x", (GROUP, PORT))
        for number in range(len(servers)):
            assert daemon.wait_idle(f"h{number}")["delivered"] == 1
        assert "Success" not in daemon.log()


def test_answers_that_nobody_asked_for_change_no_account(sites, start, server):
    server.acknowledges = False
    daemon = start(config("plant-1", server.url, window=300), host=sites.first.host)
    daemon.wait_joined("news")
    connection = server.wait()
    with tutorial_sender(sites.first.peer, GROUP) as sender:
        for _ in range(10):
            sender.sendto(b"x", (GROUP, PORT))
    wait_until(lambda: len(connection.messages) == 10, "messages")
    for number in range(1, 65536, 7):
        connection.send(packet(SUBACK, struct.pack("!H", number) + b"\0\x80"))
        if number > 100:
            connection.send(packet(PUBACK, struct.pack("!H", number)))
    assert assert_exact(daemon)["delivered"] == 0
    for message in reversed(connection.messages):
        connection.send(2 * packet(PUBACK, struct.pack("!H", message.id)))
    assert daemon.wait_idle("hq")["delivered"] == 10
    assert_exact(daemon)


def test_what_no_datagram_holds_and_what_was_not_subscribed_to_is_counted(sites, start, server):
    daemon = start(config("plant-1", server.url), host=sites.first.host)
    daemon.wait_joined("news")
    connection = server.wait()
    connection.send(publication("mcast/news/x", bytes(MEGABYTE), 1))
    connection.send(publication("mcast/news/x", bytes(65508)))
    connection.send(publication("mcast/other/x", b"x"))
    connection.send(publication("elsewhere", b"x"))
    connection.send(publication("mcast/news/plant-1", b"x"))
    connection.send(publication("mcast/news/x", b"x", retain=True))
    connection.send(publication("mcast/news/x", b"the last one", 2))
    wait_until(lambda: daemon.handler("hq")["input"]["sent"], "the last one")
    came = assert_exact(daemon)["input"]
    assert (came["taken"], came["sent"], came["dropped"]["size"], came["dropped"]["own"]) == (6, 1, 2, 1), came


@pytest.mark.parametrize("properties", [
    [receive_maximum(1)], [receive_maximum(65535)], [packet_maximum(0xffffffff)], [keep_alive(0)], [keep_alive(65535)],
    [receive_maximum(1), packet_maximum(300), keep_alive(1)],
], ids=["one", "many", "large", "no-pings", "rare-pings", "little"])
def test_limits_of_the_broker_are_kept(sites, start, server, properties):
    server.accepting = connack(*properties)
    daemon = start(config("plant-1", server.url), host=sites.first.host)
    daemon.wait_joined("news")
    server.wait()
    with tutorial_sender(sites.first.peer, GROUP) as sender:
        for _ in range(100):
            sender.sendto(b"x", (GROUP, PORT))
    daemon.wait_arrived("news", 100)
    assert daemon.wait_idle("hq")["delivered"] == 100
    assert_exact(daemon)


@pytest.mark.parametrize("property", [receive_maximum(0), packet_maximum(0), packet_maximum(1)],
                         ids=["none", "nothing", "a-byte"])
def test_a_limit_that_nothing_can_keep_is_no_reason_to_hang(sites, start, server, property):
    server.accepting = connack(property)
    daemon = start(config("plant-1", server.url), host=sites.first.host)
    daemon.wait_joined("news")
    with tutorial_sender(sites.first.peer, GROUP) as sender:
        sender.sendto(b"x", (GROUP, PORT))
    wait_until(lambda: daemon.handler("hq")["error"], "an error")
    assert_exact(daemon)
    stop(daemon)


def test_pings_come_as_often_as_the_broker_wants_them(sites, start, server):
    server.accepting = connack(keep_alive(2))
    daemon = start(config("plant-1", server.url), host=sites.first.host)
    connection = server.wait()
    begin = time.monotonic()
    wait_until(lambda: connection.pings >= 3, "pings", 30)
    assert time.monotonic() - begin < 3 * 1.5 * 2 + 1
    assert daemon.handler("hq")["error"] is None


@pytest.mark.parametrize("packet_id, reads", [(None, False), (7, True)], ids=["qos-0-and-never-reads", "qos-1"])
def test_a_broker_that_floods_does_not_keep_the_daemon_from_ending(sites, start, server, packet_id, reads):
    daemon = start(config("plant-1", server.url), host=sites.first.host)
    daemon.wait_joined("news")
    connection = server.wait()
    if not reads:
        connection.reads.clear()
    data = publication("mcast/news/plant-1", b"x" * 100, packet_id) * 1000

    def flood():
        while connection.send(data):
            pass

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    wait_until(lambda: daemon.handler("hq")["input"]["dropped"]["own"] > 10000, "the flood")
    stop(daemon)
    connection.close()
    thread.join()


def test_a_broker_that_reads_nothing_fills_no_memory(sites, start, server):
    daemon = start(config("plant-1", server.url), host=sites.first.host)
    daemon.wait_joined("news")
    connection = server.wait()
    begin = resident(daemon)
    connection.reads.clear()
    data = [publication(f"mcast/other/{number}", b"x", number + 1) for number in range(1000)]
    sent = 0
    while sent < 2000000 and connection.send(b"".join(data)):
        sent += len(data)
        if resident(daemon) - begin > 64 * MEGABYTE:
            break
    assert resident(daemon) - begin < 64 * MEGABYTE
    wait_until(lambda: "does not read" in daemon.log(), "the cause")
    connection.reads.set()
    server.wait(2)
    stop(daemon)


def test_a_subscription_that_is_allowed_at_last_is_no_error_any_longer(sites, start, server):
    server.granted = 0x87
    daemon = start(config("plant-1", server.url), host=sites.first.host)
    assert_error(daemon, "subscribing to mcast/news/+: the broker refuses")
    server.granted = 1
    daemon.write_config(config("plant-1", server.url).replace(
        "groups: {", f'groups: {{ more: {{ address = "{GROUP}"; port = 6000; interfaces = ["eth0"]; inputs = ["hq"]; }};'))
    daemon.call("Reload")
    wait_until(lambda: "mcast/more/+" in server.connections[-1].filters, "the subscription")
    assert len(server.connections) == 1
    wait_until(lambda: daemon.handler("hq")["error"] is None, "the error to go")


def test_the_end_of_a_refusal_is_said_in_the_log(sites, start, server):
    server.stored = b"\x80"
    daemon = start(config("plant-1", server.url), host=sites.first.host)
    daemon.wait_joined("news")
    server.wait()
    with tutorial_sender(sites.first.peer, GROUP) as sender:
        sender.sendto(b"x", (GROUP, PORT))
        assert_error(daemon, "publishing to mcast/news/plant-1: the broker refuses")
        server.stored = b""
        sender.sendto(b"y", (GROUP, PORT))
        wait_until(lambda: "publishing to mcast/news/plant-1: the broker takes it again" in daemon.log(), "the end of it")
    assert daemon.handler("hq")["error"] is None


@pytest.mark.long
def test_an_outage_after_a_connection_that_held_is_said_in_the_log_again(sites, start):
    """Also where those before it were short."""
    with MqttServer(sites.broker) as server:
        daemon = start(config("plant-1", server.url), host=sites.first.host)
        for count in range(1, 4):
            connection = server.wait(count)
            wait_until(lambda: connection.filters, "its subscription")
            connection.close()
        server.wait(4)
    wait_until(lambda: daemon.log().count("Connection refused") == 1, "the refusal")
    with MqttServer(sites.broker, accepting=connack(keep_alive(2))) as server:
        connection = server.wait()
        wait_until(lambda: connection.pings >= 7, "a connection that holds for more than 10 s", 30)
        already = len(daemon.log())
    wait_until(lambda: "Connection refused" in daemon.log()[already:], "the refusal again", 30)
    assert "again and again" not in daemon.log()[already:]


def test_what_a_session_has_from_an_earlier_configuration_is_ended(sites, start, server):
    daemon = start(config("plant-1", server.url, come_in=False), host=sites.first.host)
    wait_connected(daemon)
    connection = server.wait()
    connection.send(publication("mcast/news/plant-2", b"x"))
    wait_until(lambda: {"mcast/news/plant-2", "mcast/news/+"} <= set(connection.left), "the end of the subscription")
