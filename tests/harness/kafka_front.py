"""What the mock of a Kafka cluster lacks: TLS and users. A front stands between it and its clients: it listens in another
network namespace at the addresses that the mock's brokers have in theirs, so that what they say of themselves is right."""

import base64
import contextlib
import hashlib
import hmac
import socket
import ssl
import struct
import threading

API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE = 18, 17, 36
SASL_FAILED = 58
SALT, ITERATIONS = b"saltsalt", 4096


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


def digest(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def check_plain(users, exchange):
    _, user, password = exchange(b"").split(b"\0")
    return users.get(user.decode()) == password.decode()


def check_scram(users, exchange):
    """SCRAM-SHA-256, RFC 5802."""
    first = exchange(b"").decode().split(",", 2)[2]
    fields = dict(field.split("=", 1) for field in first.split(","))
    password = users.get(fields["n"], "").encode()
    second = f"r={fields['r']}server,s={base64.b64encode(SALT).decode()},i={ITERATIONS}"
    final = exchange(second.encode()).decode()
    without_proof, _, proof = final.rpartition(",p=")
    salted = hashlib.pbkdf2_hmac("sha256", password, SALT, ITERATIONS)
    stored = hashlib.sha256(digest(salted, b"Client Key")).digest()
    signed = f"{first},{second},{without_proof}".encode()
    key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), digest(stored, signed)))
    if not password or hashlib.sha256(key).digest() != stored:
        return False
    exchange.last = b"v=" + base64.b64encode(digest(digest(salted, b"Server Key"), signed))
    return True


MECHANISMS = {"PLAIN": check_plain, "SCRAM-SHA-256": check_scram}


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


class Front:
    """Stands before a cluster, on a host: with TLS when there is a certificate (ca: of clients, who then must have one), and
    with SASL when there are users, {name: password}."""

    def __init__(self, host, cluster, certificate=None, ca=None, users=None):
        self.cluster, self.users, self.context = cluster, users, None
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
                    back = threading.Thread(target=self.copy, args=(broker, client), daemon=True)
                    back.start()
                    self.copy(client, broker)
                    back.join()

    def log_in(self, client, broker):
        """Passes on what comes before the login, with our two requests among those that brokers know."""
        while True:
            frame = read_frame(client)
            api, _, correlation, name_size = struct.unpack("!hh4sh", frame[:10])
            if api == SASL_HANDSHAKE:
                mechanism = frame[10 + max(name_size, 0) + 2:].decode()
                names = b"".join(struct.pack("!h", len(name)) + name.encode() for name in MECHANISMS)
                write_frame(client, correlation + struct.pack("!hi", 0, len(MECHANISMS)) + names)
                return self.authenticate(client, MECHANISMS[mechanism])
            write_frame(broker, frame)
            answer = read_frame(broker)
            if api == API_VERSIONS and answer[4:6] == b"\0\0":
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

    @staticmethod
    def copy(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
