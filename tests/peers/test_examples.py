"""The brokers of packaging/examples, with their own configurations, and mcastd's: what people copy works as it is."""

import json
import os
import pwd
import re
import shutil
import subprocess
from contextlib import ExitStack, contextmanager

import pytest

from harness.brokers import MQTTS_PORT, ELECTION_TIMEOUT, Mosquitto, NatsCluster, NatsServer
from harness.credentials import openssl
from harness.daemon import ROOT, Daemon
from harness.discovery import find, need
from harness.mqtt import Mqtt, MqttError
from harness.nats import NatsError
from harness.peers import receive, receiver_on, send
from harness.waiting import wait_until

EXAMPLES = os.path.join(ROOT, "packaging", "examples")
SERVERS = ("192.0.2.1", "192.0.2.2", "192.0.2.3")  # in the examples
GROUP, PORT, IMPORT_PORT = "233.252.0.1", 5004, 5999


def example(*names):
    with open(os.path.join(EXAMPLES, *names)) as file:
        return file.read()


def moved(text, hosts, **paths):
    """With the addresses of hosts instead of those of the examples."""
    for address, host in zip(SERVERS, hosts):
        text = text.replace(address, host.v4)
    return text


@pytest.fixture(scope="module")
def certificates(sites, tmp_path_factory):
    """Of all who need one, as the example makes them."""
    directory = str(tmp_path_factory.mktemp("certificates"))
    names = {"server": [host.v4 for host in sites.brokers], "plant-1": ["plant-1"], "plant-2": ["plant-2"], "admin": ["admin"]}
    for name, addresses in names.items():
        subprocess.run([os.path.join(EXAMPLES, "nats", "make-certificates"), directory, name, *addresses], check=True)
    return directory


@contextmanager
def daemons(sites, kind, credentials):
    """mcastd at both sites as the example says, with the credentials that systemd would hand to it."""
    with ExitStack() as stack:
        started = []
        for site, other in (sites.first, sites.second), (sites.second, sites.first):
            config = moved(example(kind, "mcastd.conf"), sites.brokers).replace("plant-1", "THIS").replace("plant-2", other.name)
            wrapper = "env", f"CREDENTIALS_DIRECTORY={credentials[site.name]}"
            started.append(stack.enter_context(Daemon(site.host, config.replace("THIS", site.name), wrapper=wrapper)))
        yield started


def credentials_of(tmp_path, certificates, name, **more):
    """A directory as systemd makes one."""
    directory = tmp_path / f"credentials-{name}"
    directory.mkdir()
    for file, source in {"ca.pem": "ca.pem", "site.pem": f"{name}.pem", "site.key": f"{name}.key"}.items():
        os.symlink(os.path.join(certificates, source), directory / file)
    for file, text in more.items():
        (directory / file).write_text(text)
    return directory


def assert_exchange(sites, daemons):
    """What one site says to the group the other one hears, once."""
    for here, there, number in (sites.first, sites.second, 0), (sites.second, sites.first, 1):
        with receiver_on(there.peer, GROUP, PORT, "eth0") as far, receiver_on(here.peer, GROUP, PORT, "eth0") as near:
            for count in range(100):
                send(here.peer, b"%s says %d" % (here.name.encode(), count), GROUP, PORT, "eth0")
            wanted = [b"%s says %d" % (here.name.encode(), count) for count in range(100)]
            assert receive(far, 100) == wanted and receive(near, 100) == wanted
        wait_until(lambda: daemons[number].handler("hq")["delivered"] == 100, "the acknowledgements")


# The brokers' own services, by the commands of the pages

FOLLOW = """set -e
cd {examples}
for directory in /root /run /var/lib /var/log; do mount -t tmpfs none $directory; done
cp -a /etc /root/etc; mount --bind /root/etc /etc
mkdir -p /var/log/{name} /run/{name}; chown {name} /var/log/{name} /run/{name}
mosquitto_passwd() {{ printf 'secret\\nsecret\\n' | command mosquitto_passwd "$@"; }}
systemctl() {{ {service} >/var/log/out 2>&1 & process=$!; }}
trap 'cat /var/log/out /var/log/{name}/* || :; kill $process' EXIT
{commands}
until grep -rqs '{ready}' /var/log; do kill -0 $process; sleep 0.1; done
trap 'kill $process' EXIT
echo it started
"""


@pytest.mark.parametrize("page, section, name, service, ready", [
    ("two-sites-over-nats.md", "## The cluster", "nats",
     "setpriv --reuid nats --regid nats --clear-groups nats-server -c /etc/nats-server.conf", "Listening for client connections"),
    ("mqtt-at-the-edge.md", "## Passwords, permissions, TLS", "mosquitto", "mosquitto -c /etc/mosquitto/mosquitto.conf", "running$"),
], ids=["nats", "mosquitto"])
def test_the_service_of_a_broker_starts_after_the_commands_of_its_page(sites, tmp_path, page, section, name, service, ready):
    need({"nats": "nats-server"}.get(name, name), "unshare", "setpriv")
    if name not in {user.pw_name for user in pwd.getpwall()}:
        pytest.skip(f"there is no user {name}")
    with open(os.path.join(ROOT, "doc", page)) as file:
        text = file.read().split(section)[1]
    before, restart = re.search(r"(.*?)^    (systemctl restart \S+)$", text, re.S | re.M).groups()
    commands = [line for line in before.splitlines() if line.startswith("    ")]
    examples = tmp_path / "examples"
    shutil.copytree(EXAMPLES, examples)
    for path in examples.glob("*/*"):
        path.write_text(moved(path.read_text(), sites.brokers))
    commands = moved("\n".join(commands).replace("./make-certificates", "../nats/make-certificates"), sites.brokers)
    script = FOLLOW.format(examples=examples / page_folder(page), name=name, service=service, ready=ready, commands=f"{commands}\n{restart}")
    said = sites.broker.run("unshare", "-m", "bash", "-c", script, stderr=subprocess.STDOUT, check=False)
    assert said.endswith("it started\n"), said


def page_folder(page):
    return "nats" if "nats" in page else "mqtt"


@pytest.mark.parametrize("page", ["two-sites-over-nats.md", "mqtt-at-the-edge.md"])
def test_what_a_page_leaves_in_the_drop_in_of_secrets_is_what_it_installs(page):
    with open(os.path.join(ROOT, "systemd", "examples", "broker-secrets.conf")) as file:
        passed_on = set(re.findall(r"^LoadCredential=([^:]+):/etc/mcastd/broker/", file.read(), re.M))
    with open(os.path.join(ROOT, "doc", page)) as file:
        text = file.read()
    removed = re.search(r"emove its lines? ((?:`[^`]+`|,| |and)+)", text)[1]
    installed = [word for line in re.findall(r"^    install .*/etc/mcastd/broker.*$", text, re.M) for word in re.split(r"[ /]", line)]
    assert passed_on - set(re.findall(r"`([^`]+)`", removed)) == passed_on & set(installed)


# NATS


def test_the_stream_of_the_first_try_is_created_on_one_server_without_tls(sites, tmp_path):
    with NatsServer(sites.broker, tmp_path) as server, server.client() as client:
        said = sites.broker.run(os.path.join(EXAMPLES, "nats", "create-stream"), server.url.removeprefix("nats://"),
                                os.path.join(EXAMPLES, "nats", "stream-mcast.json"))
        assert said == "mcast: mcast.*.*; 1 replicas, 0 messages\n"
        assert client.stream("mcast")["config"]["subjects"] == ["mcast.*.*"]


@pytest.fixture(scope="module")
def cluster(sites, certificates, tmp_path_factory):
    need("nats-server")
    directory = tmp_path_factory.mktemp("cluster")
    configs = []
    for number, host in enumerate(sites.brokers, 1):
        text = moved(example("nats", "nats-server.conf"), sites.brokers).replace("server_name: n1", f"server_name: n{number}")
        text = text.replace(f'listen: "{sites.brokers[0].v4}:4222"', f'listen: "{host.v4}:4222"')
        configs.append(text.replace("/etc/nats", certificates).replace("/var/lib/nats", f"{directory}/n{number}/store"))
        os.makedirs(directory / f"n{number}")
        (directory / f"n{number}" / "sites.conf").write_text(example("nats", "sites.conf"))
    with NatsCluster(sites.brokers, directory, configs=configs) as cluster:
        for site in "plant-1", "plant-2":
            wait_until(lambda: create_stream(cluster, certificates, site), f"stream {site}", ELECTION_TIMEOUT)
        yield cluster


def create_stream(cluster, certificates, site):
    """What the program of the example says, or "" while there is no leader."""
    keys = [os.path.join(certificates, name) for name in ("ca.pem", "admin.pem", "admin.key")]
    return cluster.servers[0].host.run(
        os.path.join(EXAMPLES, "nats", "create-stream"), cluster.urls[0].removeprefix("nats://"), *keys,
        os.path.join(EXAMPLES, "nats", f"stream-{site}.json"), check=False)


class Certificate:
    def __init__(self, directory, name):
        self.ca, self.certificate, self.key = (os.path.join(directory, file) for file in ("ca.pem", f"{name}.pem", f"{name}.key"))


def test_two_sites_exchange_a_group_over_the_cluster_of_the_example(sites, cluster, certificates, tmp_path):
    credentials = {name: credentials_of(tmp_path, certificates, name) for name in ("plant-1", "plant-2")}
    with daemons(sites, "nats", credentials) as started:
        def bound():
            with cluster.client(tls=Certificate(certificates, "admin")) as admin:
                return {c["name"] for site in ("plant-1", "plant-2") for c in admin.consumers(site)} == {
                    "mcastd+plant-1+hq+news+plant-2", "mcastd+plant-2+hq+news+plant-1"}

        wait_until(bound, "the consumers of both sites", ELECTION_TIMEOUT)
        assert_exchange(sites, started)
        for daemon in started:
            assert "Permissions Violation" not in daemon.log()
    with cluster.client(tls=Certificate(certificates, "admin")) as admin:
        messages = list(admin.messages("plant-1"))
        assert [message.subject for message in messages] == ["mcast.news.plant-1"] * 100


def test_streams_of_the_example_are_created_once_and_changed_after_that(cluster, certificates):
    said = create_stream(cluster, certificates, "plant-1")
    assert said.startswith("plant-1: mcast.*.plant-1; 3 replicas, ")
    with cluster.client(tls=Certificate(certificates, "admin")) as admin:
        wanted, config = json.loads(example("nats", "stream-plant-1.json")), admin.stream("plant-1")["config"]
        assert {name: config[name] for name in wanted} == wanted


@pytest.mark.parametrize("subject", ["mcast.news.plant-2", "$JS.API.STREAM.DELETE.plant-1", "$JS.API.STREAM.PURGE.plant-2",
                                     "$JS.API.CONSUMER.DELETE.plant-1.mcastd+plant-2+hq+news+plant-1"])
def test_a_site_of_the_example_may_not_do_what_is_of_others(cluster, certificates, subject):
    with pytest.raises(NatsError, match="Permissions Violation"):
        client = cluster.servers[0].client(tls=Certificate(certificates, "plant-1"))  # already its inbox is refused
        client.publish(subject)
        client.flush()


def test_who_has_no_certificate_is_refused_by_the_cluster_of_the_example(cluster, tmp_path):
    openssl("req", "-x509", "-newkey", "ed25519", "-noenc", "-keyout", str(tmp_path / "x.key"), "-out", str(tmp_path / "x.pem"),
            "-subj", "/CN=plant-1")
    stranger = Certificate(str(tmp_path), "x")
    stranger.ca = str(tmp_path / "x.pem")
    with pytest.raises(Exception, match="(?i)certificate|closed|reset|handshake"):
        cluster.servers[0].client(tls=stranger)


# MQTT


@pytest.fixture
def mosquitto(sites, certificates, tmp_path):
    need("mosquitto", "mosquitto_passwd")
    directory = tmp_path / "mosquitto"
    directory.mkdir()
    for user in "plant-1", "plant-2":
        create = ["-c"] if user == "plant-1" else []
        subprocess.run([find("mosquitto_passwd"), *create, "-b", str(directory / "passwords"), user, f"secret of {user}"], check=True)
    (directory / "acl").write_text(example("mqtt", "acl"))
    text = example("mqtt", "mosquitto.conf").replace("/etc/mosquitto/certs", certificates).replace("/etc/mosquitto", str(directory))
    config = f"{text}persistence true\npersistence_location {directory}/\nlog_dest stderr\nlog_type all\n"  # as Debian has it, and more to read
    with Mosquitto(sites.broker, tmp_path, port=MQTTS_PORT, config=config) as broker:
        yield broker
        print(broker.log()[-8000:])


def test_two_sites_exchange_a_group_over_the_mosquitto_of_the_example(sites, mosquitto, certificates, tmp_path):
    credentials = {name: credentials_of(tmp_path, certificates, name, password=f"secret of {name}\n")
                   for name in ("plant-1", "plant-2")}
    with daemons(sites, "mqtt", credentials) as started:
        for site in "plant-1", "plant-2":
            wait_until(lambda: f"Sending SUBACK to mcastd-{site}-hq" in mosquitto.log(), f"the subscription of {site}")
        with Mqtt(mosquitto, "watcher", user="plant-1", password="secret of plant-1", tls=Certificate(certificates, "plant-1")) as watcher:
            watcher.subscribe("mcast/#")
            assert_exchange(sites, started)
            assert watcher.next().topic == "mcast/news/plant-1"


def test_a_site_of_the_example_writes_only_its_own_topics(mosquitto, certificates):
    tls = Certificate(certificates, "plant-1")
    with Mqtt(mosquitto, "here", user="plant-1", password="secret of plant-1", tls=tls) as here:
        here.publish("mcast/news/plant-1", b"mine")
        with pytest.raises(MqttError, match="not authori"):
            here.publish("mcast/news/plant-2", b"not mine")
    with pytest.raises(MqttError, match="not authori"):
        Mqtt(mosquitto, "here", user="plant-1", password="secret of plant-2", tls=tls)
