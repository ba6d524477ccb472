"""The broker's side of an MQTT connection, for tests of brokers that are wrong: it answers as it should where nothing else is said.
Packets as in the OASIS standard MQTT Version 5.0, chapter 3; no routing."""

import socket
import struct
import threading

from harness.mqtt import (CONNACK, CONNECT, DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBLISH, SUBACK, SUBSCRIBE, Message,
                          sized, text)
from harness.waiting import wait_until

UNSUBSCRIBE, UNSUBACK = 10, 11


def packet(kind, data=b"", flags=0):
    return bytes([kind << 4 | flags]) + sized(data)


def publication(topic, payload, packet_id=None, retain=False):
    """A message with QoS 1 where it has an id."""
    head = text(topic) + (struct.pack("!H", packet_id) if packet_id else b"")
    return packet(PUBLISH, head + b"\0" + payload, (2 if packet_id else 0) | retain)


class Connection:
    """One of a client. .filters is what it has subscribed to, .left what it has ended, .pings the number of its pings."""

    def __init__(self, server, peer):
        self.server, self.socket = server, peer
        self.filters, self.left, self.messages, self.pings = [], [], [], 0
        self.reads = threading.Event()
        self.reads.set()
        self.writing = threading.Lock()  # the test and the answers write whole packets
        threading.Thread(target=self.serve, daemon=True).start()

    def send(self, data):
        """Returns whether the client is still there."""
        try:
            with self.writing:
                self.socket.sendall(data)
        except OSError:
            return False
        return True

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise OSError("over")
            data += more
        return data

    def serve(self):
        try:
            while True:
                self.reads.wait()
                head, length, shift, byte = self.exactly(1)[0], 0, 0, 128
                while byte & 128:
                    byte = self.exactly(1)[0]
                    length |= (byte & 127) << shift
                    shift += 7
                self.answer(head >> 4, head & 15, self.exactly(length))
        except OSError:
            self.socket.close()

    def answer(self, kind, flags, data):
        if kind == CONNECT:
            self.send(self.server.accepting)
            self.server.connections.append(self)
        elif kind == PINGREQ:
            self.pings += 1
            self.send(packet(PINGRESP))
        elif kind == SUBSCRIBE:
            size = int.from_bytes(data[3:5], "big")
            self.filters.append(data[5:5 + size].decode())
            self.send(packet(SUBACK, data[:2] + b"\0" + bytes([self.server.granted])))
        elif kind == UNSUBSCRIBE:
            self.left.append(data[5:].decode())
            self.send(packet(UNSUBACK, data[:2] + b"\0\0"))
        elif kind == PUBLISH:
            message = Message(flags, data)
            self.messages.append(message)
            if message.qos and self.server.acknowledges:
                self.send(packet(PUBACK, struct.pack("!H", message.id) + self.server.stored))
        elif kind == DISCONNECT:
            self.server.goodbyes += 1


class MqttServer:
    """Listens in a host. accepting is the answer to each CONNECT, granted the reason in that to each SUBSCRIBE,
    stored what follows the number in that to each PUBLISH."""

    def __init__(self, host, port=1883, accepting=None):
        self.accepting = packet(CONNACK, b"\0\0\0") if accepting is None else accepting
        self.granted, self.stored, self.acknowledges = 1, b"", True
        self.connections, self.goodbyes = [], 0
        self.tcp = 0  # connections that were made, with or without a CONNECT
        with host:
            self.listener = socket.create_server((host.v4, port))
        self.url = f"mqtt://{host.v4}:{port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        try:
            while True:
                peer, _ = self.listener.accept()
                self.tcp += 1
                Connection(self, peer)
        except OSError:
            pass

    def wait(self, count=1):
        """The newest connection, once there have been so many."""
        wait_until(lambda: len(self.connections) >= count, f"{count} connections")
        return self.connections[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            connection.reads.set()
            connection.close()
