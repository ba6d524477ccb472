"""A NATS server that does not keep to the rules: it says what a test wants. What is not overridden it does like a true one, with
a stream "mcast" of JetStream that stores everything and hands nothing out by itself."""

import json
import re
import socket
import threading
import time

from harness.streams import Stream
from harness.waiting import wait_until

INFO = {"server_id": "false", "version": "2.9.10", "proto": 1, "headers": True, "max_payload": 1 << 20, "jetstream": True}


class FalseNats:
    """info changes INFO. answers are {pattern of a subject: function of the server and its match that returns the JSON, as text or
    as an object, or None for no answer}. slow: so many seconds go by before it says who it is, as on a slow way."""

    def __init__(self, host, address, port=4222, info=None, answers=None, slow=0):
        self.slow = slow
        self.info = {**INFO, **(info or {})}
        self.answers = {r"\$JS\.API\.STREAM\.NAMES": lambda *_: {"streams": ["mcast"]},
                        r"\$JS\.API\.STREAM\.INFO\.": lambda *_: stream_info(),
                        r"\$JS\.API\.CONSUMER\.INFO\.": lambda *_: {"error": {"code": 404, "err_code": 10014}},
                        r"\$JS\.API\.CONSUMER\.DURABLE\.": lambda *_: position(),
                        r"mcast\.": lambda *_: {"stream": "mcast", "seq": 1}, **(answers or {})}
        self.url = f"nats://{address}:{port}"
        self.lock = threading.RLock()
        self.writing = threading.Lock()  # whole messages
        self.subscriptions = {}  # of the last connection: {subject: number}
        self.published = []  # subjects
        self.bodies = []  # of requests
        self.stuck = threading.Event()  # set: it reads nothing
        self.connections = 0
        self.connection = None
        self.closed = False
        with host:
            self.listener = socket.create_server((address, port))
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True
        self.listener.shutdown(socket.SHUT_RDWR)
        self.hang_up()
        self.thread.join()
        self.listener.close()

    def accept(self):
        while not self.closed:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.subscriptions, self.connection = {}, connection
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def hang_up(self):
        with self.lock:
            if self.connection:
                try:
                    self.connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it has ended already

    def serve(self, connection):
        incoming = Stream(connection)
        try:
            self.greet(connection)
            while True:
                while self.stuck.is_set():
                    time.sleep(0.1)
                with incoming:
                    word, _, rest = incoming.readline().decode(errors="replace").partition(" ")
                    fields = rest.split()
                    data = incoming.read(int(fields[-1]) + 2)[:-2] if word in ("PUB", "HPUB") else b""
                if word == "PING":
                    self.write(b"PONG\r\n")
                elif word == "SUB":
                    with self.lock:
                        self.subscriptions[fields[0]] = int(fields[-1])
                elif word in ("PUB", "HPUB"):
                    has_reply = len(fields) == (3 if word == "PUB" else 4)
                    self.take(fields[0], fields[1] if has_reply else None, data)
        except (OSError, EOFError, ValueError):
            pass  # the other side has gone
        finally:
            connection.close()

    def greet(self, connection):
        time.sleep(self.slow)
        connection.sendall(b"INFO " + json.dumps(self.info).encode() + b"\r\n")

    def take(self, subject, reply, data):
        with self.lock:
            self.published.append(subject)
            if subject.startswith("$JS.API."):
                self.bodies.append(data)
        for pattern, answer in reversed(self.answers.items()):
            match = re.match(pattern, subject)
            if match:
                text = answer(self, match)
                if reply and text is not None:
                    self.message(reply, text if isinstance(text, (str, bytes)) else json.dumps(text))
                return

    def write(self, data):
        with self.writing:
            self.connection.sendall(data)

    def number(self, subject):
        """The subscription that has a subject; 0: none has it."""
        with self.lock:
            for pattern, number in self.subscriptions.items():
                if re.fullmatch(re.escape(pattern).replace(r"\*", "[^.]*"), subject):
                    return number
        return 0

    def subscription(self, kind):
        """(subject without its last token, number) of the answers ("q"), deliveries ("d") or acknowledgements ("a"), once there is
        one."""
        def find():
            with self.lock:
                for subject, number in reversed(self.subscriptions.items()):
                    if f".{kind}." in subject:
                        return subject.rpartition(".")[0], number
            return None

        return wait_until(find, f"a subscription {kind}")

    def message(self, subject, payload=b"", reply="", head=None, number=None):
        payload = payload.encode() if isinstance(payload, str) else payload
        number = self.number(subject) if number is None else number
        if head is None:
            self.write(f"MSG {subject} {number} {reply} {len(payload)}\r\n".encode() + payload + b"\r\n")
        else:
            self.write(f"HMSG {subject} {number} {reply} {len(head)} {len(head) + len(payload)}\r\n".encode() + head + payload +
                       b"\r\n")


def stream_info(subjects=("mcast.>",), last=0, created="2026-01-01T00:00:00Z", **more):
    return {"config": {"name": "mcast", "subjects": list(subjects)}, "created": created, "state": {"last_seq": last}, **more}


def position(delivered=0, in_stream=0, pending=0, policy="new"):
    return {"config": {"deliver_policy": policy}, "delivered": {"consumer_seq": delivered, "stream_seq": in_stream},
            "num_ack_pending": pending}
