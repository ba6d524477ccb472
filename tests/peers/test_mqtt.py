"""MQTT, with a real mosquitto: group to group between two sites, the account on both sides, and what goes wrong."""

import os
import random
import socket
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest

from harness.brokers import MQTT_PORT, MQTTS_PORT, Mosquitto
from harness.credentials import Authority
from harness.daemon import MCASTD, balance, input_balance, run_mcastd
from harness.mqtt import Mqtt
from harness.peers import tutorial_sender
from harness.waiting import TIMEOUT, wait_until

GROUP, PORT, IMPORT_PORT = "233.252.0.1", 5004, 5999
SANITIZED = "check" in os.path.dirname(MCASTD)

# As an operator would run it: nothing is logged for each message, and nothing is thrown away.
PLAIN = """listener 1883 {address}
allow_anonymous true
persistence true
persistence_location $DIR/
log_dest none
set_tcp_nodelay true
max_inflight_messages 1000
max_queued_messages 0
"""


def config(site, url, out=True, come_in=True, **keys):
    """keys are those of the handler."""
    keys = {"servers": [url], "site": site, "queue": "64M", **keys}
    ways = ('handlers = ["hq"]; ' if out else "") + ('inputs = ["hq"]; ' if come_in else "")
    return (f'groups: {{ news: {{ address = "{GROUP}"; port = {PORT}; interfaces = ["eth0"]; receive_buffer = "16M"; {ways}}}; }};\n'
            f'handlers: {{ hq: {{ type = "mqtt"; {" ".join(f"{key} = {written(value)};" for key, value in keys.items())} }}; }};\n'
            f"import_port = {IMPORT_PORT};\n")


def written(value):
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


@pytest.fixture
def broker(sites, tmp_path):
    with Mosquitto(sites.broker, tmp_path, config=PLAIN.format(address=sites.broker.v4)) as broker:
        yield broker


@pytest.fixture
def pair(sites, broker, start):
    """A daemon at each site, both ways, connected."""
    daemons = [start(config(site.name, broker.url), host=site.host) for site in (sites.first, sites.second)]
    for daemon in daemons:
        daemon.wait_joined("news")
        wait_connected(daemon)
    wait_subscribed(broker, 2)
    return daemons


def wait_connected(daemon, times=1):
    wait_until(lambda: daemon.log().count("handler hq: connected to ") >= times, "the connection to the broker")


def wait_subscribed(broker, count):
    """Subscriptions follow the connection: a message of another client comes through once they are there."""
    with Mqtt(broker, "asks") as client:
        client.subscribe("$SYS/broker/subscriptions/count", qos=0)
        # Not refreshed often enough to be waited for: the answer to a ping of ours comes after theirs.
        client.ping()
    time_for_subscriptions = time.monotonic() + 0.3
    wait_until(lambda: time.monotonic() > time_for_subscriptions, "subscriptions")


def assert_exact(daemon):
    numbers = daemon.handler("hq")
    assert balance(numbers) == 0 and input_balance(numbers) == 0, numbers
    return numbers


@contextmanager
def looked_at(*daemons):
    """Looks at both accounts each 100 ms while the block runs."""
    over, failures, looks = threading.Event(), [], []

    def look():
        connections = [daemon.connect() for daemon in daemons]
        while not looks or not over.wait(0.1):
            for connection in connections:
                for handler in connection.call("ListHandlers")["handlers"]:
                    if balance(handler) or input_balance(handler):
                        failures.append(handler)
            looks.append(1)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield looks
    finally:
        over.set()
        thread.join()
    assert looks and not failures, failures[:2]


def rate(plain, sanitized=2000):
    return sanitized if SANITIZED else plain


@contextmanager
def traffic(sites, blast, per_second):
    """Sends from the peer of the first site for as long as the block lasts. Yields what has .sent then."""
    with blast.stream(sites.first.peer, GROUP, PORT, 64, interface="eth0", rate=per_second, timed=True) as stream:
        yield stream


def assert_all_there(sink, sent, daemon):
    """Nothing lost, nothing twice, nothing out of order at the far group."""
    assert daemon.wait_idle("hq")["dropped"]["queue"] == 0
    report = sink.wait(sent)
    assert (report["unique"], report["duplicates"], report["disordered"]) == (sent, 0, 0), report


def passed(sink, more=1000):
    """Waits until more datagrams have come."""
    goal = sink.look()["unique"] + more
    wait_until(lambda: sink.look()["unique"] >= goal, "datagrams at the far group", 60)


# Group to group


def test_a_restart_of_the_broker_neither_loses_nor_repeats_anything(sites, broker, pair, sinks, blast):
    with sinks(sites.second.peer, GROUP, PORT) as sink, looked_at(*pair):
        with traffic(sites, blast, rate(20000)) as stream:
            passed(sink)
            broker.stop()
            wait_until(lambda: pair[0].handler("hq")["queued"] > 300, "the queue to fill")
            broker.start()
            passed(sink)
        assert_all_there(sink, stream.sent, pair[0])
    assert pair[0].handler("hq")["error"] is None


def test_a_broker_that_does_not_answer_for_a_while_costs_nothing(sites, broker, pair, sinks, blast):
    with sinks(sites.second.peer, GROUP, PORT) as sink, looked_at(*pair):
        with traffic(sites, blast, rate(20000)) as stream:
            passed(sink)
            broker.pause()
            wait_until(lambda: pair[0].handler("hq")["queued"] > 600, "the queue to fill")
            broker.resume()
            passed(sink)
        assert_all_there(sink, stream.sent, pair[0])
    assert "lost" not in pair[0].log()


def test_without_acknowledgements_the_connection_is_made_again(sites, broker, start, sinks, blast):
    first = start(config("plant-1", broker.url, come_in=False, ack_timeout="500ms"), host=sites.first.host)
    second = start(config("plant-2", broker.url, out=False), host=sites.second.host)
    for daemon in first, second:
        daemon.wait_joined("news")
        wait_connected(daemon)
    wait_subscribed(broker, 1)
    with sinks(sites.second.peer, GROUP, PORT) as sink:
        with traffic(sites, blast, rate(5000, 500)) as stream:
            passed(sink)
            broker.pause()
            wait_until(lambda: "nothing was acknowledged" in first.log(), "the silence to be noticed")
            assert "nothing was acknowledged" in first.handler("hq")["error"] or first.handler("hq")["error"]
            broker.resume()
            passed(sink)
        assert_all_there(sink, stream.sent, first)


def test_the_wan_is_gone_for_a_while(sites, broker, pair, sinks, blast):
    with sinks(sites.second.peer, GROUP, PORT) as sink, looked_at(*pair):
        with traffic(sites, blast, rate(10000, 1000)) as stream:
            passed(sink)
            sites.first.cut()
            wait_until(lambda: pair[0].handler("hq")["queued"] > 1000, "the queue to fill")
            sites.first.restore()
            passed(sink)
        assert_all_there(sink, stream.sent, pair[0])


@pytest.mark.parametrize("changed", [0, 1])
def test_a_reload_under_traffic_neither_loses_nor_repeats_anything(sites, broker, pair, sinks, blast, changed):
    daemon, site = pair[changed], (sites.first, sites.second)[changed]
    with sinks(sites.second.peer, GROUP, PORT) as sink, looked_at(*pair):
        with traffic(sites, blast, rate(10000, 1000)) as stream:
            for window in 200, 150, 100:
                passed(sink)
                daemon.write_config(config(site.name, broker.url, window=window))
                assert daemon.call("Reload")["changes"]
            passed(sink)
        assert_all_there(sink, stream.sent, pair[0])
    assert daemon.handler("hq")["dropped"]["shutdown"] == daemon.handler("hq")["input"]["dropped"]["shutdown"] == 0


def test_the_broker_keeps_what_comes_while_the_receiving_daemon_restarts(sites, broker, start, sinks, blast, directory):
    first = start(config("plant-1", broker.url, come_in=False), host=sites.first.host)
    second = start(config("plant-2", broker.url), host=sites.second.host, directory=directory)
    for daemon in first, second:
        daemon.wait_joined("news")
        wait_connected(daemon)
    wait_subscribed(broker, 1)
    with sinks(sites.second.peer, GROUP, PORT) as sink:
        with traffic(sites, blast, rate(10000, 1000)) as stream:
            passed(sink)
            second.stop()
            second = start(config("plant-2", broker.url), host=sites.second.host, directory=directory)
            passed(sink)
        assert_all_there(sink, stream.sent, first)


@pytest.mark.parametrize("keys", [{"version": "3.1.1"}, {"qos": 0}, {"metadata": "@false"}, {"window": 1}],
                         ids=lambda keys: "-".join(keys))
def test_every_version_and_quality_carries_datagrams(sites, broker, start, sinks, blast, keys):
    keys = {key: False if value == "@false" else value for key, value in keys.items()}
    text = [config(site.name, broker.url, **keys).replace("False", "false") for site in (sites.first, sites.second)]
    daemons = [start(text[0], host=sites.first.host), start(text[1], host=sites.second.host)]
    for daemon in daemons:
        daemon.wait_joined("news")
        wait_connected(daemon)
    wait_subscribed(broker, 2)
    with sinks(sites.second.peer, GROUP, PORT) as sink:
        blast(sites.first.peer, GROUP, PORT, 2000, 64, interface="eth0", rate=2000, timed=True)
        assert_all_there(sink, 2000, daemons[0])
    handler = daemons[0].handler("hq")
    assert handler["delivered"] == 2000
    assert handler["acknowledged"] == (0 if keys.get("qos") == 0 else 2000)
    assert bool(handler["acknowledgeMicroseconds"]) == bool(handler["acknowledged"])


# Loops


def test_nothing_circulates_between_two_sites_with_two_daemons_each(sites, broker, start, sinks):
    hosts = [(site, host) for site in (sites.first, sites.second) for host in (site.host, site.second)]
    daemons = [start(config(site.name, broker.url, client_id=f"{site.name}-{number % 2}"), host=host)
               for number, (site, host) in enumerate(hosts)]
    for daemon in daemons:
        daemon.wait_joined("news")
        wait_connected(daemon)
    wait_subscribed(broker, 4)
    with Mqtt(broker, "watch") as watch, sinks(sites.second.peer, GROUP, PORT) as sink:
        watch.subscribe("mcast/#")
        with tutorial_sender(sites.first.peer, GROUP) as sender:
            sender.sendto(b"x 0 0 .", (GROUP, PORT))
        assert {watch.next().topic for _ in range(2)} == {"mcast/news/plant-1"}
        sink.wait(1)
        with pytest.raises(TimeoutError):
            watch.next(timeout=1)
        assert sink.look()["received"] <= 4
    # Each of the near ones gets the message of the other one, and knows its own site.
    assert all(daemon.handler("hq")["input"]["sent"] == 0 for daemon in daemons[:2])


# Devices that know nothing of mcastd


def test_a_device_reads_payloads_and_who_has_sent_them(sites, broker, pair):
    with Mqtt(broker, "device") as device:
        device.subscribe("mcast/news/+")
        with tutorial_sender(sites.first.peer, GROUP) as sender:
            sender.sendto(b"hello", (GROUP, PORT))
        message = device.next()
    assert (message.topic, message.payload) == ("mcast/news/plant-1", b"hello")
    site, run, number = message.properties["Mcastd-Id"].split("/")
    assert (site, len(run), number) == ("plant-1", 16, "1")
    origin = dict(word.split("=") for word in message.properties["Mcastd-From"].split())
    assert (origin["source"], origin["interface"]) == (sites.first.peer.v4, "eth0")


def test_what_a_device_publishes_is_a_datagram_of_the_group(sites, broker, pair, sinks):
    with sinks(sites.second.peer, GROUP, PORT) as sink, Mqtt(broker, "device") as device:
        for number in range(3):
            device.publish("mcast/news/sensor", b"x %d 0 ." % number)
            device.publish("mcast/news/sensor", b"x %d 0 ." % number)  # without an id nothing tells copies apart
        wait_until(lambda: sink.look()["received"] == 6, "the datagrams")


def test_copies_and_gaps_are_known_by_the_id_of_the_sites_own_topic(sites, broker, pair):
    daemon = pair[1]

    def publish(topic, identity):
        device.publish(topic, b"x", properties={"Mcastd-Id": identity})

    with Mqtt(broker, "device") as device:
        publish("mcast/news/plant-3", "plant-3/00000000000000aa/1")
        publish("mcast/news/plant-3", "plant-3/00000000000000aa/4")
        publish("mcast/news/plant-3", "plant-3/00000000000000aa/4")
        publish("mcast/news/plant-3", "plant-9/00000000000000aa/4")  # of another site than its topic: it is not believed
        publish("mcast/news/plant-2", "plant-2/00000000000000aa/1")
        wait_until(lambda: daemon.handler("hq")["input"]["taken"] == 5, "all of them")
    came = assert_exact(daemon)["input"]
    assert (came["sent"], came["dropped"]["duplicate"], came["dropped"]["own"], came["gaps"]) == (3, 1, 1, 2), came


def test_only_the_sites_that_are_named_come_in(sites, broker, start):
    daemon = start(config("plant-2", broker.url, sites=["plant-1"]), host=sites.second.host)
    daemon.wait_joined("news")
    wait_connected(daemon)
    wait_subscribed(broker, 1)
    with Mqtt(broker, "device") as device:
        device.publish("mcast/news/plant-3", b"no")
        device.publish("mcast/news/plant-1", b"yes")
        wait_until(lambda: daemon.handler("hq")["input"]["sent"] == 1, "the datagram")
    assert daemon.handler("hq")["input"]["taken"] == 1


def test_a_session_forgets_the_sites_that_a_reload_has_removed(sites, broker, start):
    daemon = start(config("plant-2", broker.url), host=sites.second.host)
    daemon.wait_joined("news")
    wait_connected(daemon)
    daemon.write_config(config("plant-2", broker.url, sites=["plant-1"]))
    daemon.call("Reload")
    wait_connected(daemon, 2)
    wait_subscribed(broker, 1)
    with Mqtt(broker, "device") as device:
        device.publish("mcast/news/plant-3", b"no")
        device.publish("mcast/news/plant-1", b"yes")
        wait_until(lambda: daemon.handler("hq")["input"]["sent"] == 1, "the datagram")
    assert daemon.handler("hq")["input"]["taken"] == 1


# The end


def test_a_stop_without_the_broker_counts_exactly_what_was_sent_and_what_was_not(sites, broker, start, blast):
    daemon = start(config("plant-1", broker.url, come_in=False, window=100), host=sites.first.host)
    daemon.wait_joined("news")
    wait_connected(daemon)
    broker.pause()
    blast(sites.first.peer, GROUP, PORT, 1000, 64, interface="eth0", rate=2000)
    daemon.wait_arrived("news", 1000)
    begin = time.monotonic()
    daemon.process.terminate()
    assert daemon.process.wait(2 * TIMEOUT) == 0 and time.monotonic() - begin < 15
    # What the window did not hold is dropped with the queue.
    assert "stopped with 100 datagrams that no broker has acknowledged, and " in daemon.log()


# Who is who


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    directory = tmp_path_factory.mktemp("made")
    made = Authority(directory / "ours")
    made.server = made.sign("hub", "203.0.113.5", "203.0.113.6", "203.0.113.7")
    made.elsewhere = made.sign("elsewhere")
    made.client = made.sign("plant-1")
    made.expired = made.sign_expired("old-hub", "203.0.113.5", "203.0.113.6", "203.0.113.7")
    made.stranger = Authority(directory / "others").sign("plant-1")
    return made


def tls(url, ca, client=None):
    keys = {"servers": [url.replace("mqtt:", "mqtts:")], "ca": ca}
    return {**keys, "certificate": client.certificate, "key": client.key} if client else keys


def secret(directory, text):
    path = os.path.join(directory, "password")
    with open(path, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(text + "\n")
    return path


def assert_error(daemon, text, level="handler hq: "):
    """Handlers and the log name the cause."""
    wait_until(lambda: text in (daemon.handler("hq")["error"] or ""), f"the error {text!r}: {daemon.handler('hq')}")
    assert [line for line in daemon.log().splitlines() if line.startswith(level) and text in line], daemon.log()
    wait_until(lambda: text in daemon.ctl("handlers"), "the error among the handlers")  # a later attempt may end in another way


def test_tls_with_certificates_on_both_sides(sites, start, tmp_path, made):
    with Mosquitto(sites.broker, tmp_path, port=MQTTS_PORT, tls=made.server, verify=True) as broker:
        daemon = start(config("plant-1", broker.url, **tls(broker.url, made.ca, made.client)), host=sites.first.host)
        wait_connected(daemon)
        daemon.wait_joined("news")
        with Mqtt(broker, "device", tls=made.client) as device:
            device.subscribe("mcast/#")
            with tutorial_sender(sites.first.peer, GROUP) as sender:
                sender.sendto(b"hello", (GROUP, PORT))
            assert device.next().payload == b"hello"


@pytest.mark.parametrize("which, text", [
    ("ca", "the broker's certificate is not trusted: "),
    ("name", "the broker's certificate is not for 203.0.113."),
    ("expired", "the broker's certificate has expired at "),
    ("stranger", "the broker does not accept our certificate"),
    ("none", "the broker wants a client certificate"),
    ("plain", "the broker closed the connection"),
])
def test_what_is_wrong_with_tls_is_said(sites, start, tmp_path, made, which, text):
    server = {"name": made.elsewhere, "expired": made.expired}.get(which, made.server)
    with Mosquitto(sites.broker, tmp_path, port=MQTTS_PORT, tls=server, verify=True) as broker:
        ca = made.stranger.ca if which == "ca" else made.ca
        client = {"stranger": made.stranger, "none": None}.get(which, made.client)
        keys = {"servers": [broker.url]} if which == "plain" else tls(broker.url, ca, client)
        assert_error(start(config("plant-1", broker.url, **keys), host=sites.first.host), text)


def test_an_expired_certificate_is_said_once_whatever_the_clock_says(sites, start, tmp_path, made):
    with Mosquitto(sites.broker, tmp_path, port=MQTTS_PORT, tls=made.expired) as broker:
        daemon = start(config("plant-1", broker.url, **tls(broker.url, made.ca)), host=sites.first.host)
        begin = int(time.time())
        wait_until(lambda: broker.log().count("SSL routines") >= 4 and time.time() > begin + 2, "more attempts in another second")
        assert_error(daemon, "has expired at")
    assert daemon.log().count("has expired at") == 1, daemon.log()


def test_a_name_with_several_addresses_is_said_once_for_each(sites, start, tmp_path):
    """They take turns to fail, each for a reason of its own."""
    names = tmp_path / "hosts"
    names.write_text(f"{sites.broker.v4} broker.example\n{sites.broker.v6} broker.example\n")
    with sites.broker:
        listener = socket.create_server((sites.broker.v4, MQTT_PORT))
    mount = ("unshare", "-m", "--propagation", "private", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(names))
    with listener:
        daemon = start(config("plant-1", "mqtt://broker.example"), host=sites.first.host, wrapper=mount)
        for _ in range(4):
            listener.accept()[0].close()
    lines = [line for line in daemon.log().splitlines() if "connecting to" in line]
    closed = f"broker.example ({sites.broker.v4}): the broker closed the connection without an answer"
    assert len(lines) == 2 and f"broker.example ({sites.broker.v6}): Connection refused" in "\n".join(lines), lines
    assert closed in "\n".join(lines), lines


def test_no_tls_at_the_port_is_said(sites, broker, start, made):
    daemon = start(config("plant-1", broker.url, **tls(broker.url, made.ca)), host=sites.first.host)
    assert_error(daemon, "no TLS is spoken at this port")


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_password_is_read_from_its_file_and_a_wrong_one_is_said(sites, start, tmp_path, version):
    with Mosquitto(sites.broker, tmp_path, passwords={"plant-1": "the right one"}) as broker:
        path = secret(tmp_path, "a wrong one")
        daemon = start(config("plant-1", broker.url, username="plant-1", password_file=path, version=version),
                       host=sites.first.host)
        assert_error(daemon, "not authorised: the broker does not accept this user name and password")
        secret(tmp_path, "the right one")
        wait_connected(daemon)
        wait_until(lambda: daemon.handler("hq")["error"] is None, "the error to go")
        shown = daemon.log() + daemon.ctl("handlers") + str(daemon.call("ListHandlers")) + daemon.ctl("stats")
        with open(f"/proc/{daemon.process.pid}/cmdline") as command:
            shown += command.read()
        assert "right one" not in shown and "wrong one" not in shown


def test_a_topic_that_is_forbidden_is_refused_and_said(sites, start, tmp_path, blast):
    acl = "user plant-1\ntopic write mcast/else/plant-1\ntopic read mcast/#\n"
    with Mosquitto(sites.broker, tmp_path, passwords={"plant-1": "right"}, acl=acl) as broker:
        keys = {"username": "plant-1", "password_file": secret(tmp_path, "right")}
        daemon = start(config("plant-1", broker.url, **keys), host=sites.first.host)
        wait_connected(daemon)
        daemon.wait_joined("news")
        blast(sites.first.peer, GROUP, PORT, 100, 64, interface="eth0", rate=1000)
        daemon.wait_arrived("news", 100)
        assert daemon.wait_idle("hq")["dropped"]["refused"] == 100
        assert_error(daemon, "publishing to mcast/news/plant-1: the broker refuses: ")


def test_the_error_of_a_forbidden_topic_ends_when_its_group_is_gone(sites, start, tmp_path, blast):
    other = "239.14.0.9"
    group = f'other: {{ address = "{other}"; port = {PORT}; interfaces = ["eth0"]; handlers = ["hq"]; }};'
    acl = "user plant-1\ntopic write mcast/news/plant-1\ntopic read mcast/#\n"
    with Mosquitto(sites.broker, tmp_path, passwords={"plant-1": "right"}, acl=acl) as broker:
        text = config("plant-1", broker.url, username="plant-1", password_file=secret(tmp_path, "right"))
        daemon = start(text.replace("groups: {", f"groups: {{ {group}"), host=sites.first.host)
        wait_connected(daemon)
        daemon.wait_joined("other")
        blast(sites.first.peer, other, PORT, 1, 64, interface="eth0", rate=1000)
        assert_error(daemon, "publishing to mcast/other/plant-1: the broker refuses: ")
        daemon.write_config(text)
        daemon.call("Reload")
        wait_until(lambda: daemon.handler("hq")["error"] is None, "the end of the error", 40)


@pytest.mark.parametrize("url, text", [
    ("mqtt://203.0.113.5:9", "connecting to mqtt://203.0.113.5:9: Connection refused"),
    ("mqtt://nowhere.invalid", "connecting to mqtt://nowhere.invalid: the name does not resolve: "),
])
def test_a_broker_that_is_not_there_is_said_and_the_daemon_still_stops_at_once(sites, start, url, text):
    daemon = start(config("plant-1", url.replace("203.0.113.5", sites.broker.v4)), host=sites.first.host)
    assert_error(daemon, text.replace("203.0.113.5", sites.broker.v4))
    assert daemon.log().count("connecting to") == 1
    begin = time.monotonic()
    daemon.stop()
    assert time.monotonic() - begin < 5


def test_the_next_server_is_used_when_one_is_not_there(sites, broker, start):
    servers = [f"mqtt://{sites.broker.v4}:9", broker.url]
    daemon = start(config("plant-1", broker.url, servers=servers), host=sites.first.host)
    wait_connected(daemon)
    assert f"connected to {broker.url}" in daemon.log()


def test_two_daemons_with_one_client_id_are_said(sites, broker, start):
    daemons = [start(config("plant-1", broker.url, client_id="same"), host=host) for host in (sites.first.host, sites.first.second)]
    # Newer brokers say so, older ones close the connection: some connections later, with backoff, that is the cause.
    wait_until(lambda: any("the same client_id" in daemon.log() for daemon in daemons), "the cause", 60)


def test_a_file_that_is_missing_is_found_by_check(sites, tmp_path, made):
    path = tmp_path / "mcastd.conf"
    path.write_text(config("plant-1", "mqtt://x", **tls("mqtt://x", made.ca + ".not")))
    result = run_mcastd("--check", "-c", str(path), host=sites.first.host)
    assert result.returncode == 78 and f"{made.ca}.not" in result.stderr + result.stdout


# Long


@pytest.mark.long
def test_a_broker_is_away_for_a_minute(sites, broker, start, blast, release):
    text = config("plant-1", broker.url, come_in=False, queue="16M").replace(
        "news: {", f'other: {{ address = "233.252.0.2"; port = 5006; interfaces = ["eth0"]; receive_buffer = "16M"; '
                   f'handlers = ["file"]; }}; news: {{').replace(
        "handlers: {", 'handlers: { file: { type = "file"; path = "$DIR/other"; }; ')
    daemon = start(text, host=sites.first.host, binary=release)
    daemon.wait_joined("news", "other")
    wait_connected(daemon)
    with blast.stream(sites.first.peer, GROUP, PORT, 64, interface="eth0", rate=20000) as stream, \
            blast.stream(sites.first.peer, "233.252.0.2", 5006, 64, interface="eth0", rate=1000) as other, looked_at(daemon):
        begin = resident(daemon)
        broker.stop()
        until = time.monotonic() + 60
        wait_until(lambda: time.monotonic() > until, "a minute", 70)
        assert resident(daemon) - begin <= (16 + 16 + 1) << 20
        broker.start()
        wait_connected(daemon, 2)
    daemon.wait_arrived("news", stream.sent)
    numbers = daemon.wait_idle("hq")
    dropped = {reason: count for reason, count in numbers["dropped"].items() if count}
    assert set(dropped) == {"queue"} and numbers["delivered"] + dropped["queue"] == numbers["received"]
    wait_until(lambda: daemon.handler("file")["delivered"] == other.sent, "the other group")


@pytest.mark.long
def test_whatever_happens_to_a_broker_that_saves_nothing_is_lost(sites, broker, start, sinks, blast, say):
    """For a minute the broker is stopped and started again, does not answer, and cannot be reached, while both sites send."""
    chance = random.Random(4711)
    ends = [(sites.first, "a"), (sites.second, "b")]
    daemons = [start(config(site.name, broker.url), host=site.host) for site, _ in ends]
    for daemon in daemons:
        daemon.wait_joined("news")
        wait_connected(daemon)
    wait_subscribed(broker, 2)
    with ExitStack() as stack:
        far = [stack.enter_context(sinks(site.peer, GROUP, PORT, tag=tag)) for site, tag in zip((ends[1][0], ends[0][0]), "ab")]
        with looked_at(*daemons), ExitStack() as running:
            streams = [running.enter_context(blast.stream(site.peer, GROUP, PORT, 64, interface="eth0", timed=True, tag=tag,
                                                          rate=rate(5000, 500))) for site, tag in ends]
            until, done = time.monotonic() + 60, []
            while time.monotonic() < until:
                begin, undo = chance.choice([(broker.stop, broker.start), (broker.pause, broker.resume)] +
                                            [(site.cut, site.restore) for site, _ in ends] +
                                            [(site.unplug, site.plug) for site, _ in ends])
                pause(chance.uniform(0.05, 2))
                begin()
                pause(chance.uniform(0.05, 2))
                undo()
                done.append(begin.__name__)
        for daemon in daemons:
            assert daemon.wait_idle("hq")["dropped"]["queue"] == 0
        reports = [sink.wait(stream.sent, 120) for sink, stream in zip(far, streams)]
    say(f"{len(done)} events: " + "; ".join(
        f"{stream.sent} sent, {report}" for stream, report in zip(streams, reports)))
    for daemon, stream, report in zip(daemons, streams, reports):
        assert (report["unique"], report["duplicates"]) == (stream.sent, 0)
        assert assert_exact(daemon)["delivered"] == stream.sent


def pause(seconds):
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > until, "a moment", seconds + TIMEOUT)


def resident(daemon):
    with open(f"/proc/{daemon.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.long
def test_the_rate_and_what_a_datagram_costs(sites, broker, start, blast, release, say):
    daemon = start(config("plant-1", broker.url, come_in=False, queue="256M"), host=sites.first.host, binary=release)
    daemon.wait_joined("news")
    wait_connected(daemon)
    sent = 0
    for per_second in 40000, 60000:
        before, used, begin = daemon.handler("hq"), cpu(daemon.process.pid), time.monotonic()
        blast(sites.first.peer, GROUP, PORT, 5 * per_second, 64, interface="eth0", rate=per_second)
        sent += 5 * per_second
        daemon.wait_arrived("news", sent)
        after = daemon.wait_idle("hq")
        delivered = after["delivered"] - before["delivered"]
        seconds = time.monotonic() - begin
        say(f"mqtt at {per_second}/s: {delivered / seconds:.0f}/s acknowledged, "
            f"{(cpu(daemon.process.pid) - used) / delivered * 1e6:.2f} us of CPU a datagram")
        assert delivered == after["received"] - before["received"]
