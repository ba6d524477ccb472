"""A small NATS client, as Debian has none to install: plain sockets, no library. It speaks for operators, who make streams, and
for subscribers that know nothing of mcastd. Core protocol and JetStream API as documented at docs.nats.io."""

import itertools
import json
import os
import socket
import ssl
import time

from harness.credentials import url64
from harness.streams import Stream
from harness.waiting import TIMEOUT

UNAVAILABLE = 10008  # err_code of "JetStream system temporarily unavailable"


class NatsError(Exception):
    """What the server said; .code is its number where there is one."""

    def __init__(self, text, code=None):
        super().__init__(text)
        self.code = code


class Message:
    def __init__(self, subject, subscription, reply, head, payload):
        self.subject, self.subscription, self.reply, self.payload = subject, subscription, reply, payload
        self.headers, self.status = parse_head(head)


def parse_head(head):
    """The headers, and the status of a message that only has one: "503"."""
    lines = head.decode().split("\r\n")
    status = lines[0].partition(" ")[2].strip()
    return dict(line.split(": ", 1) for line in lines[1:] if ": " in line), status


class Nats:
    """A connection. user and password, or nkey, an NKey of credentials.py, or creds, a user of its Operator; tls is a certificate
    of its Authority, or what has only a .ca."""

    def __init__(self, host, address="127.0.0.1", port=4222, user=None, password=None, nkey=None, creds=None, tls=None,
                 timeout=TIMEOUT):
        with host:
            self.socket = socket.create_connection((address, port), timeout)
        self.inbox = f"_INBOX.{os.urandom(8).hex()}"
        self.numbers = itertools.count(1)
        self.waiting = []  # messages that came before they were asked for
        try:
            self.open(address, tls, user, password, nkey, creds)
        except BaseException:
            self.close()
            raise

    def open(self, address, tls, user, password, nkey, creds):
        self.incoming = Stream(self.socket)
        with self.incoming:
            self.info = json.loads(self.incoming.readline().removeprefix(b"INFO "))
        if tls:
            context = ssl.create_default_context(cafile=tls.ca)
            if getattr(tls, "certificate", None):
                context.load_cert_chain(tls.certificate, tls.key)
            self.socket = context.wrap_socket(self.socket, server_hostname=address)
            self.incoming = Stream(self.socket)
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "lang": "python", "version": "1"}
        if user:
            options |= {"user": user, "pass": password}
        if creds:
            options["jwt"] = creds.token
            nkey = creds.key
        if nkey:
            options |= {"nkey": nkey.public, "sig": url64(nkey.sign(self.info["nonce"].encode()))}
        self.write(b"CONNECT " + json.dumps(options).encode() + b"\r\nPING\r\n")
        self.wait_for_pong()
        self.answers = self.subscribe(f"{self.inbox}.*")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def write(self, data):
        self.socket.sendall(data)

    def wait_for_pong(self):
        """All that was written has been done by the server."""
        while message := self.read():
            if message == "PONG":
                return
            self.waiting.append(message)

    def flush(self):
        self.write(b"PING\r\n")
        self.wait_for_pong()

    def read(self):
        """The next message, or "PONG". Raises NatsError for an error of the server."""
        while True:
            with self.incoming:
                word, _, rest = self.incoming.readline().partition(b" ")
                if word in (b"MSG", b"HMSG"):
                    return self.read_message(word, rest.decode().split())
            if word == b"PING":
                self.write(b"PONG\r\n")
            elif word == b"PONG":
                return "PONG"
            elif word == b"-ERR":
                raise NatsError(rest.decode().strip("'"))

    def read_message(self, word, fields):
        total = int(fields[-1])
        head = int(fields[-2]) if word == b"HMSG" else 0
        reply = fields[2] if len(fields) == (5 if word == b"HMSG" else 4) else None
        data = self.incoming.read(total + 2)[:-2]
        return Message(fields[0], int(fields[1]), reply, data[:head], data[head:])

    def subscribe(self, subject, queue=None):
        """Returns a number for next()."""
        number = next(self.numbers)
        self.write(f"SUB {subject} {queue or ''} {number}\r\n".encode())
        return number

    def unsubscribe(self, number):
        self.write(f"UNSUB {number}\r\n".encode())

    def publish(self, subject, payload=b"", reply="", headers=None):
        if headers is None:
            self.write(b"PUB %s %s %d\r\n%s\r\n" % (subject.encode(), reply.encode(), len(payload), payload))
            return
        head = "NATS/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        self.write(f"HPUB {subject} {reply} {len(head)} {len(head) + len(payload)}\r\n{head}".encode() + payload + b"\r\n")

    def next(self, subscription=None, timeout=TIMEOUT):
        """The next message of a subscription, or of any."""
        return self.find(lambda message: message.subscription == subscription if subscription else
                         message.subscription != self.answers, timeout)

    def find(self, wanted, timeout):
        for message in self.waiting:
            if wanted(message):
                self.waiting.remove(message)
                return message
        self.socket.settimeout(timeout)
        while True:
            message = self.read()
            if message != "PONG":
                if wanted(message):
                    return message
                self.waiting.append(message)

    def request(self, subject, payload=b"", headers=None, timeout=TIMEOUT):
        reply = f"{self.inbox}.{next(self.numbers)}"
        self.publish(subject, payload, reply, headers)
        message = self.find(lambda message: message.subject == reply, timeout)
        if message.status.startswith("503"):
            raise NatsError(f"no responders for {subject}", 503)
        return message

    # JetStream

    def api(self, name, /, timeout=TIMEOUT, **parameters):
        """Asks again while a cluster says that it elects just now."""
        subject, data = f"$JS.API.{name}", json.dumps(parameters).encode() if parameters else b""
        deadline = time.monotonic() + timeout
        while True:
            answer = json.loads(self.request(subject, data, timeout=timeout).payload)
            if "error" not in answer:
                return answer
            if answer["error"].get("err_code") != UNAVAILABLE or time.monotonic() > deadline:
                raise NatsError(answer["error"].get("description", ""), answer["error"].get("err_code"))
            time.sleep(0.1)

    def create_stream(self, name, *subjects, replicas=1, storage="file", **more):
        return self.api(f"STREAM.CREATE.{name}", name=name, subjects=list(subjects), num_replicas=replicas, storage=storage,
                        retention="limits", discard=more.pop("discard", "old"), **more)

    def update_stream(self, name, **changes):
        return self.api(f"STREAM.UPDATE.{name}", **{**self.stream(name)["config"], **changes})

    def stream(self, name, timeout=TIMEOUT):
        """Its info: config, state, cluster."""
        return self.api(f"STREAM.INFO.{name}", timeout=timeout)

    def count(self, name):
        return self.stream(name)["state"]["messages"]

    def leader(self, name):
        """The name of the server that leads a stream; "" while none does, or TimeoutError."""
        return self.stream(name, timeout=1).get("cluster", {}).get("leader", "")

    def consumers(self, name):
        """The infos of a stream's consumers, of the first 256. One that is being deleted is null there."""
        return [consumer for consumer in self.api(f"CONSUMER.LIST.{name}")["consumers"] or [] if consumer]

    def acknowledged_publish(self, subject, payload=b"", headers=None):
        """Stored by a stream; returns its answer: stream, seq, duplicate."""
        answer = json.loads(self.request(subject, payload, headers).payload)
        if "error" in answer:
            raise NatsError(answer["error"]["description"], answer["error"].get("err_code"))
        return answer

    def messages(self, name, subject=">"):
        """All that a stream's leader holds now, in its order, by a consumer that is gone afterwards."""
        state = self.api(f"STREAM.INFO.{name}", subjects_filter=subject)["state"]
        deliver = f"{self.inbox}.deliver.{next(self.numbers)}"
        subscription = self.subscribe(deliver)
        config = {"deliver_subject": deliver, "ack_policy": "none", "deliver_policy": "all", "replay_policy": "instant",
                  "inactive_threshold": 60_000_000_000, "mem_storage": True, "num_replicas": 1, "filter_subject": subject}
        consumer = self.api(f"CONSUMER.CREATE.{name}", stream_name=name, config=config)
        try:
            # The consumer may be at a replica that is behind: then its messages come later.
            for _ in range(sum((state.get("subjects") or {}).values())):
                yield self.next(subscription)
        finally:
            self.unsubscribe(subscription)
            self.api(f"CONSUMER.DELETE.{name}.{consumer['name']}")
