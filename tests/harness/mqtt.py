"""A small MQTT 5 client: plain sockets, no library. It stands for subscribers and devices that know nothing of mcastd. Packets as
in the OASIS standard MQTT Version 5.0, chapters 2 and 3."""

import itertools
import socket
import ssl
import struct

from harness.streams import Stream
from harness.waiting import TIMEOUT

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 13, 14
SESSION_EXPIRY, RECEIVE_MAXIMUM, REASON_STRING, USER_PROPERTY = 0x11, 0x21, 0x1f, 0x26
FOREVER = 0xffffffff  # seconds, for a session
REASONS = {0x80: "unspecified error", 0x84: "unsupported protocol version", 0x85: "client identifier not valid",
           0x86: "bad user name or password", 0x87: "not authorized", 0x8e: "session taken over", 0x97: "quota exceeded"}

# How the value of a property is laid out: its size, or what it is (2.2.2.2).
SIZES = {0x01: 1, 0x02: 4, 0x11: 4, 0x13: 2, 0x17: 1, 0x18: 4, 0x19: 1, 0x21: 2, 0x22: 2, 0x23: 2, 0x24: 1, 0x25: 1, 0x27: 4,
         0x28: 1, 0x29: 1, 0x2a: 1, 0x0b: "number", 0x26: "pair"}


class MqttError(Exception):
    def __init__(self, reason):
        super().__init__(REASONS.get(reason, f"reason {reason:#x}"))
        self.reason = reason


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("!H", len(data)) + data


def number(value):
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])


def sized(data):
    return number(len(data)) + data


class Reader:
    """Takes a packet apart."""

    def __init__(self, data):
        self.data = data

    def take(self, count):
        head, self.data = self.data[:count], self.data[count:]
        return head

    def integer(self, size):
        return int.from_bytes(self.take(size), "big")

    def text(self):
        return self.take(self.integer(2)).decode()

    def number(self):
        value, shift = 0, 0
        while True:
            byte = self.integer(1)
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def user_properties(self):
        """All properties are read, those are returned."""
        inner, found = Reader(self.take(self.number())), {}
        while inner.data:
            size = SIZES.get(inner.integer(1), "text")
            if size == "pair":
                name = inner.text()
                found[name] = inner.text()
            elif size == "text":
                inner.text()
            elif size == "number":
                inner.number()
            else:
                inner.take(size)
        return found


class Message:
    def __init__(self, flags, data):
        reader = Reader(data)
        self.topic, self.qos, self.duplicate = reader.text(), flags >> 1 & 3, bool(flags & 8)
        self.id = reader.integer(2) if self.qos else None
        self.properties = reader.user_properties()
        self.payload = reader.data


class Mqtt:
    """A connection to a broker of brokers.py. Without clean its session stays with the broker when it ends."""

    def __init__(self, broker, client_id, clean=True, user=None, password=None, tls=None, timeout=TIMEOUT, keep_alive=0):
        with broker.host:
            self.socket = socket.create_connection((broker.address, broker.port), timeout)
        if tls:
            context = ssl.create_default_context(cafile=tls.ca)
            if getattr(tls, "certificate", None):
                context.load_cert_chain(tls.certificate, tls.key)
            self.socket = context.wrap_socket(self.socket, server_hostname=broker.address)
        self.stream = Stream(self.socket)
        self.ids = itertools.count(1)
        self.waiting = []  # messages that came before they were asked for
        flags = (2 if clean else 0) | (0xc0 if user else 0)
        expiry = struct.pack("!BI", SESSION_EXPIRY, 0 if clean else FOREVER)
        credentials = text(user) + text(password) if user else b""
        try:
            self.write(CONNECT, 0, text("MQTT") + struct.pack("!BBH", 5, flags, keep_alive) +
                       sized(expiry) + text(client_id) + credentials)
            answer = self.wait(CONNACK)
            self.session_present = bool(answer[0] & 1)
            if answer[1]:
                raise MqttError(answer[1])
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.write(DISCONNECT, 0, b"")
        except OSError:
            pass
        self.vanish()

    def vanish(self):
        """Ends without a word."""
        self.socket.close()

    def write(self, kind, flags, data):
        self.socket.sendall(bytes([kind << 4 | flags]) + sized(data))

    def read(self):
        """The kind, flags and data of the next packet."""
        with self.stream:
            head, length, shift, byte = self.stream.read(1), 0, 0, 128
            while byte & 128:
                byte = self.stream.read(1)[0]
                length |= (byte & 127) << shift
                shift += 7
            data = self.stream.read(length)
        if head[0] >> 4 == DISCONNECT:
            raise MqttError(data[0] if data else 0)
        return head[0] >> 4, head[0] & 15, data

    def wait(self, wanted):
        """The data of the next packet of a kind; messages before it wait."""
        while True:
            kind, flags, data = self.read()
            if kind == wanted:
                return data
            if kind == PUBLISH:
                self.waiting.append(Message(flags, data))

    def subscribe(self, topic, qos=1, no_local=False):
        self.write(SUBSCRIBE, 2, struct.pack("!H", next(self.ids)) + sized(b"") + text(topic) +
                   bytes([qos | (4 if no_local else 0)]))
        granted = self.wait(SUBACK)[-1]
        if granted >= 0x80:
            raise MqttError(granted)

    def publish(self, topic, payload, qos=1, properties=None):
        """Returns once it is acknowledged, with QoS 1."""
        pairs = b"".join(bytes([USER_PROPERTY]) + text(name) + text(value) for name, value in (properties or {}).items())
        packet_id = struct.pack("!H", next(self.ids) % 65535 + 1) if qos else b""
        self.write(PUBLISH, qos << 1, text(topic) + packet_id + sized(pairs) + payload)
        if qos:
            answer = self.wait(PUBACK)
            if len(answer) > 2 and answer[2] >= 0x80:
                raise MqttError(answer[2])

    def next(self, timeout=TIMEOUT):
        """The next message, which is acknowledged."""
        self.socket.settimeout(timeout)
        while not self.waiting:
            kind, flags, data = self.read()
            if kind == PUBLISH:
                self.waiting.append(Message(flags, data))
        message = self.waiting.pop(0)
        if message.qos:
            self.write(PUBACK, 0, struct.pack("!H", message.id))
        return message

    def ping(self):
        """All that was written has been read by the broker."""
        self.write(PINGREQ, 0, b"")
        self.wait(PINGRESP)
