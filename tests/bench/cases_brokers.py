"""From group to group over a broker: what is acknowledged a second, what a datagram costs, and how long it takes. Beside it a program
that does nothing but publish, with the same library. In two sites of their own, not in the network of the bench: the broker, both daemons,
the sender and the receiver share all cores."""

import glob
import json
import os
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Callable

from bench.case import Case
from bench.measure import spread, take_turns
from bench.receivers import silence
from bench.report import Limit, Row
from harness.brokers import Mosquitto, NatsServer
from harness.daemon import MCASTD, Daemon
from harness.discovery import find
from harness.peers import Blast
from harness.sites import Sinks, two_sites
from harness.waiting import wait_until

GROUP, PORT, SIZE = "233.252.0.1", 5004, 64
STREAM = "mcast"
QUEUE = "256M"  # more than a run has: what counts is what is acknowledged


@dataclass(frozen=True)
class Engine:
    name: str
    title: str
    program: str  # the broker
    package: str
    library: str  # for cc
    window: int
    start: Callable  # (host, directory) -> broker
    servers: Callable  # (broker) -> what mcastd is told
    bare: Callable  # (broker) -> the arguments of tests/bench/bare/NAME.c that say where to
    wait_bound: Callable  # (broker, names of the sites)
    rate_limit: Limit
    cost_limit: Limit

    def missing(self):
        if not find(self.program):
            return f"{self.program} is not installed ({self.package})"
        if not glob.glob(os.path.join(os.path.dirname(MCASTD), "lib", "mcastd", "*", f"{self.name}.so")):
            return f"mcastd was built without {self.name} ({self.library} is not installed)"
        return None


# NATS


@contextmanager
def nats_server(host, directory):
    with NatsServer(host, directory) as server:
        with server.client() as client:
            client.create_stream(STREAM, "mcast.>", max_bytes=2 << 30, duplicate_window=30_000_000_000)
        yield server


def wait_consumers(server, count):
    def bound():
        with server.client() as client:
            return len(client.consumers(STREAM)) >= count

    wait_until(bound, "the consumers")


NATS = Engine(
    "nats", "NATS (JetStream, file)", "nats-server", "nats-server", "libnats", 1024, nats_server, lambda server: server.url,
    lambda server: [server.url, "mcast.bare.bare"], wait_consumers, Limit(at_least=80_000), Limit(at_most=6))


# MQTT


def mosquitto(host, directory):
    return Mosquitto(host, directory, log_type="error warning notice information subscribe", more="max_inflight_messages 1000")


def wait_subscribed(broker, count):
    wait_until(lambda: broker.log().count(" mcast/news/") >= count, "the subscriptions")


MQTT = Engine(
    "mqtt", "MQTT (QoS 1)", "mosquitto", "mosquitto", "libmosquitto", 256, mosquitto, lambda broker: broker.url,
    lambda broker: [broker.address, broker.port, "mcast/bare/bare"], wait_subscribed, Limit(at_least=45_000), Limit(at_most=8))


# What is measured


class Place:
    """A broker between two sites, and the programs."""

    def __init__(self, engine, sites, directory, broker):
        self.engine, self.sites, self.broker = engine, sites, broker
        self.blast, self.sinks = Blast(directory), Sinks(directory)
        self.binary = os.path.join(directory, "bare")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bare", f"{engine.name}.c")
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", self.binary, source, f"-l{engine.library[3:]}", "-lpthread"], check=True)

    @contextmanager
    def daemon(self, site, both):
        with silence(), self.start(site, both) as daemon:
            yield daemon

    def start(self, site, both):
        group = f'address = "{GROUP}"; port = {PORT}; interfaces = ["eth0"]; receive_buffer = "32M"; handlers = ["hq"];'
        group += ' inputs = ["hq"];' if both else ""
        other = self.sites.second if site is self.sites.first else self.sites.first
        return Daemon(site.host, f"""groups: {{ news: {{ {group} }}; }}; import_port = 5999;
handlers: {{ hq: {{ type = "{self.engine.name}"; site = "{site.name}"; servers = ["{self.engine.servers(self.broker)}"];
    {f'sites = ["{other.name}"];' if both else ''} queue = "{QUEUE}"; }}; }};""")

    def send(self, count, rate):
        return self.blast(self.sites.first.peer, GROUP, PORT, count, size=SIZE, interface="eth0", timed=True, rate=rate)


@contextmanager
def place(engine):
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        sites = stack.enter_context(two_sites())
        yield Place(engine, sites, directory, stack.enter_context(engine.start(sites.broker, directory)))


def cpu_of(process):
    """Seconds of processor time that it has had."""
    with open(f"/proc/{process.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def delivered(daemon):
    return daemon.handler("hq")["delivered"]


def acknowledged(place, count, rate=0):
    """Sends all of it to a daemon that has an idle connection. Returns how many were acknowledged a second, from the first one on, and
    the daemon's processor time for each in us."""
    with place.daemon(place.sites.first, both=False) as daemon:
        wait_until(lambda: "connected to" in daemon.log(), "the connection")
        place.send(1000, 10_000)
        wait_until(lambda: delivered(daemon) == 1000, "the first")
        cpu, began = cpu_of(daemon.process), time.monotonic()
        sender = threading.Thread(target=place.send, args=(count, rate))
        sender.start()
        # All that came, of which the kernel may have dropped some: the receive buffer is not what is measured.
        wait_until(lambda: not sender.is_alive() and not daemon.handler("hq")["queued"], "the acknowledgements", 120)
        seconds, spent = time.monotonic() - began, cpu_of(daemon.process) - cpu
        sender.join()
        done = delivered(daemon) - 1000
        assert done > count / 2 and done + sum(daemon.handler("hq")["dropped"].values()) <= count, daemon.handler("hq")
        return done / seconds, spent / done * 1e6


def bare(place, count):
    arguments = [*map(str, place.engine.bare(place.broker)), str(count), str(SIZE), str(place.engine.window)]
    return json.loads(place.sites.first.host.run(place.binary, *arguments, timeout=120))


def group_to_group(place, count, rate):
    with ExitStack() as stack:
        for site in place.sites.second, place.sites.first:
            daemon = stack.enter_context(place.daemon(site, both=True))
        place.engine.wait_bound(place.broker, 2)
        sink = stack.enter_context(place.sinks(place.sites.second.peer, GROUP, PORT))
        place.send(count, rate)
        report = sink.wait(count)
        assert not report["duplicates"] and delivered(daemon) == count, report
        return report


def pairs_of(bench):
    """Each run is seconds, so that there are fewer."""
    return 1 if bench.quick else 3


def rows_of_rate(place, bench):
    engine, count = place.engine, 30_000 if bench.quick else 200_000
    pairs = take_turns(pairs_of(bench), lambda: acknowledged(place, count, 250_000)[0], lambda: bare(place, count)["rate"])
    ours, theirs = spread(a for a, _ in pairs), spread(b for _, b in pairs)
    yield Row(f"{engine.name}/rate", f"{engine.title}: acknowledged a second, 64 B", "", "a second", ours, engine.rate_limit)
    yield Row(f"{engine.name}/bare", f"{engine.title}: acknowledged a second, 64 B", f"a bare {engine.library}", "x its rate",
              spread(a / b for a, b in pairs), None, f"{ours.median:,.0f}", f"{theirs.median:,.0f}")


def rows_of_cost(place, bench):
    engine, seconds = place.engine, 1 if bench.quick else 4
    runs = [acknowledged(place, 40_000 * seconds, 40_000)[1] for _ in range(pairs_of(bench))]
    yield Row(f"{engine.name}/cost", f"{engine.title}: CPU at 40,000/s, 64 B", "", "us a datagram", spread(runs), engine.cost_limit)


def rows_of_latency(place, bench):
    engine, seconds = place.engine, 1 if bench.quick else 4
    runs = [group_to_group(place, 20_000 * seconds, 20_000) for _ in range(pairs_of(bench))]
    for key, limit in ("p50", Limit(at_most=1)), ("p99", Limit(at_most=10)):
        yield Row(f"{engine.name}/{key}", f"{engine.title}: group to group at 20,000/s, {key}", "", "ms",
                  spread(run[key] / 1000 for run in runs), limit)


def run(engine):
    def run_engine(bench):
        missing = engine.missing()
        if missing:
            yield Row(f"{engine.name}/rate", f"{engine.title}: acknowledged a second, 64 B", "", "a second", limit=engine.rate_limit,
                      note=missing)
            return
        for rows in rows_of_rate, rows_of_cost, rows_of_latency:
            with place(engine) as here:  # a stream that is full of an earlier run would be another one
                yield from rows(here, bench)

    return run_engine


CASES = [Case("nats", run(NATS)), Case("mqtt", run(MQTT))]
