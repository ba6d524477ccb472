"""Handlers that speak to a broker, in the sandbox of the unit as it is shipped: with names that are looked up, TLS, certificates and
passwords that only systemd can read, for which there is the drop-in broker-secrets.conf. The brokers are real ones, but for Kafka."""

import os
import shutil
import subprocess

import pytest

from harness import kafka
from harness.brokers import MQTTS_PORT, Mosquitto, NatsServer
from harness.credentials import Authority, openssl
from harness.kafka import Cluster
from harness.kafka_front import Front
from harness.mqtt import Mqtt
from harness.names import Names
from harness.peers import send
from harness.service import EXAMPLES
from harness.topology import Namespace
from harness.waiting import wait_until

ADDRESS, NAME = "192.0.2.1", "broker.example"  # of the system, and as its configuration calls it
PASSWORD = "correct-horse-battery"
SECRETS = "/etc/mcastd/broker"  # in the drop-in

CONFIG = """
import_port = 5999;
groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["hq"]; %s }; };
handlers: { hq: { type = "%s"; site = "plant-1"; ca = "ca.pem"; certificate = "site.pem"; key = "site.key"; %s }; };
"""
BOTH_WAYS = 'inputs = ["hq"];'
LOGIN = 'username = "plant-1"; password_file = "password";'
NATS = CONFIG % (BOTH_WAYS, "nats", f'servers = "tls://{NAME}:4222"; {LOGIN}')
MQTT = CONFIG % (BOTH_WAYS, "mqtt", f'servers = "mqtts://{NAME}"; {LOGIN}')


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Of the broker, by its name alone, and of the site."""
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    authority.broker, authority.site = authority.sign(NAME, "localhost", "127.0.0.1", ADDRESS), authority.sign("plant-1")
    return authority


LOOKING_UP = {"/etc/hosts": "127.0.0.1 localhost\n", "/etc/resolv.conf": f"nameserver {ADDRESS}\n",
              "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n"}


@pytest.fixture
def names(system):
    """The system looks up names by DNS, where there is the broker's. systemd itself is not asked."""
    for path in LOOKING_UP:
        system.try_run("mv", path, f"{path}.before")
    for path, text in LOOKING_UP.items():
        system.write(path, text)
    with Names(system, ADDRESS, {NAME: ADDRESS}) as names:
        yield names
    for path in LOOKING_UP:
        system.remove(path)
        system.try_run("mv", f"{path}.before", path)


@pytest.fixture
def secured(service, certificates):
    """The service with the drop-in, and what it names, which only root may read."""
    system = service.system
    system.run("install", "-d", "-m", "700", SECRETS)
    for name, path in (("ca.pem", certificates.ca), ("site.pem", certificates.site.certificate), ("site.key", certificates.site.key)):
        with open(path) as file:
            system.write(f"{SECRETS}/{name}", file.read(), 0o600)
    system.write(f"{SECRETS}/password", f"{PASSWORD}\n", 0o600)
    service.drop_in("broker-secrets", system.read(f"{EXAMPLES}/broker-secrets.conf").decode())
    yield service
    service.systemctl("stop", "mcastd")
    system.remove(SECRETS)


def start(service, config):
    """Checked by root, and started: all is right with it."""
    service.configure(config)
    check = service.system.try_run("mcastd", "--check")
    assert check.returncode == 0 and "user mcastd in the sandbox of mcastd.service" in check.stdout, check.stderr
    assert "hq" not in check.stderr
    service.systemctl("start", "mcastd")


def assert_delivered(service, count=3):
    for number in range(count):
        send(service.system, b"hello %d" % number, "233.252.0.1", 5004, "eth0")
    service.wait_received("news", count)

    def delivered():
        handler = service.handler("hq")
        return handler["delivered"] == count or print(handler)

    wait_until(delivered, "the acknowledgements", 30)
    service.assert_balanced()
    assert service.handler("hq")["error"] is None
    assert PASSWORD not in service.log()


def wait_taken(service):
    wait_until(lambda: service.handler("hq")["input"]["sent"] == 1, "what another site has said", 30)
    assert service.handler("hq")["input"]["taken"] == 1


@pytest.fixture
def trusted(system, certificates):
    """The authority is one of those that the system trusts."""
    name = openssl("x509", "-hash", "-noout", "-in", certificates.ca, text=True).strip()
    with open(certificates.ca) as file:
        system.write(f"/etc/ssl/certs/{name}.0", file.read())
    yield
    system.remove(f"/etc/ssl/certs/{name}.0")


WITHOUT_CA = 'ca = "ca.pem"; ', ""


def test_nats_needs_no_ca_where_the_system_trusts_the_authority(secured, names, trusted, certificates, tmp_path):
    with NatsServer(secured.system, tmp_path, address=ADDRESS, tls=certificates.broker) as server:
        with server.client(tls=certificates.site) as client:
            client.create_stream("mcast", "mcast.>")
        start(secured, NATS.replace(*WITHOUT_CA))
        assert_delivered(secured)


def test_mqtt_needs_no_ca_where_the_system_trusts_the_authority(secured, names, trusted, certificates, tmp_path):
    with Mosquitto(secured.system, tmp_path, address=ADDRESS, port=MQTTS_PORT, tls=certificates.broker):
        start(secured, MQTT.replace(*WITHOUT_CA))
        assert_delivered(secured)


def test_kafka_needs_no_ca_where_the_system_trusts_the_authority(secured, trusted, certificates, cluster):
    with Front(secured.system, cluster, certificates.broker, ca=certificates.ca, users={"plant-1": PASSWORD}):
        start(secured, kafka_config(cluster).replace(*WITHOUT_CA))
        assert_delivered(secured)


def test_nats_works_in_the_sandbox_of_the_unit(secured, names, certificates, tmp_path):
    user = f'authorization {{ users: [ {{ user: "plant-1", password: "{PASSWORD}" }} ] }}\n'
    login = {"tls": certificates.site, "user": "plant-1", "password": PASSWORD}
    with NatsServer(secured.system, tmp_path, address=ADDRESS, tls=certificates.broker, more=user) as server:
        with server.client(**login) as client:
            client.create_stream("mcast", "mcast.>")
        start(secured, NATS)
        assert_delivered(secured)
        assert NAME in names.asked
        with server.client(**login) as client:
            wait_until(lambda: client.consumers("mcast"), "the consumer")
            client.acknowledged_publish("mcast.news.plant-2", b"from afar")
            wait_taken(secured)
            assert [message.payload for message in client.messages("mcast", "mcast.news.plant-1")] == [
                b"hello 0", b"hello 1", b"hello 2"]


def test_mqtt_works_in_the_sandbox_of_the_unit(secured, names, certificates, tmp_path):
    more = (f"cafile {certificates.ca}\ncertfile {certificates.broker.certificate}\nkeyfile {certificates.broker.key}\n"
            "require_certificate true\n")
    with Mosquitto(secured.system, tmp_path, address=ADDRESS, port=MQTTS_PORT, passwords={"plant-1": PASSWORD}, more=more) as broker:
        start(secured, MQTT)
        with Mqtt(broker, "watcher", user="plant-1", password=PASSWORD, tls=certificates.site) as watcher:
            watcher.subscribe("mcast/#")
            assert_delivered(secured)
            assert NAME in names.asked
            assert [watcher.next().payload for _ in range(3)] == [b"hello 0", b"hello 1", b"hello 2"]
            wait_until(lambda: "Sending SUBACK to mcastd-plant-1-hq" in broker.log(), "the subscription")
            watcher.publish("mcast/news/plant-2", b"from afar")
            wait_taken(secured)


@pytest.fixture
def cluster(tmp_path):
    """A mock of Kafka that only a Front reaches."""
    if not shutil.which("kcat") or subprocess.run(["pkg-config", "--exists", "rdkafka"]).returncode:
        pytest.skip("needs kcat and librdkafka-dev: packaging/install-deps peers")
    host = Namespace()
    with Cluster(host, kafka.build(tmp_path), "mcast.news") as cluster:
        yield cluster
    host.close()


def kafka_config(cluster):
    port = cluster.brokers.split(",")[0].rpartition(":")[2]
    return CONFIG % ("", "kafka", f'brokers = "localhost:{port}"; tls = true; sasl = "SCRAM-SHA-256"; {LOGIN}')


def test_kafka_works_in_the_sandbox_of_the_unit(secured, certificates, cluster):
    with Front(secured.system, cluster, certificates.broker, ca=certificates.ca, users={"plant-1": PASSWORD}) as front:
        start(secured, kafka_config(cluster))
        assert_delivered(secured)
        assert front.logins and all(front.logins)


@pytest.mark.parametrize("name", ["ca.pem", "site.pem", "site.key", "password"])
def test_the_service_does_not_start_without_a_file_of_the_drop_in_and_the_check_says_so(secured, name):
    secured.configure(NATS)
    os.remove(secured.system.path(f"{SECRETS}/{name}"))
    _, errors = secured.system.fail("mcastd", "--check")
    assert "mcastd.service: systemd cannot start it" in errors
    secured.system.fail("systemctl", "start", "mcastd")
