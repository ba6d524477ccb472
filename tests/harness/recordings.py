"""Recordings of daemons that are killed: what is sent to them, and what must be in their files."""

import json
import random
import struct
import threading
import time

from harness.captures import PACKET, blocks, tshark
from harness.peers import tutorial_sender
from harness.records import payload_of


def payloads(*paths):
    """The payloads in files of JSON objects, every line of which must be one."""
    result = []
    for path in paths:
        with open(path, "rb") as file:
            data = file.read()
        assert not data or data.endswith(b"\n"), path
        result += [payload_of(json.loads(line)) for line in data.splitlines()]
    return result


class SteadySender:
    """Sends "ROUND NUMBER ..." at some 20,000/s, which is some 28 MB/s: enough to be killed in the middle of writing."""

    def __init__(self, net, group="233.252.0.1"):
        self.group = group
        self.socket = tutorial_sender(net.peer, group)
        self.round, self.number = 0, 0
        self.lock, self.stopped, self.paused = threading.Lock(), False, False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        due, rest = time.monotonic(), bytes(1380)
        while not self.stopped:
            with self.lock:
                for _ in range(0 if self.paused else 100):
                    self.socket.sendto(b"%d %d " % (self.round, self.number) + rest, (self.group, 5004))
                    self.number += 1
            due = max(due + 0.005, time.monotonic() - 0.05)
            time.sleep(max(0, due - time.monotonic()))

    def next_round(self):
        with self.lock:
            self.round, self.number = self.round + 1, 0
            return self.round

    def pause(self):
        """Nothing is sent after it has returned."""
        with self.lock:
            self.paused = True

    def stop(self):
        self.stopped = True
        self.thread.join()
        self.socket.close()


def kill_at_random(daemon, most, handlers=("objects", "packets"), look=lambda daemon: None):
    """Kills it after up to so many seconds. Returns what each handler had said before to have delivered; and of just before
    the kill, whether it had counted drops, as it was too slow, and what look(daemon) returned."""
    delivered = {}
    deadline = time.monotonic() + random.uniform(0, most)
    while time.monotonic() < deadline:
        delivered = {name: daemon.handler(name)["delivered"] for name in handlers}
    seen = look(daemon)
    dropped = sum(sum(daemon.handler(name)["dropped"].values()) for name in handlers) + daemon.group("news")["kernelDropped"]
    daemon.process.kill()
    daemon.process.wait()
    daemon.kill()
    return delivered, dropped > 0, seen


def payloads_of_packets(data):
    """The payloads of a recording of UDP over IPv4 without an Ethernet header."""
    packets = [body for kind, body in blocks(data) if kind == PACKET]
    return [body[48:20 + struct.unpack_from("<I", body, 12)[0]] for body in packets]


def packet_payloads(path):
    """The same of a file, for which tshark must find as many packets."""
    with open(path, "rb") as file:
        found = payloads_of_packets(file.read())
    assert len(tshark(path, "frame.number")) == len(found)
    return found


def by_round(texts):
    """{round: its numbers in the order of the file}"""
    rounds = {}
    for text in texts:
        number = text.split()
        rounds.setdefault(int(number[0]), []).append(int(number[1]))
    return rounds


def check_rounds(said, found, short=()):
    """Nothing is missing that was said to be written, and nothing between two records, but in the rounds that fell short:
    there it was counted. Returns how many there are."""
    for number, delivered in said.items():
        numbers = found.get(number, [])
        assert len(numbers) >= delivered, f"round {number}"
        assert numbers == sorted(set(numbers)), f"round {number}: out of order, or twice"
        gaps = [(a, b) for a, b in zip(numbers, numbers[1:]) if b != a + 1]
        assert not gaps or number in short, f"round {number}: {gaps[:5]} of {len(gaps)} gaps"
    return sum(map(len, found.values()))
