"""Floods: what each kind of handler does under more than it can take, and what that costs the others."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from harness import with_us
from harness.daemon import MCASTCTL, balance, with_journal
from harness.peers import seqpacket, tutorial_sender
from harness.programs import resident
from harness.waiting import wait_until

pytestmark = pytest.mark.long

COUNT = 1_000_000
QUEUE_MIB = 4

KINDS = {
    "log": 'type = "log"; stream = "stdout";',
    "journal": 'type = "journal";',
    "file-line": 'type = "file"; path = "$DIR/out";',
    "file-json": 'type = "file"; path = "$DIR/out"; format = "json";',
    "file-raw": 'type = "file"; path = "$DIR/out"; format = "raw";',
    "pcapng": 'type = "pcapng"; path = "$DIR/out.pcapng";',
    "unix": 'type = "unix"; path = "$DIR/consumer";',
    "udp-host": 'type = "udp"; address = "198.51.100.2"; port = 9;',
    "udp-group": 'type = "udp"; address = "233.252.0.99"; port = 9; interface = "eth1";',
    "exec": 'type = "exec"; command = ["/bin/true"];',
    "pipe": 'type = "pipe"; command = ["/bin/cat"]; framing = "length";',
}


def config(kind):
    queue = "" if kind.startswith("udp") else f'queue = "{QUEUE_MIB}M";'
    return f"""
    groups: {{
      flood: {{ address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["h"]; }};
      slow:  {{ address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; }};
    }};
    handlers: {{ h: {{ {KINDS[kind]} {queue} }}; }};
    """


class Trickle(threading.Thread):
    """Sends to the second group, some thousand datagrams a second, until it is told to stop."""

    def __init__(self, host):
        super().__init__(daemon=True)
        self.sender = tutorial_sender(host, "233.252.0.2")
        self.sent = 0
        self.going = True
        self.start()

    def run(self):
        while self.going:
            self.sender.sendto(b"trickle", ("233.252.0.2", 5004))
            self.sent += 1
            time.sleep(0.0003)

    def stop(self):
        self.going = False
        self.join()
        self.sender.close()
        return self.sent


@pytest.mark.parametrize("kind", KINDS)
def test_a_million_datagrams_into_one_kind_cost_the_second_group_nothing(
        net, start, blast, release, say, tmp_path, kind):
    journal = Consumer(str(tmp_path / "journal")) if kind == "journal" else None
    daemon = start(config(kind), binary=release, wrapper=with_journal(journal.path) if journal else ())
    consumer = Consumer(daemon.path("consumer")) if kind == "unix" else journal
    before = resident(daemon.process.pid)
    trickle = Trickle(net.other)
    started = time.monotonic()
    sent = blast(net.peer, "233.252.0.1", 5004, COUNT, bulk=True)
    took = time.monotonic() - started
    slow = trickle.stop()
    daemon.wait_arrived("flood", sent)
    daemon.wait_arrived("slow", slow)
    grown = resident(daemon.process.pid) - before
    handler, group = daemon.handler("h"), daemon.group("flood")
    if consumer:
        handler = daemon.wait_idle("h")
        wait_until(lambda: consumer.count == handler["delivered"], "the consumer to have what was delivered")
    dropped = {reason: n for reason, n in handler["dropped"].items() if n}
    say(f"{kind}: {sent} sent in {took:.1f} s = {group['received']} received + {group['kernelDropped']} kernel; "
        f"{handler['delivered']} delivered, {handler['queued']} queued, dropped {dropped}; RSS +{grown:.1f} MiB; "
        f"second group {slow} sent, {daemon.group('slow')['received']} received")
    assert balance(handler) == 0 and handler["received"] == group["received"]
    assert daemon.group("slow")["received"] == slow and daemon.group("slow")["kernelDropped"] == 0
    assert grown <= QUEUE_MIB + 4


READ_PACKETS = """
import os, socket, sys
sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
sock.connect(sys.argv[1])
print("ready", flush=True)
while True:
    packet, descriptors, _, _ = socket.recv_fds(sock, 100, 1)
    for descriptor in descriptors:
        print('{"gap": {"count": %d}}' % int(os.read(descriptor, 100).split()[1]), flush=True)
        os.close(descriptor)
    if not packet:
        break
    print(packet.decode(), flush=True)
"""


def start_reader(daemon, reader, output):
    """A program that prints a line for each datagram that it reads."""
    if reader == "subscriber":
        command = [MCASTCTL, "-s", daemon.control_path, "--json", "tail", "news"]
    else:
        command = [sys.executable, "-c", READ_PACKETS, daemon.group_path("news")]
    child = with_us.start(command, stdout=output, stderr=subprocess.DEVNULL)
    if reader == "subscriber":
        wait_until(lambda: daemon.call("GetStatus")["subscribers"], "the subscription")
    else:
        wait_until(lambda: output.tell() or os.path.getsize(output.name), "the connection")
    return child


def read_so_far(name):
    """How many datagrams the program has printed, and how many it was told that it missed."""
    got = gap = 0
    with open(name) as file:
        for line in file:
            if not line.endswith("\n") or line == "ready\n":
                continue
            if line.startswith("{") and "gap" in (told := json.loads(line)):
                gap += told["gap"]["count"]
            else:
                got += 1
    return got, gap


@pytest.mark.parametrize("reader", ["subscriber", "group-socket"])
def test_a_reader_that_is_stopped_for_a_minute_loses_its_own_datagrams_only(net, start, release, say, tmp_path, reader):
    daemon = start("""
    groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["f"]; socket = true; }; };
    handlers: { f: { type = "file"; path = "$DIR/f"; format = "raw"; }; };
    """, binary=release)
    other = seqpacket(daemon.group_path("news"))
    other.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    taken = Reader(other)
    with open(tmp_path / "out", "w") as output, tutorial_sender(net.peer, "233.252.0.1") as sender:
        child = start_reader(daemon, reader, output)
        try:
            send_paced(sender, 20_000, 10_000)
            wait_until(lambda: daemon.group("news")["received"] == 20_000, "the first datagrams")
            before = resident(daemon.process.pid)
            child.send_signal(signal.SIGSTOP)
            stopped = time.monotonic()
            send_paced(sender, 601_000, 10_000)
            stopped = time.monotonic() - stopped
            grown = resident(daemon.process.pid) - before
            child.send_signal(signal.SIGCONT)
            send_paced(sender, 100, 10_000)
            sent = 621_100
            daemon.wait_arrived("news", sent)
            wait_until(lambda: taken.count == sent, "the other reader to have all")

            def accounted():
                got, gap = read_so_far(output.name)
                return got + gap == sent

            wait_until(accounted, "the stopped one to have read what there was")
        finally:
            child.kill()
            child.wait()
    got, gap = read_so_far(output.name)
    numbers = daemon.group("news")
    say(f"{reader}: stopped for {stopped:.1f} s; {sent} sent, {numbers['kernelDropped']} dropped by the kernel; it got {got}, was "
        f"told of {gap}, {numbers['unread']} unread; the other {taken.count}; RSS {grown:+.2f} MiB")
    assert stopped >= 60
    assert numbers["unread"] == (gap if reader == "group-socket" else 0)
    assert numbers["kernelDropped"] == 0
    assert daemon.wait_idle("f")["delivered"] == sent
    assert grown <= 1


def test_a_program_at_a_group_socket_that_reads_nothing_is_cut(net, start, release):
    daemon = start("""
    groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; socket = true; }; };
    """, binary=release)
    idle, other = seqpacket(daemon.group_path("news")), Reader(seqpacket(daemon.group_path("news")))
    with tutorial_sender(net.peer, "233.252.0.1") as sender:
        send_paced(sender, 70_000, 1_000)
    daemon.wait_arrived("news", 70_000)
    wait_until(lambda: other.count == 70_000, "the one that reads to have all")
    assert "disconnecting a program at its socket: no read for 65 s" in daemon.log()
    idle.settimeout(15)
    while idle.recv(100):
        pass


class Consumer(threading.Thread):
    """A program that reads a UNIX socket, and is slower than the flood."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.sock, self.count, self.path = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), 0, path
        self.sock.bind(path)
        self.start()

    def run(self):
        while True:
            self.sock.recv(100)
            self.count += 1


class Reader(threading.Thread):
    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock, self.count = sock, 0
        sock.settimeout(None)
        self.start()

    def run(self):
        while self.sock.recv(100):
            self.count += 1


def send_paced(sender, count, rate):
    started = time.monotonic()
    for number in range(count):
        if number % 20 == 0:
            pause = started + number / rate - time.monotonic()
            if pause > 0:
                time.sleep(pause)
        sender.sendto(b"%d" % number, ("233.252.0.1", 5004))
