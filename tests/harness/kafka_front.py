"""What the mock of a Kafka cluster lacks: TLS, users, and the sequence numbers of producers. A front stands between it and its clients: it listens in another
network namespace at the addresses that the mock's brokers have in theirs, so that what they say of themselves is right."""

import base64
import contextlib
import hashlib
import hmac
import socket
import ssl
import struct
import threading
from functools import partial

PRODUCE, API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE = 0, 18, 17, 36
SASL_FAILED, OUT_OF_ORDER, DUPLICATE = 58, 45, 46
SALT, ITERATIONS = b"saltsalt", 4096
PRODUCE_MAX = 7  # the last version of requests to produce that the front reads


class Closed(Exception):
    pass


def read_exactly(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise Closed
        data += more
    return data


def read_frame(sock):
    return read_exactly(sock, struct.unpack("!i", read_exactly(sock, 4))[0])


def write_frame(sock, data):
    sock.sendall(struct.pack("!i", len(data)) + data)


def check_plain(users, exchange):
    _, user, password = exchange(b"").split(b"\0")
    return users.get(user.decode()) == password.decode()


def check_scram(users, exchange, algorithm):
    """RFC 5802."""
    def digest(key, data):
        return hmac.new(key, data, algorithm).digest()

    first = exchange(b"").decode().split(",", 2)[2]
    fields = dict(field.split("=", 1) for field in first.split(","))
    password = users.get(fields["n"], "").encode()
    second = f"r={fields['r']}server,s={base64.b64encode(SALT).decode()},i={ITERATIONS}"
    final = exchange(second.encode()).decode()
    without_proof, _, proof = final.rpartition(",p=")
    salted = hashlib.pbkdf2_hmac(algorithm, password, SALT, ITERATIONS)
    stored = hashlib.new(algorithm, digest(salted, b"Client Key")).digest()
    signed = f"{first},{second},{without_proof}".encode()
    key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), digest(stored, signed)))
    if not password or hashlib.new(algorithm, key).digest() != stored:
        return False
    exchange.last = b"v=" + base64.b64encode(digest(digest(salted, b"Server Key"), signed))
    return True


MECHANISMS = {"PLAIN": check_plain, "SCRAM-SHA-256": partial(check_scram, algorithm="sha256"),
              "SCRAM-SHA-512": partial(check_scram, algorithm="sha512")}


class Exchange:
    """The messages of SASL, in requests to authenticate: each call answers the one before, and returns the next."""

    def __init__(self, client):
        self.client, self.correlation, self.last = client, None, b""

    def __call__(self, answer):
        if self.correlation:
            self.reply(0, answer)
        frame = read_frame(self.client)
        api, _, self.correlation, name_size = struct.unpack("!hh4sh", frame[:10])
        assert api == SASL_AUTHENTICATE
        return frame[10 + max(name_size, 0) + 4:]

    def reply(self, error, data):
        text = b"\0\x0dwrong, sorry!" if error else b"\xff\xff"
        write_frame(self.client, self.correlation + struct.pack("!h", error) + text + struct.pack("!i", len(data)) + data)


def limit_produce(frame, version):
    """The brokers' answer with the versions that they know, in a request of this version: clients send no newer requests
    to produce than the front reads."""
    if version < 3:
        count, at, size = struct.unpack("!i", frame[6:10])[0], 10, 6
    else:
        count, at, size = frame[6] - 1, 7, 7  # the tags of each end in a zero
        assert count < 127, "the number of them takes one byte"
    for entry in range(at, at + count * size, size):
        api, lowest, highest = struct.unpack("!3h", frame[entry:entry + 6])
        if api == PRODUCE:
            frame = frame[:entry] + struct.pack("!3h", api, lowest, min(highest, PRODUCE_MAX)) + frame[entry + 6:]
    return frame


class Sequences:
    """What a broker does for idempotent producers: a batch that was there before is not stored again, and none is stored
    before those that come first. The mock does so for transactions only. Requests are of version 3 to PRODUCE_MAX, with
    one batch."""

    def __init__(self):
        self.following, self.duplicates, self.refused = {}, 0, 0

    def judge(self, frame):
        """The answer to a request that must not go to the broker, or None."""
        api, version, correlation, size = struct.unpack("!hh4sh", frame[:10])
        if api != PRODUCE:
            return None
        assert 3 <= version <= PRODUCE_MAX
        at = 10 + max(size, 0) + 2 + 2 + 4 + 4  # behind the transaction (none), acks, timeout, the number of topics
        end = at + 2 + struct.unpack("!h", frame[at:at + 2])[0]
        topic, (partition,), batch = frame[at:end], struct.unpack("!i", frame[end + 4:end + 8]), frame[end + 12:]
        last, = struct.unpack("!i", batch[23:27])
        producer, epoch, first = struct.unpack("!qhi", batch[43:57])
        assert producer >= 0, "the producer is not idempotent"
        key = topic, partition, producer, epoch
        expected = self.following.get(key, 0)
        if first == expected:
            self.following[key] = first + last + 1
            return None
        error = DUPLICATE if first + last < expected else OUT_OF_ORDER
        self.duplicates += error == DUPLICATE
        self.refused += error == OUT_OF_ORDER
        answer = struct.pack("!iih", 1, partition, error) + struct.pack("!qq", -1, -1) + (struct.pack("!q", 0) if version > 4 else b"")
        return correlation + struct.pack("!i", 1) + topic + answer + struct.pack("!i", 0)


class Front:
    """Stands before a cluster, on a host: with TLS when there is a certificate (ca: of clients, who then must have one), and
    with SASL when there are users, {name: password}."""

    def __init__(self, host, cluster, certificate=None, ca=None, users=None):
        self.cluster, self.users, self.context, self.sequences = cluster, users, None, Sequences()
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate.certificate, certificate.key)
            if ca:
                self.context.load_verify_locations(ca)
                self.context.verify_mode = ssl.CERT_REQUIRED
        self.listeners, self.logins = [], []
        for broker in cluster.brokers.split(","):
            with host:
                listener = socket.create_server(("127.0.0.1", int(broker.split(":")[1])))
            self.listeners.append(listener)
            threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for listener in self.listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self.serve, args=(client, listener.getsockname()), daemon=True).start()

    def serve(self, client, address):
        with contextlib.suppress(OSError, Closed), client:
            if self.context:
                client = self.context.wrap_socket(client, server_side=True)
            with client, self.cluster.connect(address) as broker:
                if self.users is None or self.log_in(client, broker):
                    lock, asked = threading.Lock(), {}
                    back = threading.Thread(target=self.pass_back, args=(broker, client, lock, asked), daemon=True)
                    back.start()
                    self.pass_on(client, broker, lock, asked)
                    back.join()

    def log_in(self, client, broker):
        """Passes on what comes before the login, with our two requests among those that brokers know."""
        while True:
            frame = read_frame(client)
            api, version, correlation, name_size = struct.unpack("!hh4sh", frame[:10])
            if api == SASL_HANDSHAKE:
                mechanism = frame[10 + max(name_size, 0) + 2:].decode()
                names = b"".join(struct.pack("!h", len(name)) + name.encode() for name in MECHANISMS)
                write_frame(client, correlation + struct.pack("!hi", 0, len(MECHANISMS)) + names)
                return self.authenticate(client, MECHANISMS[mechanism])
            write_frame(broker, frame)
            answer = read_frame(broker)
            if api == API_VERSIONS and answer[4:6] == b"\0\0":
                answer = limit_produce(answer, version)
                count = struct.unpack("!i", answer[6:10])[0] + 2
                answer = answer[:6] + struct.pack("!i", count) + answer[10:] + struct.pack(
                    "!6h", SASL_HANDSHAKE, 0, 1, SASL_AUTHENTICATE, 0, 0)
            write_frame(client, answer)

    def authenticate(self, client, check):
        exchange = Exchange(client)
        is_good = check(self.users, exchange)
        self.logins.append(is_good)
        exchange.reply(0 if is_good else SASL_FAILED, exchange.last)
        return is_good

    def pass_on(self, client, broker, lock, asked):
        """asked: the versions of the requests for versions, by the number that their answers will have."""
        with contextlib.suppress(OSError, Closed):
            while True:
                frame = read_frame(client)
                api, version, correlation = struct.unpack("!hh4s", frame[:8])
                if api == API_VERSIONS:
                    asked[correlation] = version
                answer = self.sequences.judge(frame)
                if answer is None:
                    write_frame(broker, frame)
                else:
                    with lock:
                        write_frame(client, answer)
        self.end(client, broker)

    def pass_back(self, broker, client, lock, asked):
        with contextlib.suppress(OSError, Closed):
            while True:
                frame = read_frame(broker)
                version = asked.pop(frame[:4], None)
                # An error, as of a version that is not known, has an old layout, and is passed on.
                if version is not None and frame[4:6] == b"\0\0":
                    frame = limit_produce(frame, version)
                with lock:
                    write_frame(client, frame)
        self.end(client, broker)

    @staticmethod
    def end(*sockets):
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
