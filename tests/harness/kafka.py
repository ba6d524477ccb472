"""A Kafka cluster, which is librdkafka's mock (kafka_mock.c), and what a consumer reads from it."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile

from harness import with_us
from harness.topology import CLONE_NEWNET, check, current_namespace, libc
from harness.waiting import wait_until

PRODUCE, INIT_PRODUCER_ID = 0, 22  # numbers of requests
OUT_OF_ORDER, UNKNOWN_TOPIC, TOO_LARGE, NOT_AUTHORIZED, CLUSTER_NOT_AUTHORIZED = 45, 3, 10, 29, 31  # of errors


def build(directory):
    """The program, built."""
    binary = os.path.join(directory, "kafka_mock")
    libraries = subprocess.run(["pkg-config", "--cflags", "--libs", "rdkafka"], check=True, capture_output=True,
                               text=True).stdout.split()
    source = __file__.replace("kafka.py", "kafka_mock.c")
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", binary, source, *libraries], check=True)
    return binary


class Cluster:
    """Brokers on the loopback interface of a host."""

    def __init__(self, host, binary, *topics, brokers=3, partitions=1):
        self.host = host
        with host:
            self.process = with_us.start([binary, str(brokers)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.brokers = self.process.stdout.readline().strip()
        for topic in topics:
            self.tell(f"topic {topic} {partitions}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    @property
    def quoted(self):
        """As the key brokers has them."""
        return ", ".join(f'"{broker}"' for broker in self.brokers.split(","))

    @contextlib.contextmanager
    def paused(self):
        """It keeps its connections, and does nothing."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def connect(self, address):
        """A connection from within its host. From any thread."""
        outside = current_namespace()
        try:
            check(libc.setns(self.host.fd, CLONE_NEWNET))
            return socket.create_connection(address)
        finally:
            check(libc.setns(outside, CLONE_NEWNET))
            os.close(outside)

    def tell(self, command):
        """See kafka_mock.c."""
        print(command, file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == "ok\n", f"the mock did not do: {command}"


class Consumer:
    """Reads a topic from its beginning, as it fills: the mock does not keep everything."""

    FORMAT = "%p\t%k\t%T\t%h\t%s\n"

    def __init__(self, cluster, topic):
        self.output = tempfile.TemporaryFile("w+b", buffering=0)
        with cluster.host:
            self.process = with_us.start(
                ["kcat", "-b", cluster.brokers, "-C", "-t", topic, "-o", "beginning", "-q", "-u", "-E", "-f", self.FORMAT,
                 "-X", "reconnect.backoff.max.ms=200", "-X", "topic.metadata.refresh.interval.ms=500"],
                stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.output.close()

    def lines(self):
        # With a seek, kcat would write there: the two have one offset.
        output = os.pread(self.output.fileno(), os.fstat(self.output.fileno()).st_size, 0)
        return output.split(b"\n")[:-1]

    def messages(self):
        """What has come so far, as (partition, key, milliseconds, headers, payload)."""
        fields = [line.split(b"\t", 4) for line in self.lines()]
        return [(int(partition), key.decode(), int(time), dict(header.split("=", 1) for header in
                                                              headers.decode().split(",") if header), payload)
                for partition, key, time, headers, payload in fields]

    def numbers(self):
        """The numbers of the payloads "TAG NUMBER ..." that have come so far."""
        return [int(line.rsplit(b"\t", 1)[1].split(b" ")[1]) for line in self.lines()]

    def wait(self, count, timeout=30, numbered=True):
        """Waits for the number of messages, and returns their numbers."""
        try:
            wait_until(lambda: len(self.lines()) >= count, f"{count} messages", timeout)
        except AssertionError as failure:
            raise AssertionError(f"{failure}: {self.describe()}") from None
        return self.numbers() if numbered else None

    def describe(self):
        """What is wrong with the numbers that have come."""
        numbers = self.numbers()
        seen = set(numbers)
        missing = [number for number in range(max(seen, default=0)) if number not in seen]
        return f"{len(numbers)} came, the last {numbers[-3:]}, {len(missing)} missing below, from {missing[:3]}"
