"""The modules of the packages as they are installed: python3 -m systems.brokers. Each sends a datagram to a real broker of this system, and takes one
from it, where it can. Prints a line for each."""

import os
import sys
import tempfile
from contextlib import nullcontext

from harness.brokers import Mosquitto, NatsServer
from harness.daemon import Daemon, run_mcastd
from harness.discovery import find
from harness.mqtt import Mqtt
from harness.waiting import wait_until

ADDRESS, HERE = "127.0.0.1", nullcontext()
CONFIG = """
import_port = 5999;
groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["lo"]; handlers = ["hq"]; %s }; };
handlers: { hq: { type = "%s"; %s = "%s"; site = "plant-1"; }; };
"""
BOTH_WAYS = 'inputs = ["hq"];'


def check(config, directory):
    """It finds nothing, but for what this system has."""
    path = os.path.join(directory, "mcastd.conf")
    with open(path, "w") as file:
        file.write(config)
    result = run_mcastd("--check", "-c", path)
    assert result.returncode == 0 and "handlers.hq" not in result.stderr, result.stderr


def deliver(daemon):
    """Sends a datagram to the group, which the broker acknowledges."""
    wait_until(lambda: all(m["state"] == "joined" for m in daemon.group("news")["memberships"]), "the group to be joined")
    daemon.call("Send", group="news", text="hello")
    wait_until(lambda: daemon.handler("hq")["delivered"] == 1, "the acknowledgement", 30)


def wait_taken(daemon):
    wait_until(lambda: daemon.handler("hq")["input"]["sent"] == 1, "what another site has said", 30)
    daemon.assert_balanced()


def nats(directory):
    config = CONFIG % (BOTH_WAYS, "nats", "servers", f"nats://{ADDRESS}")
    check(config, directory)
    with NatsServer(HERE, directory, address=ADDRESS) as server, server.client() as client:
        client.create_stream("mcast", "mcast.>")
        with Daemon(HERE, config) as daemon:
            deliver(daemon)
            wait_until(lambda: client.consumers("mcast"), "the consumer")
            client.acknowledged_publish("mcast.news.plant-2", b"from afar")
            wait_taken(daemon)
            assert [message.payload for message in client.messages("mcast")] == [b"hello", b"from afar"]


def mqtt(directory):
    config = CONFIG % (BOTH_WAYS, "mqtt", "servers", f"mqtt://{ADDRESS}")
    check(config, directory)
    with Mosquitto(HERE, directory, address=ADDRESS) as broker, Mqtt(broker, "watcher") as watcher:
        watcher.subscribe("mcast/#")
        with Daemon(HERE, config) as daemon:
            deliver(daemon)
            assert watcher.next().payload == b"hello"
            wait_until(lambda: "Sending SUBACK to mcastd-plant-1-hq" in broker.log(), "the subscription")
            watcher.publish("mcast/news/plant-2", b"from afar")
            wait_taken(daemon)


def kafka(directory):
    """There is no broker to install: it says so, and gives the datagram up when it stops."""
    config = CONFIG % ("", "kafka", "brokers", f"{ADDRESS}:9092")
    check(config, directory)
    with Daemon(HERE, config) as daemon:
        daemon.call("Send", group="news", text="hello")
        wait_until(lambda: "Connection refused" in (daemon.handler("hq")["error"] or ""), "the reason why nothing is delivered", 30)
        daemon.assert_balanced()


PROGRAMS = {nats: "nats-server", mqtt: "mosquitto"}


def main():
    for engine in (nats, mqtt, kafka):
        program = PROGRAMS.get(engine)
        if program and not find(program):
            print(f"{engine.__name__}: left out, there is no {program}")
            continue
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            engine(directory)
        print(f"{engine.__name__}: {'there and back' if program else 'it says that no broker is there'}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
