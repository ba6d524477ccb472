"""Handlers of type nats with a server that lies, floods or is broken: the daemon stays, its account is exact, its memory bounded."""

import json
import socket
import ssl
import struct
import subprocess
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from harness.credentials import Authority
from harness.daemon import Daemon
from harness.false_nats import FalseNats, stream_info
from harness.names import Names
from harness.peers import receive, receiver_on, send
from harness.waiting import wait_until
from peers.test_nats import GROUP, PORT, config, hq, is_exact, resident, wait_settled

HUGE = 2**64 - 1
ACK = "$JS.ACK.mcast.name.1.{in_stream}.{number}.1700000000.0"
ID = "NATS/1.0\r\nNats-Msg-Id: {}\r\n\r\n"


@contextmanager
def daemon_with(sites, binary=None, more="", queue="512M", **options):
    """A daemon at the first site, which exports and imports, and its false server."""
    with FalseNats(sites.broker, sites.broker.v4, **options) as server:
        with Daemon(sites.first.host, config("plant-1", [server.url], more).replace("512M", queue), *([binary] if binary else [])) as daemon:
            wait_until(lambda: "connected to" in daemon.log(), "the connection")
            yield server, daemon
            assert daemon.process.poll() is None and is_exact(hq(daemon))


def with_resolver(path):
    """A wrapper for a daemon whose /etc/resolv.conf is at path."""
    return "unshare", "-m", "--propagation", "private", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(path)


def wait_bound(server):
    """Until it listens for deliveries, after an answer. Returns (subject, number) of these."""
    wait_until(lambda: any("DURABLE" in subject for subject in list(server.published)), "the creation of a consumer")
    return server.subscription("d")


def deliver(server, number, payload, in_stream=None, site="plant-2", reply=None, head=None):
    _, subscription = server.subscription("d")
    reply = ACK.format(in_stream=in_stream or number, number=number) if reply is None else reply
    server.message(f"mcast.news.{site}", payload, reply, head, subscription)


def assert_serves(sites, server, daemon):
    """It still delivers what a group receives, and takes what comes in, in whatever binding it is now."""
    before = hq(daemon)["delivered"]
    send(sites.first.peer, b"after", GROUP, PORT, "eth0")
    wait_until(lambda: hq(daemon)["delivered"] > before, "a datagram to be delivered")


def first_is_short(values):
    """Each of them takes some seconds: all but the first are for the long tests."""
    return [values[0], *(pytest.param(value, marks=pytest.mark.long) for value in values[1:])]


@pytest.mark.parametrize("subject", ["x", "mcast", "", "a.b.c.d.e.f"], ids=["short", "other", "none", "deep"])
@pytest.mark.parametrize("kind", ["a", "q"])
def test_an_answer_at_another_subject_than_it_was_asked_for_is_ignored(sites, kind, subject):
    with daemon_with(sites) as (server, daemon):
        wait_bound(server)
        _, number = server.subscription(kind)
        for payload in b"", b"{", json.dumps({"stream": "mcast", "seq": 1}).encode():
            server.message(subject or "0", payload, number=number)
        assert_serves(sites, server, daemon)


@pytest.mark.parametrize("token", ["0", "1", "5", str(HUGE), str(HUGE + 1), "-1", "x", "7x"])
def test_an_acknowledgement_of_what_was_not_sent_acknowledges_nothing(sites, token):
    with daemon_with(sites, answers={r"mcast\.": lambda *_: None}) as (server, daemon):
        prefix, number = server.subscription("a")
        server.message(f"{prefix}.{token}", '{"stream":"mcast","seq":1}', number=number)
        assert_delivers_all_later(sites, server, daemon, 20)


def assert_delivers_all_later(sites, server, daemon, count):
    server.answers[r"mcast\."] = lambda *_: {"stream": "mcast", "seq": 1}
    for number in range(count):
        send(sites.first.peer, b"%d" % number, GROUP, PORT, "eth0")
    assert wait_settled(daemon, count)["delivered"] == count


def test_an_acknowledgement_of_what_waits_to_be_sent_does_not_stop_it(sites):
    with daemon_with(sites, answers={r"mcast\.": lambda *_: {"error": {"code": 503, "description": "not now"}}}) as (server, daemon):
        for number in range(10):
            send(sites.first.peer, b"%d" % number, GROUP, PORT, "eth0")
        daemon.wait_arrived("news", 10)
        wait_until(lambda: "not now" in (hq(daemon)["error"] or ""), "the refusal")
        prefix, subscription = server.subscription("a")
        for number in range(12):
            server.message(f"{prefix}.{number}", '{"stream":"mcast","seq":1}', number=subscription)
        server.answers[r"mcast\."] = lambda *_: {"stream": "mcast", "seq": 1}
        assert wait_settled(daemon, 10)["delivered"] == 10


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '{"error":7}', '{"error":{"description":7,"err_code":18446744073709551615}}',
                                  '{"error":{"description":"\\u001b[2J\\nforged: line"}}', "\0" * 100, "[" * 100_000,
                                  '{"streams":{"a":1},"config":7,"state":[],"delivered":7}', b"\xff\xfe{}",
                                  '{"streams":[""," ","a b","a.b","\\r\\nPUB x 0\\r\\n",7,null]}'],
                         ids=lambda text: repr(text)[:16])
def test_an_answer_that_makes_no_sense_is_named_and_asked_for_again(sites, text):
    nonsense = {r"\$JS\.API\.": lambda *_: text}
    with daemon_with(sites, answers=nonsense) as (server, daemon):
        wait_until(lambda: hq(daemon)["error"], "the cause", 20)
        assert "\x1b" not in daemon.log() and "\nforged" not in daemon.log()
        assert "\x1b" not in daemon.ctl("handlers")
        del server.answers[r"\$JS\.API\."]
        wait_bound(server)
        wait_until(lambda: hq(daemon)["error"] is None, "no error", 20)
        with receiver_on(sites.first.peer, GROUP, PORT, "eth0") as receiver:
            wait_until(lambda: deliver(server, 1, b"in") or hq(daemon)["input"]["taken"], "a datagram to come in")
            assert receive(receiver)[0] == b"in"


def test_more_streams_than_an_answer_may_have_are_named_as_the_cause(sites):
    names = {r"\$JS\.API\.STREAM\.NAMES": lambda *_: {"streams": [f"s{i}" for i in range(200_000)]}}
    with daemon_with(sites, answers=names) as (server, daemon):
        wait_until(lambda: "more streams have mcast.news.*" in (hq(daemon)["error"] or ""), "the cause")
        assert_serves(sites, server, daemon)


@pytest.mark.parametrize("reply", first_is_short(["", "x", "$JS.ACK.", "$JS.ACK.a.b.c.d.e.f.g", f"$JS.ACK.mcast.name.{HUGE}.{HUGE}.{HUGE}.0.0",
                                   f"$JS.ACK.mcast.name.1.{HUGE + 1}.1.0.0", "$JS.ACK." + "x." * 20_000,
                                   "$JS.ACK." + "x" * 100_000 + ".n.1.1.1.0.0", "$JS.ACK.other.consumer.1.5.99.0.0"]),
                         ids=lambda reply: reply[:24])
def test_a_delivery_that_makes_no_sense_harms_nothing(sites, reply):
    with daemon_with(sites) as (server, daemon):
        wait_bound(server)
        for _ in range(3):
            deliver(server, 1, b"wrong", reply=reply)
        assert_serves(sites, server, daemon)
        with receiver_on(sites.first.peer, GROUP, PORT, "eth0") as receiver:
            bindings = server.published.count("$JS.API.CONSUMER.DURABLE.CREATE.mcast.mcastd+plant-1+hq+news")
            wait_until(lambda: deliver(server, 1, b"in") or hq(daemon)["input"]["sent"], f"a datagram after {bindings} bindings", 30)
            assert receive(receiver)[0] in (b"in", b"wrong")


@pytest.mark.parametrize("head", first_is_short(["NATS/1.0\r\n" + "X: y\r\n" * 20_000 + "\r\n", "NATS/1.0\r\nNats-Msg-Id: " + "x" * 1_000_000 + "\r\n\r\n",
                                  ID.format(f"plant-2/ffffffffffffffff/{HUGE}"), ID.format(f"plant-2/1/{HUGE + 1}"),
                                  "NATS/1.0 100 \r\nNats-Last-Consumer: 99999999999999999999\r\n\r\n", "NATS/9.9\r\n\r\n", "\0\0\0\0",
                                  "NATS/1.0\r\n: \r\n:\r\n\r\n"]), ids=lambda head: repr(head)[:32])
def test_headers_that_make_no_sense_harm_nothing(sites, head):
    with daemon_with(sites) as (server, daemon):
        wait_bound(server)
        for number in 1, 2, 3:
            deliver(server, number, b"wrong", head=head.encode())
        wait_until(lambda: server.connections > 1 or hq(daemon)["input"]["taken"] >= 1, "what became of it")
        wait_until(lambda: server.connection and server.subscription("a"), "a connection")
        assert_serves(sites, server, daemon)


@pytest.mark.long
def test_a_message_of_64_mb_is_dropped_for_its_size(sites, release):
    with daemon_with(sites, release) as (server, daemon):
        wait_bound(server)
        deliver(server, 1, bytes(64 << 20))
        wait_until(lambda: hq(daemon)["input"]["dropped"]["size"] == 1, "it to be dropped")
        assert_serves(sites, server, daemon)
        wait_until(lambda: resident(daemon) < 64 << 20, "its memory to be free again")


@contextmanager
def slow_network(host):
    """Its interface sends a few datagrams a second, and those behind wait in the socket."""
    tc = ["tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", "64kbit", "burst", "2kb", "limit", "1gb"]
    with host:
        subprocess.run(tc, check=True)
    try:
        yield
    finally:
        with host:
            subprocess.run([*tc[:2], "del", *tc[3:6]], check=True)


@pytest.mark.long
@pytest.mark.parametrize("size", [0, 1000])
@pytest.mark.parametrize("mode", ["stored", "none"])
def test_a_flood_that_the_network_does_not_take_is_not_read(sites, release, mode, size):
    more = 'acknowledge = "none";' if mode == "none" else ""
    with slow_network(sites.first.host), daemon_with(sites, release, more, queue="1M") as (server, daemon):
        if mode == "stored":
            wait_bound(server)
            subscription = server.subscription("d")[1]
        else:
            subscription = wait_until(lambda: server.number("mcast.news.plant-2"), "the subscription")
        before, most, number, is_slow = resident(daemon), 0, 0, False
        server.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 2, 0))
        while number < 500_000 and not is_slow:
            data = b"".join(b"MSG mcast.news.plant-2 %d %s %d\r\n%s\r\n" % (
                subscription, ACK.format(in_stream=n, number=n).encode(), size, bytes(size)) for n in range(number + 1, number + 5001))
            number += 5000
            try:
                server.write(data)
            except OSError:
                is_slow = True  # it reads no more
            most = max(most, resident(daemon) - before)
        assert is_slow and most < 48 << 20, (number, most)
        assert is_exact(hq(daemon))


@pytest.mark.long
def test_a_flood_of_pings_to_a_server_that_does_not_read_is_not_answered_without_bound(sites, release):
    with daemon_with(sites, release) as (server, daemon):
        before = resident(daemon)
        other = server.connection
        other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 3, 0))
        pings = b"PING\r\n" * 100_000
        end, most = time.monotonic() + 6, 0
        server.stuck.set()
        while time.monotonic() < end:
            try:
                other.sendall(pings)
            except OSError:
                break
            most = max(most, resident(daemon) - before)
        assert most < 32 << 20
        server.stuck.clear()
        wait_until(lambda: server.subscription("a"), "a connection", 30)


@pytest.mark.parametrize("limit", [0, 1, -1, -2**63, 2**63 - 1, HUGE, 2**70, 1.5, "x", None], ids=str)
def test_a_max_payload_that_makes_no_sense_is_survived(sites, limit):
    with FalseNats(sites.broker, sites.broker.v4, info={"max_payload": limit}) as server, \
            Daemon(sites.first.host, config("plant-1", [server.url])) as daemon:
        wait_until(lambda: server.connections, "a connection")
        send(sites.first.peer, b"payload", GROUP, PORT, "eth0")
        daemon.wait_arrived("news", 1)
        wait_until(lambda: hq(daemon)["delivered"] or hq(daemon)["error"], "what became of it")
        assert daemon.process.poll() is None and is_exact(hq(daemon))


def test_a_server_that_ends_each_connection_is_not_connected_to_in_a_hurry(sites):
    with daemon_with(sites) as (server, daemon):
        end = time.monotonic() + 6
        while time.monotonic() < end:
            count = server.connections
            server.hang_up()
            wait_until(lambda: server.connections > count, "the next connection")
            wait_until(lambda: server.subscription("a"), "its subscriptions")
        assert server.connections < 30
        assert len(daemon.log().splitlines()) < 40, daemon.log()


def test_a_server_behind_a_slow_way_is_connected_to(sites):
    """Only after more time than the first attempts have."""
    with daemon_with(sites, slow=3) as (server, daemon):
        assert_serves(sites, server, daemon)


@pytest.mark.parametrize("scheme", ["nats", "tls"])
def test_a_server_that_does_not_answer_in_time_is_named_as_that(sites, scheme):
    with FalseNats(sites.broker, sites.broker.v4, slow=1000) as server:
        url = server.url.replace("nats:", f"{scheme}:")
        with Daemon(sites.first.host, config("plant-1", [url])) as daemon:
            daemon.wait_logged(f"connecting to {url}: it can be connected to, but did not answer in time")


class Hasty(FalseNats):
    """Ends each connection at once, unless it is slow."""

    def greet(self, connection):
        if not self.slow:
            raise EOFError
        super().greet(connection)


def test_a_server_that_fails_at_once_is_given_no_more_time_than_before(sites):
    """The first attempts have 2 s."""
    with Hasty(sites.broker, sites.broker.v4) as server, Daemon(sites.first.host, config("plant-1", [server.url])) as daemon:
        wait_until(lambda: server.connections >= 12, "some attempts")
        server.slow = 1000
        wait_until(lambda: "did not answer in time" in daemon.log(), "the end of an attempt", 7)


@pytest.mark.long
def test_a_host_that_answers_nothing_is_named_as_that_however_long_it_does_not(sites):
    """Its backlog is full: it drops what would begin a connection. Each attempt has twice the time of the one before it."""
    with sites.broker:
        listener = socket.create_server((sites.broker.v4, 4222), backlog=0)
        others = [socket.socket() for _ in range(3)]
        for other in others:
            other.setblocking(False)
            other.connect_ex((sites.broker.v4, 4222))
    try:
        with Daemon(sites.first.host, config("plant-1", [f"nats://{sites.broker.v4}:4222"])) as daemon:
            daemon.wait_logged("Connection timed out")
            end = time.monotonic() + 55
            while time.monotonic() < end:
                wait_until(lambda: "Connection timed out" in hq(daemon)["error"], "it to be named as that", 1)
                time.sleep(0.2)
            assert "no answer in the middle" not in daemon.log()
    finally:
        for each in (listener, *others):
            each.close()


def test_a_name_server_that_does_not_answer_costs_time_and_no_attempt(sites, tmp_path):
    """The second one answers, 5 s later, and so it does once more within the library."""
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.2\nnameserver 127.0.0.3\n")
    with sites.first.host:
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        silent.bind(("127.0.0.2", 53))
    with silent, Names(sites.first.host, "127.0.0.3", {"broker.example": sites.broker.v4}), \
            FalseNats(sites.broker, sites.broker.v4) as server:
        text = config("plant-1", ["nats://broker.example:4222"])
        with Daemon(sites.first.host, text, wrapper=with_resolver(resolver)) as daemon:
            wait_until(lambda: "connected to" in daemon.log(), "the connection", 30)
            assert "connecting to" not in daemon.log() and server.connections == 1, daemon.log()


def test_a_server_that_has_no_time_for_a_slow_handshake_is_named_with_its_timeout(sites, tmp_path):
    """As nats-server closes a connection whose handshake takes more than two seconds; later than the first attempts end."""
    made = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = made.sign("server", sites.broker.v4)
    context.load_cert_chain(certificate.certificate, certificate.key)
    with sites.broker:
        listener = socket.create_server((sites.broker.v4, 4222))

    def serve():
        with suppress(OSError):
            while True:
                connection = listener.accept()[0]
                with connection, suppress(OSError):
                    connection.sendall(b'INFO {"server_id": "x", "version": "2.9.10", "tls_required": true, "max_payload": 1048576}\r\n')
                    with context.wrap_socket(connection, server_side=True):
                        time.sleep(2.2)

    server = threading.Thread(target=serve)
    server.start()
    try:
        url = f"tls://{sites.broker.v4}:4222"
        with Daemon(sites.first.host, config("plant-1", [url], f'ca = "{made.ca}";')) as daemon:
            daemon.wait_logged(f'connecting to {url}: it closes the connection before it is made: for a way as slow as this, raise "timeout"')
            assert "client certificate" not in daemon.log()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        server.join()
        listener.close()


def test_name_servers_that_do_not_answer_are_named(sites, tmp_path):
    resolver = tmp_path / "resolv.conf"
    resolver.write_text(f"nameserver {sites.broker.v4}\noptions timeout:30\n")
    with sites.broker:
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        silent.bind((sites.broker.v4, 53))
    with silent, Daemon(sites.first.host, config("plant-1", ["nats://broker.example:4222"]), wrapper=with_resolver(resolver)) as daemon:
        daemon.wait_logged("connecting to nats://broker.example:4222: the name does not resolve: no answer")


def test_heartbeats_without_end_do_not_hide_that_it_serves(sites):
    with daemon_with(sites) as (server, daemon):
        subject, number = wait_bound(server)
        for _ in range(20_000):
            server.message(subject + ".1", b"", "", b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 0\r\n\r\n", number)
        assert_serves(sites, server, daemon)


def test_a_stream_that_was_made_again_and_is_longer_already_loses_nothing_of_it(sites):
    """What is new in it begins with its first message, whatever its last number is."""
    created = ["2026-01-01T00:00:00Z"]
    with daemon_with(sites, answers={r"\$JS\.API\.STREAM\.INFO\.": lambda *_: stream_info(last=50, created=created[0])}) as \
            (server, daemon):
        wait_bound(server)
        deliver(server, 1, b"in", in_stream=40)
        wait_until(lambda: hq(daemon)["input"]["sent"] == 1, "a datagram to come in")
        created[0] = "2026-01-02T00:00:00Z"
        bodies = server.bodies = []
        server.hang_up()
        wait_until(lambda: [body for body in bodies if b"durable_name" in body], "another consumer")
        assert json.loads([body for body in bodies if b"durable_name" in body][0])["config"]["deliver_policy"] == "all"
