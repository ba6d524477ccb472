"""The harness for brokers itself: what the tests of engines rest on holds without mcastd."""

import signal
import socket

import pytest

from harness.brokers import ELECTION_TIMEOUT, MQTTS_PORT, Mosquitto, NatsCluster, NatsServer
from harness.credentials import Authority, NKey, Operator
from harness.mqtt import Mqtt, MqttError
from harness.nats import NatsError
from harness.peers import tutorial_sender
from harness.waiting import wait_until

GROUP, PORT = "233.252.0.1", 5004


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A CA with a server and a client, and another CA with a client of the same name."""
    directory = tmp_path_factory.mktemp("made")
    made = Authority(directory / "ours")
    made.server = made.sign("n1", "203.0.113.5", "203.0.113.6", "203.0.113.7")
    made.client = made.sign("plant-1")
    made.stranger = Authority(directory / "others").sign("plant-1")
    return made


# NATS


def test_a_stream_keeps_messages_in_their_order_over_a_kill_of_the_server(sites, tmp_path):
    with NatsServer(sites.broker, tmp_path) as server:
        with server.client() as client:
            client.create_stream("GROUPS", "mcast.>")
            for number in range(100):
                client.acknowledged_publish("mcast.news.plant-1", b"%d" % number, {"Nats-Msg-Id": f"a/{number}"})
        server.kill()
        server.start()
        with server.client() as client:
            assert client.acknowledged_publish("mcast.news.plant-1", b"again", {"Nats-Msg-Id": "a/99"})["duplicate"]
            messages = list(client.messages("GROUPS", "mcast.*.plant-1"))
            assert [message.payload for message in messages] == [b"%d" % number for number in range(100)]
            assert messages[7].headers == {"Nats-Msg-Id": "a/7"} and messages[7].subject == "mcast.news.plant-1"
            assert client.consumers("GROUPS") == []


def test_a_server_that_is_paused_answers_when_it_goes_on(sites, tmp_path):
    with NatsServer(sites.broker, tmp_path) as server, server.client() as client:
        server.pause()
        with pytest.raises(TimeoutError):
            client.request("$JS.API.INFO", timeout=0.2)
        server.resume()
        client.socket.settimeout(15)
        client.flush()
        assert server.monitor("varz")["server_name"] == "n1"


def test_the_leader_of_a_stream_is_found_and_another_one_is_elected_when_it_is_killed(sites, tmp_path):
    with NatsCluster(sites.brokers, tmp_path) as cluster:
        with cluster.client() as client:
            client.create_stream("GROUPS", "mcast.>", replicas=3)
        cluster.wait_current("GROUPS")
        leader = cluster.leader("GROUPS")
        leader.kill()
        wait_until(lambda: cluster.leader("GROUPS") is not leader, "another leader", ELECTION_TIMEOUT)
        with cluster.client() as client:
            wait_until(lambda: stored(client), "the stream to take something", ELECTION_TIMEOUT)
        leader.start()
        cluster.wait_current("GROUPS")
        with leader.client() as client:
            assert [message.payload for message in client.messages("GROUPS")] == [b"to the new one"]


def stored(client):
    try:
        return client.acknowledged_publish("mcast.news.plant-1", b"to the new one", {"Nats-Msg-Id": "a/1"})
    except (NatsError, TimeoutError):
        return None


def test_a_server_wants_a_certificate_that_its_ca_has_signed(sites, tmp_path, made):
    with NatsServer(sites.broker, tmp_path, tls=made.server) as server:
        with server.client(tls=made.client) as client:
            client.create_stream("GROUPS", "mcast.>")
        with pytest.raises(Exception, match="(?i)certificate|closed|reset|handshake"):
            server.client(tls=made.stranger)


def test_a_user_with_an_nkey_publishes_only_to_what_is_his(sites, tmp_path):
    key = NKey(tmp_path / "keys", "plant-1")
    users = (f'authorization {{ users: [ {{ nkey: {key.public}, permissions: {{ publish: ["mcast.*.plant-1"], '
             f'subscribe: ["_INBOX.>"] }} }} ] }}\n')
    with NatsServer(sites.broker, tmp_path, more=users) as server, server.client(nkey=key) as client:
        client.publish("mcast.news.plant-1", b"mine")
        client.flush()
        client.publish("mcast.news.plant-2", b"not mine")
        with pytest.raises(NatsError, match='Permissions Violation for Publish to "mcast.news.plant-2"'):
            client.flush()


def test_a_user_with_the_token_of_an_account_uses_jetstream(sites, tmp_path):
    hq = Operator(tmp_path / "operator")
    creds = hq.user("plant-1", pub={"allow": ["mcast.*.plant-1", "$JS.API.>"]}, sub={"allow": ["_INBOX.>"]})
    with NatsServer(sites.broker, tmp_path, more=hq.server) as server, server.client(creds=creds) as client:
        client.create_stream("GROUPS", "mcast.>")
        assert client.acknowledged_publish("mcast.news.plant-1", b"mine")["seq"] == 1


def test_a_wrong_password_is_refused(sites, tmp_path):
    users = 'authorization { users: [ { user: "plant-1", password: "right" } ] }\n'
    with NatsServer(sites.broker, tmp_path, more=users) as server:
        with server.client(user="plant-1", password="right"):
            pass
        with pytest.raises(NatsError, match="Authorization Violation"):
            server.client(user="plant-1", password="wrong")


# mosquitto


def test_mosquitto_keeps_a_session_over_a_restart(sites, tmp_path):
    with Mosquitto(sites.broker, tmp_path) as broker:
        with Mqtt(broker, "there", clean=False) as there:
            there.subscribe("mcast/#")
        with Mqtt(broker, "here") as here:
            for number in range(20):
                here.publish("mcast/news/plant-1", b"%d" % number, properties={"Mcastd-Id": f"a/{number}"})
        broker.stop()
        broker.start()
        with Mqtt(broker, "there", clean=False) as there:
            messages = [there.next() for _ in range(20)]
        assert [message.payload for message in messages] == [b"%d" % number for number in range(20)]
        assert messages[7].properties == {"Mcastd-Id": "a/7"} and messages[7].topic == "mcast/news/plant-1"


def test_mosquitto_forgets_after_a_kill_what_it_has_not_saved(sites, tmp_path):
    with Mosquitto(sites.broker, tmp_path) as broker:
        with Mqtt(broker, "there", clean=False) as there:
            there.subscribe("mcast/#")
        broker.save()
        with Mqtt(broker, "here") as here:
            here.publish("mcast/news/plant-1", b"acknowledged")
        broker.kill()
        broker.start()
        with Mqtt(broker, "there", clean=False) as there:
            with Mqtt(broker, "here") as here:
                here.publish("mcast/news/plant-1", b"after it")
            assert there.next().payload == b"after it"


def test_mosquitto_wants_passwords_and_lets_users_write_only_what_is_theirs(sites, tmp_path):
    acl = "user plant-1\ntopic write mcast/+/plant-1\ntopic read mcast/#\n"
    with Mosquitto(sites.broker, tmp_path, passwords={"plant-1": "right"}, acl=acl) as broker:
        with pytest.raises(MqttError, match="not authori"):
            Mqtt(broker, "here", user="plant-1", password="wrong")
        with Mqtt(broker, "here", user="plant-1", password="right") as here:
            here.publish("mcast/news/plant-1", b"mine")
            with pytest.raises(MqttError, match="not authori"):
                here.publish("mcast/news/plant-2", b"not mine")


def test_mosquitto_wants_a_certificate_that_its_ca_has_signed(sites, tmp_path, made):
    with Mosquitto(sites.broker, tmp_path, port=MQTTS_PORT, tls=made.server, verify=True) as broker:
        with Mqtt(broker, "here", tls=made.client) as here:
            here.publish("mcast/news/plant-1", b"mine")
        with pytest.raises(Exception, match="(?i)certificate|unknown ca|closed|reset|eof"):
            Mqtt(broker, "here", tls=made.stranger)


# Sites


@pytest.fixture
def listener(sites):
    """Something on the WAN that accepts connections."""
    with sites.broker, socket.create_server((sites.broker.v4, 7000)) as listener:
        yield listener.getsockname()


def reaches(site, address):
    try:
        with site.host, socket.create_connection(address, 0.2):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("down, up", [("cut", "restore"), ("unplug", "plug")])
def test_a_site_loses_the_wan_and_gets_it_back(sites, listener, down, up):
    wait_until(lambda: reaches(sites.first, listener) and reaches(sites.second, listener), "the WAN")
    getattr(sites.first, down)()
    assert not reaches(sites.first, listener) and reaches(sites.second, listener)
    getattr(sites.first, up)()
    wait_until(lambda: reaches(sites.first, listener), "the WAN")


def test_nothing_goes_from_site_to_site_by_itself(sites, sinks, blast):
    with sinks(sites.second.peer, GROUP, PORT) as sink, sinks(sites.first.second, GROUP, PORT) as near:
        blast(sites.first.peer, GROUP, PORT, 1000, interface="eth0", timed=True)
        assert near.wait(1000)["duplicates"] == 0
        assert sink.look()["received"] == 0


def test_the_sink_tells_lost_from_repeated_and_late(sites, sinks):
    with sinks(sites.first.host, GROUP, PORT) as sink, tutorial_sender(sites.first.peer, GROUP) as sender:
        for number in (0, 1, 2, 5, 3, 5, 7, 6):
            sender.sendto(b"x %d 0 ." % number, (GROUP, PORT))
        sender.sendto(b"y 1 0 .", (GROUP, PORT))
        report = sink.wait(7)
        wait_until(lambda: sink.look()["other"], "the other one")
        report = sink.look()
    assert {name: report[name] for name in ("received", "unique", "duplicates", "disordered", "furthest", "highest", "other")} \
        == {"received": 8, "unique": 7, "duplicates": 1, "disordered": 2, "furthest": 2, "highest": 7, "other": 1}


def test_a_broker_ends_with_its_block_also_when_the_test_fails(sites, tmp_path):
    with pytest.raises(ZeroDivisionError):
        with NatsServer(sites.broker, tmp_path) as server:
            process = server.process
            raise ZeroDivisionError
    assert process.returncode == -signal.SIGKILL
