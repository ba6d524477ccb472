"""Handlers of type kafka, with librdkafka's mock of a cluster: no real broker is at hand. It keeps what it is sent in
memory. TLS, users, and what brokers do with the sequence numbers of idempotent producers is what the tests put before it."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
from types import SimpleNamespace

import pytest

from harness import kafka
from harness.credentials import Authority
from harness.daemon import ROOT, run_mcastd
from harness.kafka import Cluster, Consumer
from harness.kafka_front import Front
from harness.peers import Blast, send
from harness.topology import Namespace
from harness.waiting import wait_until

GROUP, PORT = "239.14.0.1", 5014
TOPIC = "mcast.news"
PACKED = 'compression = "zstd";'  # more fits into the mock


@pytest.fixture(autouse=True)
def leaks(monkeypatch):
    """What the C library keeps for threads of librdkafka is no leak of the daemon."""
    monkeypatch.setenv("LSAN_OPTIONS", f"suppressions={os.path.join(ROOT, 'tests', 'harness', 'leaks.supp')}:print_suppressions=0")


@pytest.fixture(scope="module")
def mock(tmp_path_factory):
    if not shutil.which("kcat") or subprocess.run(["pkg-config", "--exists", "rdkafka"]).returncode:
        pytest.skip("needs kcat and librdkafka-dev: packaging/install-deps peers")
    return kafka.build(tmp_path_factory.mktemp("kafka"))


@pytest.fixture(scope="module")
def blast(tmp_path_factory):
    return Blast(tmp_path_factory.mktemp("blast"))


@pytest.fixture
def cluster(net, mock):
    with Cluster(net.host, mock, TOPIC) as cluster:
        yield cluster


@pytest.fixture
def hidden(mock):
    """A cluster that only a Front reaches."""
    host = Namespace()
    with Cluster(host, mock, TOPIC) as cluster:
        yield cluster
    host.close()


def config(cluster, keys="", groups="", handlers=""):
    return f"""groups: {{ news: {{ address = "{GROUP}"; port = {PORT}; interfaces = ["eth0"]; handlers = ["hq"];
            receive_buffer = "8M"; }}; {groups} }};
        handlers: {{ hq: {{ type = "kafka"; brokers = [{cluster.quoted}]; site = "plant-1"; {keys} }}; {handlers} }};"""


def look_for(daemon, seconds):
    """The identity holds at each look, all 100 ms."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        daemon.assert_balanced()
        time.sleep(0.1)


def stream(blast, net, rate=8000):
    return blast.stream(net.peer, GROUP, PORT, rate=rate, interface="eth0")


def settled(daemon, count):
    """The handler's numbers once it has nothing left of so many datagrams."""
    daemon.wait_arrived("news", count)
    return daemon.wait_idle("hq")


def dropped(handler):
    return {reason: count for reason, count in handler["dropped"].items() if count}


def wait_for_error(daemon, text):
    return wait_until(lambda: text in (daemon.handler("hq")["error"] or ""), f"the error {text!r}")


def test_a_datagram_becomes_a_message_with_its_origin(net, cluster, start, blast):
    daemon = start(config(cluster))
    with Consumer(cluster, TOPIC) as consumer:
        blast(net.peer, GROUP, PORT, 3, interface="eth0")
        consumer.wait(3)
        messages = consumer.messages()
    assert [payload[:4] for *_, payload in messages] == [b"x 0 ", b"x 1 ", b"x 2 "]
    runs = set()
    for number, (_, key, milliseconds, headers, _) in enumerate(messages, 1):
        site, run, of_run = headers["Mcastd-Id"].split("/")
        origin = dict(part.split("=") for part in headers["Mcastd-From"].split(" "))
        runs.add(run)
        assert key == site == "plant-1" and int(of_run) == number
        assert (origin["source"], origin["interface"], origin["ttl"]) == (net.peer.v4, "eth0", "8")
        assert abs(milliseconds / 1000 - time.time()) < 60
    assert len(runs) == 1
    handler = settled(daemon, 3)
    assert (handler["delivered"], handler["acknowledged"]) == (3, 3) and 0 < handler["acknowledgeMicroseconds"] < 60e6


def test_events_are_messages_too(net, cluster, start):
    cluster.tell("topic mcast.events 1")
    silent = f'silent: {{ address = "239.14.0.3"; port = {PORT}; interfaces = ["eth0"]; expect_within = "1s"; }};'
    start(config(cluster, 'partition_key = "source";', silent) + 'events: { handlers = ["hq"]; };')
    with Consumer(cluster, "mcast.events") as consumer:
        wait_until(lambda: ("silence", "-") in [(json.loads(payload)["event"], key)
                                                for _, key, _, _, payload in consumer.messages()], "the event")


def test_without_headers_a_message_is_the_payload_alone(net, cluster, start):
    start(config(cluster, "headers = false; partition_key = \"none\";"))
    with Consumer(cluster, TOPIC) as consumer:
        for payload in (b"a", b"", b"c"):
            send(net.peer, payload, GROUP, PORT, "eth0")
        consumer.wait(3, numbered=False)
        assert [(key, headers, payload) for _, key, _, headers, payload in consumer.messages()] == \
            [("", {}, b"a"), ("", {}, b""), ("", {}, b"c")]


@pytest.mark.parametrize("key, wanted", [("site", "plant-1"), ("group", "news"), ("source", None), ("none", "")])
def test_the_partition_follows_the_key(net, mock, start, blast, key, wanted):
    with Cluster(net.host, mock, TOPIC, partitions=8) as cluster:
        daemon = start(config(cluster, f'partition_key = "{key}";'))
        with Consumer(cluster, TOPIC) as consumer:
            blast(net.peer, GROUP, PORT, 200, interface="eth0")
            consumer.wait(200)
            messages = consumer.messages()
        daemon.finish()
    assert {message[1] for message in messages} == {net.peer.v4 if wanted is None else wanted}
    if key != "none":
        assert len({message[0] for message in messages}) == 1


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_batches_are_compressed(net, cluster, start, blast, compression):
    daemon = start(config(cluster, f'compression = "{compression}";'))
    with Consumer(cluster, TOPIC) as consumer:
        blast(net.peer, GROUP, PORT, 500, size=1000, interface="eth0")
        assert consumer.wait(500) == list(range(500))
    assert settled(daemon, 500)["delivered"] == 500


def test_an_outage_of_two_seconds_loses_repeats_and_reorders_nothing(net, cluster, start, blast):
    daemon = start(config(cluster, PACKED))
    with Consumer(cluster, TOPIC) as consumer:
        with stream(blast, net) as sender:
            look_for(daemon, 2)
            cluster.tell("down")
            look_for(daemon, 2)
            wait_for_error(daemon, "Connection refused")
            cluster.tell("up")
            look_for(daemon, 2)
        handler = settled(daemon, sender.sent)
        assert consumer.wait(sender.sent) == list(range(sender.sent))
    assert (handler["delivered"], dropped(handler), handler["error"]) == (sender.sent, {}, None)


def test_a_leader_that_goes_away_and_another_one_lose_repeat_and_reorder_nothing(net, cluster, start, blast):
    cluster.tell(f"leader {TOPIC} 0 1")
    daemon = start(config(cluster, PACKED))
    with Consumer(cluster, TOPIC) as consumer:
        with stream(blast, net) as sender:
            look_for(daemon, 1)
            cluster.tell("down 1")
            look_for(daemon, 1)
            cluster.tell(f"leader {TOPIC} 0 2")
            look_for(daemon, 1)
            cluster.tell("up 1")
            cluster.tell(f"leader {TOPIC} 0 3")
            look_for(daemon, 1)
        handler = settled(daemon, sender.sent)
        assert consumer.wait(sender.sent) == list(range(sender.sent))
    assert (handler["delivered"], dropped(handler), handler["error"]) == (sender.sent, {}, None)


def test_a_cluster_that_falls_silent_is_asked_again_and_stores_nothing_twice(net, hidden, start, blast):
    with Front(net.host, hidden) as front, Consumer(hidden, TOPIC) as consumer:
        daemon = start(config(hidden, PACKED + 'ack_timeout = "1s";'))
        with stream(blast, net) as sender:
            look_for(daemon, 1)
            with hidden.paused():
                look_for(daemon, 3.5)
                wait_until(lambda: daemon.handler("hq")["error"], "the error")
            look_for(daemon, 1)
        handler = settled(daemon, sender.sent)
        assert consumer.wait(sender.sent) == list(range(sender.sent))
        assert (handler["delivered"], dropped(handler), handler["error"]) == (sender.sent, {}, None)
        assert front.sequences.duplicates, "nothing was sent twice: what does this test show?"
        daemon.finish()


def test_nothing_expires_by_itself_and_the_queue_decides_what_is_lost(net, cluster, start, blast):
    daemon = start(config(cluster, 'window = 1000; queue_datagrams = 2000; drop = "oldest";'))
    with Consumer(cluster, TOPIC) as consumer:
        blast(net.peer, GROUP, PORT, 1, interface="eth0")
        consumer.wait(1)
        cluster.tell("down")
        with stream(blast, net) as sender:
            wait_until(lambda: daemon.handler("hq")["dropped"]["queue"] > 5000, "a full queue")
        look_for(daemon, 1)
        assert set(dropped(daemon.handler("hq"))) == {"queue"}
        cluster.tell("up")
        handler = settled(daemon, 1 + sender.sent)
        numbers = consumer.wait(handler["delivered"])
    assert handler["delivered"] + handler["dropped"]["queue"] == 1 + sender.sent
    # The window has the oldest, the queue the newest.
    assert numbers[1:] == sorted(set(numbers[1:])) and numbers[-1] == sender.sent - 1


@pytest.mark.parametrize("window", [1, 63, 100])
def test_a_small_window_delivers_everything_in_order(net, cluster, start, blast, window):
    daemon = start(config(cluster, f"window = {window};"))
    with Consumer(cluster, TOPIC) as consumer:
        blast(net.peer, GROUP, PORT, 200, interface="eth0")
        assert consumer.wait(200) == list(range(200))
    handler = settled(daemon, 200)
    assert (handler["delivered"], dropped(handler), handler["counters"]["resent"]) == (200, {}, 0)


def test_no_more_than_the_window_is_sent_and_not_acknowledged(net, cluster, start, blast, directory):
    daemon = start(config(cluster, "window = 10;"), directory=directory)
    blast(net.peer, GROUP, PORT, 1, interface="eth0")
    assert settled(daemon, 1)["delivered"] == 1
    cluster.tell("rtt 60000")
    blast(net.peer, GROUP, PORT, 50, interface="eth0")
    daemon.wait_arrived("news", 51)
    daemon.finish()
    assert "stopped with 10 datagrams that no broker has acknowledged, and 40 that were not sent" in daemon.log()


def test_what_waits_in_the_queue_expires_too(net, start, blast):
    """Nobody is at the port."""
    daemon = start(config(SimpleNamespace(quoted='"127.0.0.1:199"'), 'window = 100; expire = "1s";'))
    with stream(blast, net, rate=200) as sender:
        wait_until(lambda: daemon.handler("hq")["counters"]["expired"] > 500, "what has expired")
        # What the library got when it was young has the whole time there again.
        assert daemon.handler("hq")["oldestQueued"] < 4
    handler = settled(daemon, sender.sent)
    assert dropped(handler) == {"absent": sender.sent} and handler["counters"]["expired"] == sender.sent


def test_what_expires_is_counted_once(net, cluster, start, blast):
    daemon = start(config(cluster, PACKED + 'expire = "1s"; window = 100000;'))
    with Consumer(cluster, TOPIC) as consumer:
        with stream(blast, net) as sender:
            look_for(daemon, 1)
            cluster.tell("down")
            look_for(daemon, 3)
            cluster.tell("up")
            look_for(daemon, 1)
        handler = settled(daemon, sender.sent)
        failed = handler["dropped"]["absent"] + handler["dropped"]["unconfirmed"]
        assert failed and handler["delivered"] + failed == sender.sent
        assert handler["counters"]["expired"] == failed and handler["dropped"]["absent"]
        numbers = consumer.wait(handler["delivered"])
    # Those that are unconfirmed may be there; none is there twice, or out of order.
    assert numbers == sorted(set(numbers))
    assert handler["delivered"] <= len(numbers) <= handler["delivered"] + handler["dropped"]["unconfirmed"]


def test_what_expires_for_want_of_an_acknowledgement_has_a_reason_until_one_comes(net, cluster, start, blast):
    daemon = start(config(cluster, 'expire = "1s";'))
    with Consumer(cluster, TOPIC) as consumer:
        blast(net.peer, GROUP, PORT, 1, interface="eth0")
        consumer.wait(1)
        with cluster.paused():
            blast(net.peer, GROUP, PORT, 1, interface="eth0")
            wait_until(lambda: daemon.handler("hq")["counters"]["expired"] == 1, "a datagram to expire")
            wait_until(lambda: daemon.handler("hq")["error"], "the reason")
            look_for(daemon, 3)
            assert daemon.handler("hq")["error"], "its brokers are silent still"
        wait_until(lambda: (blast(net.peer, GROUP, PORT, 1, interface="eth0"), not daemon.handler("hq")["error"])[1], "no error")
    lines = [line for line in daemon.log().splitlines() if "handler hq" in line]
    assert len(lines) == 2 and "Kafka takes datagrams again" in lines[1], lines


def test_whoever_accepts_connections_and_does_not_answer_is_named_once_and_in_words(net, start, blast):
    with net.host:
        silent = socket.create_server(("127.0.0.1", 9092))
    with silent:
        daemon = start(config(SimpleNamespace(quoted='"127.0.0.1:9092"'), 'ack_timeout = "1s";'))
        blast(net.peer, GROUP, PORT, 10, interface="eth0")
        wait_for_error(daemon, "127.0.0.1:9092/bootstrap: connected, but then it did not answer; is it a Kafka broker?")
        connections = [silent.accept()[0] for _ in range(3)]
        for connection in connections:
            connection.close()
        lines = [line for line in daemon.log().splitlines() if "handler hq" in line]
        assert len(lines) <= 2 and "librdkafka" not in daemon.log(), lines


@pytest.mark.parametrize("error, counter, said", [
    (kafka.TOO_LARGE, "tooLarge", "raise max.message.bytes of the topic"),
    (kafka.NOT_AUTHORIZED, "notAuthorized", "the ACLs of the brokers do not let this user write to it")])
def test_what_a_broker_refuses_is_refused_and_the_rest_goes_on(net, cluster, start, blast, error, counter, said):
    daemon = start(config(cluster))
    with Consumer(cluster, TOPIC) as consumer:
        cluster.tell(f"errors {kafka.PRODUCE} {error} 1")
        blast(net.peer, GROUP, PORT, 1, interface="eth0")
        wait_until(lambda: daemon.handler("hq")["dropped"]["refused"] == 1, "the refusal")
        assert said in daemon.log()
        wait_until(lambda: (blast(net.peer, GROUP, PORT, 1, interface="eth0"), consumer.lines())[1], "the next message")
        handler = settled(daemon, daemon.arrived("news"))
    assert handler["delivered"] + handler["dropped"]["refused"] == handler["received"]
    assert handler["counters"][counter] == handler["dropped"]["refused"] and handler["error"] is None


def test_a_topic_that_does_not_exist_refuses_until_it_does(net, cluster, start, blast):
    cluster.tell(f"topic-error {TOPIC} {kafka.UNKNOWN_TOPIC}")
    daemon = start(config(cluster))
    blast(net.peer, GROUP, PORT, 10, interface="eth0")
    wait_until(lambda: daemon.handler("hq")["dropped"]["refused"] == 10, "the refusals")
    wait_for_error(daemon, "it has to be created")
    cluster.tell(f"topic-error {TOPIC} 0")
    wait_until(lambda: (blast(net.peer, GROUP, PORT, 1, interface="eth0"), daemon.handler("hq")["delivered"])[1],
               "a message")
    handler = settled(daemon, daemon.arrived("news"))
    assert handler["counters"]["unknownTopic"] == handler["dropped"]["refused"] and handler["error"] is None


def test_a_refused_topic_is_the_error_though_nobody_had_answered_before(net, cluster, start, blast):
    cluster.tell(f"topic-error {TOPIC} {kafka.UNKNOWN_TOPIC}")
    daemon = start(config(cluster, 'ack_timeout = "1s";'))
    blast(net.peer, GROUP, PORT, 10, interface="eth0")
    # The library waits for five seconds, as the topic may be new.
    wait_for_error(daemon, "no broker has acknowledged anything")
    wait_for_error(daemon, "it has to be created")
    assert "Kafka takes datagrams again" not in daemon.log()


def test_the_error_of_a_topic_ends_when_its_group_is_gone(net, cluster, start, blast):
    other = f'other: {{ address = "239.14.0.2"; port = {PORT}; interfaces = ["eth0"]; handlers = ["hq"]; }};'
    cluster.tell(f"topic-error mcast.other {kafka.UNKNOWN_TOPIC}")
    daemon = start(config(cluster, groups=other))
    blast(net.peer, "239.14.0.2", PORT, 1, interface="eth0")
    wait_for_error(daemon, "topic mcast.other")
    daemon.write_config(config(cluster))
    daemon.call("Reload")
    wait_until(lambda: not daemon.handler("hq")["error"], "the end of the error", 20)


def test_a_producer_that_ends_by_itself_is_replaced_and_nothing_is_lost(net, cluster, start, blast):
    daemon = start(config(cluster))
    with Consumer(cluster, TOPIC) as consumer:
        with stream(blast, net) as sender:
            look_for(daemon, 0.5)
            cluster.tell(f"errors {kafka.PRODUCE} {kafka.OUT_OF_ORDER} 1")
            wait_until(lambda: daemon.handler("hq")["counters"]["producerRestarts"], "another producer")
            look_for(daemon, 1)
        handler = settled(daemon, sender.sent)
        numbers = consumer.wait(sender.sent)
    assert (handler["delivered"], dropped(handler), handler["error"]) == (sender.sent, {}, None)
    assert "the producer has ended, and is created again" in daemon.log()
    # What the old producer had sent may be there twice.
    assert set(numbers) == set(range(sender.sent))


def test_a_producer_that_the_brokers_do_not_allow_waits_until_they_do(net, cluster, start, blast):
    cluster.tell(f"errors {kafka.INIT_PRODUCER_ID} {kafka.CLUSTER_NOT_AUTHORIZED} 2")
    daemon = start(config(cluster))
    wait_for_error(daemon, "IdempotentWrite")
    with Consumer(cluster, TOPIC) as consumer:
        blast(net.peer, GROUP, PORT, 100, interface="eth0")
        assert consumer.wait(100) == list(range(100))
    handler = settled(daemon, 100)
    assert handler["counters"]["producerRestarts"] == 2 and handler["error"] is None


def test_the_error_ends_when_a_broker_is_there_again_without_any_traffic(net, cluster, start):
    daemon = start(config(cluster))
    cluster.tell("down")
    wait_for_error(daemon, "")
    wait_until(lambda: daemon.handler("hq")["error"], "the error")
    cluster.tell("up")
    wait_until(lambda: not daemon.handler("hq")["error"], "the end of the error")
    assert "Kafka takes datagrams again" in daemon.log()


def test_a_reload_that_changes_the_handler_loses_repeats_and_reorders_nothing(net, cluster, start, blast):
    daemon = start(config(cluster, PACKED))
    with Consumer(cluster, TOPIC) as consumer:
        with stream(blast, net) as sender:
            for window in (5000, 20000, 3000):
                look_for(daemon, 0.7)
                daemon.write_config(config(cluster, PACKED + f"window = {window};"))
                daemon.call("Reload")
            look_for(daemon, 0.7)
        handler = settled(daemon, sender.sent)
        assert consumer.wait(sender.sent) == list(range(sender.sent))
    assert (handler["delivered"], dropped(handler)) == (sender.sent, {})


def test_without_brokers_it_stops_in_time_and_says_what_was_not_confirmed(net, cluster, start, blast, directory):
    daemon = start(config(cluster, "window = 1000;"), directory=directory)
    blast(net.peer, GROUP, PORT, 100, interface="eth0")
    assert settled(daemon, 100)["delivered"] == 100
    # It takes what it is sent and does not answer: in flight, and not acknowledged.
    cluster.tell("rtt 60000")
    blast(net.peer, GROUP, PORT, 3000, interface="eth0")
    daemon.wait_arrived("news", 3100)
    began = time.monotonic()
    daemon.finish()
    assert time.monotonic() - began < 15
    said = re.search(r"stopped with (\d+) datagrams? that no broker has acknowledged, and (\d+) that w", daemon.log())
    left = re.search(r"(\d+) datagrams? dropped, not delivered before it had to stop", daemon.log())
    assert int(said[1]) and int(said[1]) + int(said[2]) + int(left[1]) == 3000


def test_a_handler_that_is_replaced_without_brokers_counts_what_it_had(net, cluster, start, blast):
    daemon = start(config(cluster, "window = 1000;"))
    blast(net.peer, GROUP, PORT, 100, interface="eth0")
    settled(daemon, 100)
    cluster.tell("down")
    blast(net.peer, GROUP, PORT, 600, interface="eth0")
    daemon.wait_arrived("news", 700)
    daemon.write_config(config(cluster, "window = 2000;"))
    daemon.call("Reload")
    wait_until(lambda: not daemon.handler("hq")["queued"], "the end of the old one", 20)
    handler = daemon.handler("hq")
    assert handler["delivered"] == 100
    assert handler["dropped"]["shutdown"] + handler["dropped"]["unconfirmed"] == 600


# TLS and users


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    directory = tmp_path_factory.mktemp("made")
    made = Authority(directory / "ours")
    made.server = made.sign("k1", "127.0.0.1")
    made.misnamed = made.sign("k2", "127.0.0.9")
    made.client = made.sign("plant-1")
    made.expired = made.sign_expired("expired", "127.0.0.1")
    made.others = Authority(directory / "others")
    made.password = directory / "password"
    made.password.write_text(f"{SECRET}\n")
    made.wrong_password = directory / "wrong"
    made.wrong_password.write_text(f"{SECRET}, but not quite\n")
    return made


SECRET = "correct horse"


def tls(made, ca=None, client=None):
    keys = f'tls = true; ca = "{ca or made.ca}";'
    return keys + (f'certificate = "{client.certificate}"; key = "{client.key}";' if client else "")


def deliver_one(daemon, net, blast):
    blast(net.peer, GROUP, PORT, 1, interface="eth0")
    wait_until(lambda: daemon.handler("hq")["delivered"] == 1, "the acknowledgement")
    assert daemon.handler("hq")["error"] is None


def test_tls_with_a_certificate_of_ours_delivers(net, hidden, start, blast, made):
    with Front(net.host, hidden, made.server, ca=made.ca):
        deliver_one(start(config(hidden, tls(made, client=made.client))), net, blast)


@pytest.mark.parametrize("certificate, ca, client, said", [
    ("server", "others", "client", "the broker's certificate is not trusted: "),
    ("misnamed", "ours", "client", "the broker's certificate is not for this name"),
    ("expired", "ours", "client", "the broker's certificate has expired at "),
    ("server", "ours", None, "see tls, ca, certificate and key"),
    ("server", "ours", "expired", "/expired.pem: has expired at ")])
def test_what_is_wrong_with_certificates_is_said(net, hidden, start, made, certificate, ca, client, said):
    keys = tls(made, made.others.ca if ca == "others" else None, client and getattr(made, client))
    with Front(net.host, hidden, getattr(made, certificate), ca=made.ca):
        daemon = start(config(hidden, keys))
        wait_for_error(daemon, said)
        assert said in daemon.log()


def test_an_authority_that_is_corrected_in_its_file_is_used(net, hidden, start, blast, made, tmp_path):
    ca = tmp_path / "ca.pem"
    shutil.copy(made.others.ca, ca)
    with Front(net.host, hidden, made.server):
        daemon = start(config(hidden, tls(made, ca)))
        blast(net.peer, GROUP, PORT, 100, interface="eth0")
        wait_for_error(daemon, "the broker's certificate is not trusted")
        shutil.copy(made.ca, ca)
        wait_until(lambda: daemon.handler("hq")["delivered"] == 100, "the acknowledgements")
        handler = daemon.handler("hq")
        assert (handler["error"], dropped(handler)) == (None, {})
    assert "the producer is created again" in daemon.log()


def test_a_password_that_is_corrected_in_its_file_is_used(net, hidden, start, blast, made, tmp_path):
    password = tmp_path / "password"
    shutil.copy(made.wrong_password, password)
    keys = f'sasl = "PLAIN"; username = "plant-1"; password_file = "{password}";'
    with Front(net.host, hidden, users={"plant-1": SECRET}):
        daemon = start(config(hidden, keys))
        wait_for_error(daemon, "see sasl, username and password_file")
        shutil.copy(made.password, password)
        deliver_one(daemon, net, blast)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_user_with_the_password_delivers(net, hidden, start, blast, made, mechanism):
    keys = tls(made) + f'sasl = "{mechanism}"; username = "plant-1"; password_file = "{made.password}";'
    with Front(net.host, hidden, made.server, users={"plant-1": SECRET}) as front:
        daemon = start(config(hidden, keys))
        deliver_one(daemon, net, blast)
        assert front.logins and all(front.logins)
    assert SECRET not in daemon.log() + str(daemon.call("ListHandlers"))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_wrong_password_is_said_and_nowhere_shown(net, hidden, start, made, mechanism):
    keys = f'sasl = "{mechanism}"; username = "plant-1"; password_file = "{made.wrong_password}";'
    with Front(net.host, hidden, users={"plant-1": SECRET}):
        daemon = start(config(hidden, keys))
        wait_for_error(daemon, "see sasl, username and password_file")
        assert "not quite" not in daemon.log() + str(daemon.call("ListHandlers"))


def test_the_example_of_a_configuration_delivers_to_a_cluster_that_knows_its_user(net, hidden, start, blast, made):
    with open(f"{ROOT}/packaging/examples/kafka/mcastd.conf") as file:
        text = re.sub(r"brokers = .*", f"brokers = [{hidden.quoted}];", file.read())
    text = text.replace("kafka-ca.pem", made.ca).replace("kafka-password", str(made.password)).replace(
        '"233.252.0.1"', f'"{GROUP}"').replace("port = 5004", f"port = {PORT}")
    with Front(net.host, hidden, made.server, users={"plant-1": SECRET}):
        daemon = start(text)
        blast(net.peer, GROUP, PORT, 1, interface="eth0")
        wait_until(lambda: daemon.handler("analysis")["delivered"] == 1, "the acknowledgement")


# What --check says, and what does not depend on a cluster


NOWHERE = SimpleNamespace(quoted='"nowhere.invalid:9092"')


def check(tmp_path, keys):
    path = tmp_path / "mcastd.conf"
    path.write_text(config(NOWHERE, keys) + f'control: {{ socket = "{tmp_path}/socket"; }}; run_directory = "{tmp_path}/run";')
    return run_mcastd("-c", str(path), "--check")


def test_the_check_refuses_a_certificate_that_is_broken(tmp_path, made):
    assert check(tmp_path, tls(made, client=made.client)).stderr == ""
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    result = check(tmp_path, tls(made, ca=broken))
    assert result.returncode == 78 and f"handlers.hq.ca: {broken}: certificate 1 in it is broken" in result.stderr


def test_the_check_warns_of_a_password_in_the_clear(tmp_path, made):
    keys = f'username = "plant-1"; password_file = "{made.password}"; sasl = '
    assert "sends its password in the clear" in check(tmp_path, keys + '"PLAIN";').stderr
    assert check(tmp_path, keys + '"SCRAM-SHA-512";').stderr == ""


def test_a_name_that_does_not_resolve_is_said(net, start):
    daemon = start(config(NOWHERE))
    wait_for_error(daemon, "nowhere.invalid")
    assert "see brokers" in daemon.handler("hq")["error"]


def test_what_was_never_sent_is_counted_as_that(net, start, blast, directory):
    daemon = start(config(NOWHERE), directory=directory)
    blast(net.peer, GROUP, PORT, 500, interface="eth0")
    wait_until(lambda: daemon.handler("hq")["queued"] == 500, "500 datagrams")
    daemon.finish()
    assert "stopped with 0 datagrams that no broker has acknowledged, and 500 that were not sent" in daemon.log()


def memory(daemon):
    """The resident memory, in bytes."""
    with open(f"/proc/{daemon.process.pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) << 10


@pytest.mark.long
def test_a_minute_without_brokers_costs_the_queue_and_the_window_and_nobody_else(net, cluster, start, blast):
    queue, window = 8 << 20, 10000
    daemon = start(config(
        cluster, f'window = {window}; queue = "8M"; drop = "oldest";',
        f'other: {{ address = "239.14.0.2"; port = {PORT}; interfaces = ["eth0"]; handlers = ["raw"]; }};',
        'raw: { type = "file"; path = "$DIR/raw"; format = "raw"; };'))
    blast(net.peer, GROUP, PORT, 20000, interface="eth0", rate=20000)
    settled(daemon, 20000)
    before = memory(daemon)
    cluster.tell("down")
    with stream(blast, net, rate=20000) as sender, \
            blast.stream(net.peer, "239.14.0.2", PORT, rate=500, interface="eth0") as others:
        look_for(daemon, 60)
        used = memory(daemon) - before
    daemon.wait_arrived("other", others.sent)
    daemon.wait_arrived("news", 20000 + sender.sent)
    assert daemon.wait_idle("raw")["delivered"] == others.sent and not daemon.group("other")["kernelDropped"]
    handler = daemon.handler("hq")
    assert set(dropped(handler)) == {"queue"} and handler["delivered"] == 20000
    print(f"{used / 2**20:.1f} MiB more for {handler['queued']} datagrams")
    assert used < queue + window * 1024 + (16 << 20)
    began = time.monotonic()
    daemon.finish()
    assert time.monotonic() - began < 15
