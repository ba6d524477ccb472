"""Floods: what each kind of handler does under more than it can take, and what that costs the others."""

import socket
import threading
import time

import pytest

from daemon import balance, subscribe
from peers import seqpacket, tutorial_sender
from waiting import wait_until

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
    return f"""
    groups: {{
      flood: {{ address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["h"]; }};
      slow:  {{ address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; }};
    }};
    handlers: {{ h: {{ {KINDS[kind]} queue = "{QUEUE_MIB}M"; }}; }};
    """


def resident(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


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
def test_a_million_datagrams_into_one_kind_cost_the_second_group_nothing(net, start, blast, release, say, kind):
    daemon = start(config(kind), binary=release)
    consumer = Consumer(daemon.path("consumer")) if kind == "unix" else None
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
        wait_until(lambda: consumer.count == handler["delivered"], "the consumer to have what was delivered")
    dropped = {reason: n for reason, n in handler["dropped"].items() if n}
    say(f"{kind}: {sent} sent in {took:.1f} s = {group['received']} received + {group['kernelDropped']} kernel; "
        f"{handler['delivered']} delivered, {handler['queued']} queued, dropped {dropped}; RSS +{grown:.1f} MiB; "
        f"second group {slow} sent, {daemon.group('slow')['received']} received")
    assert balance(handler) == 0 and handler["received"] == group["received"]
    assert daemon.group("slow")["received"] == slow and daemon.group("slow")["kernelDropped"] == 0
    assert grown <= QUEUE_MIB + 4


@pytest.mark.parametrize("reader", ["subscriber", "group-socket"])
def test_a_reader_that_is_stopped_for_a_minute_loses_its_own_datagrams_only(net, start, release, say, reader):
    daemon = start("""
    groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["f"]; socket = true; }; };
    handlers: { f: { type = "file"; path = "$DIR/f"; format = "raw"; }; };
    """, binary=release)
    other = seqpacket(daemon.group_path("news"))
    other.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    taken = Reader(other)
    stuck = subscribe(daemon, "news") if reader == "subscriber" else seqpacket(daemon.group_path("news"))
    with tutorial_sender(net.peer, "233.252.0.1") as sender:
        send_paced(sender, 20_000, 10_000)
        wait_until(lambda: daemon.group("news")["received"] == 20_000, "the first datagrams")
        before = resident(daemon.process.pid)
        send_paced(sender, 550_000, 10_000)  # 55 s: less than the stall after which it is cut
        sent = 570_000
    daemon.wait_arrived("news", sent)
    grown = resident(daemon.process.pid) - before
    numbers = daemon.group("news")
    wait_until(lambda: taken.count == sent, "the other reader to have all")
    if reader == "subscriber":
        got, gap = count_subscription(stuck, sent)
    else:
        got, gap = count_packets(stuck), numbers["unread"]
    say(f"{reader}: {sent} sent, {numbers['kernelDropped']} dropped by the kernel, the stuck one got {got} and was told of "
        f"{gap}, the other {taken.count}; RSS {grown:+.2f} MiB")
    assert numbers["kernelDropped"] == 0
    assert got + gap == sent
    assert daemon.wait_idle("f")["delivered"] == sent
    assert grown <= 1


class Consumer(threading.Thread):
    """A program that reads a UNIX socket, and is slower than the flood."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.sock, self.count = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), 0
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


def count_subscription(control, total):
    """What a subscriber finds when it reads at last: datagrams, and what it is told that it missed."""
    got = gap = 0
    while got + gap < total:
        parameters = control.reply()["parameters"]
        if "gap" in parameters:
            gap += parameters["gap"]["count"]
        else:
            got += 1
    return got, gap


def count_packets(sock):
    sock.settimeout(1)
    got = 0
    try:
        while sock.recv(100):
            got += 1
    except TimeoutError:
        pass
    return got
