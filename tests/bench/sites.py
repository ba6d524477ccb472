"""What sites and groups cost a nats-server with JetStream: memory and processor time for each consumer, subject, stream and connection,
and for each message when many sites take it. doc/scale-beyond-one-host.md has what came out, and what follows for 1,000 sites.

    cd tests && python3 -m bench.sites [--cluster] [--most N] [STEP...]        as root

The steps are consumers, subjects, streams, connections, fanout, others. With --cluster there are three servers and all has three
replicas; the numbers are the sum of the three then. Connections of this program stand for sites; each has the durable consumers that
mcastd makes, one for each group that takes from others. All runs in network namespaces of its own."""

import argparse
import json
import resource
import select
import tempfile
import time
from contextlib import ExitStack, contextmanager

from harness.brokers import NatsCluster, NatsServer
from harness.sites import two_sites

STREAM = "GROUPS"
PAYLOAD = b"x" * 64
HEARTBEAT, ACK_WAIT = 5_000_000_000, 30_000_000_000  # ns, as in src/engines/nats_api.c
IDLE = 10  # seconds
BATCH = 200  # requests, or messages, that are not answered yet


class Bench:
    def __init__(self, servers, replicas, most):
        self.servers, self.replicas, self.most = servers, replicas, most
        self.clients = ExitStack()
        self.client = self.connect()
        self.create(self.client, STREAM, "mcast.>")

    def connect(self):
        return self.clients.enter_context(self.servers[0].client(timeout=120))

    def create(self, client, name, *subjects):
        return client.create_stream(name, *subjects, replicas=self.replicas, discard="old", max_bytes=1 << 30,
                                    duplicate_window=120_000_000_000)

    def resident(self):
        """After what was short-lived has been collected, as far as it shows: the least of some looks."""
        return min(sum(server.resident() for server in self.servers) for _ in (time.sleep(0.5) for _ in range(6)))

    def cpu(self):
        return sum(server.cpu() for server in self.servers)

    def consumer(self, client, site, group):
        """The request, as mcastd makes it. A subscription with a wildcard would be no interest to the server."""
        deliver = f"{client.inbox}.in.{site}.{group}"
        client.subscribe(deliver)
        config = {"durable_name": f"mcastd+{site}+hq+{group}", "deliver_subject": deliver, "deliver_policy": "new",
                  "ack_policy": "all", "replay_policy": "instant", "max_ack_pending": 1024, "ack_wait": ACK_WAIT,
                  "idle_heartbeat": HEARTBEAT, "filter_subject": f"mcast.{group}.*"}
        return f"$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.mcastd+{site}+hq+{group}", {"stream_name": STREAM, "config": config}

    def ask_all(self, client, requests):
        """Makes many requests without waiting for each. Returns how many a second were answered."""
        begin, waiting, count = time.monotonic(), 0, 0
        reply = f"{client.inbox}.all"

        def answer():
            message = client.find(lambda message: message.subject == reply, 120)
            result = json.loads(message.payload)
            assert "error" not in result, result
            return message

        for subject, parameters in requests:
            client.publish(subject, parameters if isinstance(parameters, bytes) else json.dumps(parameters).encode(), reply)
            waiting, count = waiting + 1, count + 1
            if waiting == BATCH:
                answer()
                waiting -= 1
        for _ in range(waiting):
            answer()
        return count / (time.monotonic() - begin)


def each(bytes_, count):
    return f"{bytes_ / count / 1024:.1f} KiB each"


def consumers(bench):
    """Idle, but for their heartbeats: as a site has them for groups where nothing is said."""
    done, base = 0, bench.resident()
    quiet = idle(bench)
    for count in (n for n in (100, 300, 1000, 3000, 10000, 20000, 40000) if n <= bench.most):
        site = bench.connect()
        rate = bench.ask_all(site, [bench.consumer(site, f"s{done}", f"idle{i}") for i in range(done, count)])
        done = count
        grown, busy = bench.resident() - base, idle(bench) - quiet
        yield f"{count} consumers", f"{each(grown, count)}, created {rate:.0f}/s, idle {busy * 100:.1f} % of a core"


def idle(bench):
    """Cores, of which the servers use as much when nothing is said."""
    time.sleep(2)
    cpu, begin = bench.cpu(), time.monotonic()
    time.sleep(IDLE)
    return (bench.cpu() - cpu) / (time.monotonic() - begin)


def subjects(bench):
    """One message stored for each of as many groups and sites."""
    done, base = 0, bench.resident()
    for count in (n for n in (1000, 10000, 100000, 300000) if n <= 10 * bench.most):
        rate = bench.ask_all(bench.client, [(f"mcast.group{i}.plant-{i % 100}", PAYLOAD) for i in range(done, count)])
        done = count
        yield f"{count} subjects", f"{each(bench.resident() - base, count)}, stored {rate:.0f}/s"


def streams(bench):
    """A stream for each site, and nothing in them."""
    done, base = 0, bench.resident()
    quiet = idle(bench)
    for count in (n for n in (100, 300, 1000, 3000) if n <= bench.most):
        rate = bench.ask_all(bench.client, [
            (f"$JS.API.STREAM.CREATE.S{i}", {"name": f"S{i}", "subjects": [f"other.*.plant-{i}"], "num_replicas": bench.replicas,
                                             "storage": "file", "retention": "limits", "max_bytes": 1 << 20})
            for i in range(done, count)])
        done = count
        busy = idle(bench) - quiet
        yield f"{count} streams", f"{each(bench.resident() - base, count)}, created {rate:.0f}/s, idle {busy * 100:.1f} % of a core"


def connections(bench):
    done, base = 0, bench.resident()
    for count in (n for n in (100, 300, 1000, 3000, 10000) if n <= bench.most):
        for _ in range(done, count):
            bench.connect()
        done = count
        yield f"{count} connections", each(bench.resident() - base, count)


class Taker:
    """Connections that take all that comes and acknowledge it, as sites do, without looking at it."""

    def __init__(self, clients):
        self.clients = {client.socket: client for client in clients}
        self.rest, self.count = {}, 0
        self.poll = select.epoll()
        self.by_number = {sock.fileno(): sock for sock in self.clients}
        for number in self.by_number:
            self.poll.register(number, select.EPOLLIN)

    def take(self, timeout):
        for number, _ in self.poll.poll(timeout):
            sock = self.by_number[number]
            lines, _, self.rest[sock] = (self.rest.get(sock, b"") + sock.recv(1 << 18)).rpartition(b"\r\n")
            begin = lines.rfind(b"MSG mcast.")
            if begin >= 0:
                self.count += lines.count(b"MSG mcast.")
                self.clients[sock].publish(lines[begin:].split(maxsplit=4)[3].decode())


def publish(bench, group, count):
    """Seconds, and of processor time, that so many messages take the servers."""
    cpu, begin = bench.cpu(), time.monotonic()
    bench.ask_all(bench.client, [(f"mcast.{group}.plant-0", PAYLOAD)] * count)
    return time.monotonic() - begin, bench.cpu() - cpu


def fanout(bench):
    """One group that more and more sites take."""
    sites = []
    for count in (n for n in (0, 1, 10, 100, 300, 1000) if n <= bench.most):
        while len(sites) < count:
            site = bench.connect()
            bench.ask_all(site, [bench.consumer(site, f"f{len(sites)}", "fan")])
            site.flush()
            sites.append(site)
        messages = max(200, 20000 // max(count, 1))
        cpu, begin, taker = bench.cpu(), time.monotonic(), Taker(sites)
        for first in range(0, messages, BATCH):
            bench.ask_all(bench.client, [("mcast.fan.plant-0", PAYLOAD)] * min(BATCH, messages - first))
            while taker.count < min(first + BATCH, messages) * count:
                taker.take(1)
        seconds, spent = time.monotonic() - begin, bench.cpu() - cpu
        yield f"{count} sites take", (f"{messages / seconds:.0f} messages/s, {messages * count / seconds:.0f} deliveries/s, "
                                      f"{spent / messages * 1e6:.0f} us of CPU a message" +
                                      (f", {spent / messages / count * 1e6:.1f} us a delivery" if count else ""))


def others(bench):
    """What a message costs while there are consumers of other groups."""
    done = 0
    for count in (n for n in (0, 100, 1000, 10000) if n <= bench.most):
        site = bench.connect()
        bench.ask_all(site, [bench.consumer(site, f"o{i}", f"other{i}") for i in range(done, count)])
        done = count
        seconds, spent = publish(bench, "alone", 20000)
        yield f"{count} consumers of other groups", f"{20000 / seconds:.0f} messages/s, {spent / 20000 * 1e6:.0f} us of CPU a message"


STEPS = {step.__name__: step for step in (consumers, subjects, streams, connections, fanout, others)}


@contextmanager
def brokers(hosts, clustered):
    with tempfile.TemporaryDirectory(prefix="bench-sites-") as directory:
        if clustered:
            with NatsCluster(hosts, directory) as cluster:
                yield cluster.servers
        else:
            with NatsServer(hosts[0], directory) as server:
                yield [server]


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n")[3].strip())
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--most", type=int, default=10000)
    parser.add_argument("steps", nargs="*")
    options = parser.parse_args()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    with two_sites(brokers=3 if options.cluster else 1) as sites:
        for name in options.steps or STEPS:
            with brokers(sites.brokers, options.cluster) as servers:
                bench = Bench(servers, 3 if options.cluster else 1, options.most)
                print(f"{name} ({servers[0].monitor('varz')['version']}, {bench.replicas} replicas)", flush=True)
                with bench.clients:
                    for label, value in STEPS[name](bench):
                        print(f"  {label:34} {value}", flush=True)


if __name__ == "__main__":
    main()
