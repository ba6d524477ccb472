"""A broker of the tests, for what all engines share: it speaks to the module that engine.c is, and not to NATS."""

import os
import socket
import struct
import subprocess
import threading

from harness.daemon import MCASTD, ROOT
from harness.modules import Place
from harness.waiting import wait_until

PACKET_MAX = 256 * 1024


def place_with_engine(directory, binary=MCASTD):
    """A copy of mcastd whose module for the type nats is that of engine.c."""
    place = Place(directory, binary=binary)
    module = place.module("nats")
    os.makedirs(os.path.dirname(module))
    subprocess.run(
        ["cc", "-std=gnu17", "-D_GNU_SOURCE", "-fPIC", "-shared", f"-I{ROOT}/src", "-o", module,
         os.path.join(ROOT, "tests", "harness", "engine.c")], check=True)
    return place


class Broker:
    """Keeps messages until they are acknowledged, and sends them again to whoever connects next; or, as one of MQTT, forgets
    what it has handed over."""

    def __init__(self, path, forgets=False):
        self.forgets = forgets
        self.handed_over = 0
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(path)
        self.listener.listen()
        self.lock = threading.Condition()
        self.messages = []  # (group, payload); the token is the place, from 1 on
        self.acknowledged = 0
        self.connections = 0  # now
        self.sessions = 0  # ever
        self.most = 0  # connections at once
        self.groups = None  # what the last one wants
        self.finished = 0
        self.got = []  # payloads that groups have delivered
        self.control = None
        self.closed = False
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()

    def close(self):
        with self.lock:
            self.closed = True
            self.lock.notify_all()
        # Closing does not end accept(): once the number of the descriptor is in use again, the thread could take the
        # connections of another broker.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.acceptor.join()
        self.listener.close()
        if self.connections:
            self.control.shutdown(socket.SHUT_RDWR)

    def accept(self):
        while not self.closed:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
            with self.lock:
                # Whoever was there has acknowledged what it had to, and closed: that is read first.
                self.lock.wait_for(lambda: not self.connections or self.closed, 1)
                self.connections += 1
                self.sessions += 1
                self.most = max(self.most, self.connections)
                self.control = connection
            state = {"open": True, "stop": False}
            next = self.handed_over if self.forgets else self.acknowledged
            writer = threading.Thread(target=self.write, args=(connection, state, next), daemon=True)
            writer.start()
            threading.Thread(target=self.read, args=(connection, state, writer), daemon=True).start()

    def read(self, connection, state, writer):
        while state["open"]:
            try:
                packet = connection.recv(PACKET_MAX)
            except ConnectionResetError:
                continue  # it has closed with something unread; what it wrote before is still queued
            with self.lock:
                if packet[:1] == b"A":
                    self.acknowledged = max(self.acknowledged, struct.unpack("=Q", packet[1:])[0])
                elif packet[:1] == b"S":
                    self.groups = [name.decode() for name in packet[1:].split(b"\0") if name]
                elif packet[:1] == b"O":
                    self.got.append(packet[1:])
                elif packet[:1] == b"X":
                    state["stop"] = True
                elif packet[:1] == b"F":
                    self.finished += 1
                elif not packet:
                    self.connections -= 1
                    state["open"] = False
                self.lock.notify_all()
        writer.join()
        connection.close()

    def write(self, connection, state, next):
        try:
            while state["open"]:
                with self.lock:
                    self.lock.wait_for(lambda: next < len(self.messages) or state["stop"] or not state["open"] or self.closed)
                    if state["stop"] or not state["open"] or self.closed:
                        break
                    group, payload = self.messages[next]
                    next += 1
                    self.handed_over = next
                connection.sendall(b"M" + struct.pack("=Q", next) + group.encode() + b"\0" + payload)
            if state["stop"]:
                connection.sendall(b"E")
        except OSError:
            pass  # it has gone

    def publish(self, group, *payloads):
        with self.lock:
            self.messages += [(group, payload) for payload in payloads]
            self.lock.notify_all()

    def count(self, packet):
        """Has the engine count something that needs no place."""
        self.control.sendall(packet)

    def flood(self, group, payload):
        """Has the engine hand over this message as often as it is taken, for as long as the daemon runs."""
        self.count(b"R" + group.encode() + b"\0" + payload)

    def wait_acknowledged(self, count=None):
        wait_until(lambda: self.acknowledged >= (len(self.messages) if count is None else count), "acknowledgements")

    def wait_groups(self, *groups):
        wait_until(lambda: self.groups == sorted(groups), f"a subscription to {groups}, not {self.groups}")

    def wait_disconnected(self):
        wait_until(lambda: not self.connections, "the engine to have gone")
