"""unix: another program's socket, which takes datagrams as messages, or a stream of records."""

import contextlib
import fcntl
import os
import re
import socket
import struct
import termios
import threading
import time

import pytest

from harness.daemon import balance
from harness.peers import LARGEST, receive, send, tutorial_sender
from harness.records import ALL_BYTES, FRAMINGS, HOSTILE, take_apart
from harness.waiting import TIMEOUT, wait_until

GROUP, OTHER = "233.252.0.51", "233.252.0.52"
TYPES = {"dgram": socket.SOCK_DGRAM, "seqpacket": socket.SOCK_SEQPACKET, "stream": socket.SOCK_STREAM}
RECONNECT = 0.25  # seconds between two connections


def config(kind="dgram", settings="", name="program"):
    return f"""
      groups: {{
        news:  {{ address = "{GROUP}"; port = 5004; interfaces = ["eth0"]; handlers = ["run"]; receive_buffer = "64M"; }};
        other: {{ address = "{OTHER}"; port = 5004; interfaces = ["eth0"]; handlers = ["lines"]; receive_buffer = "4M"; }};
      }};
      handlers: {{
        run: {{ type = "unix"; path = "$DIR/{name}"; socket_type = "{kind}"; {settings} }};
        lines: {{ type = "file"; path = "$DIR/lines"; }};
      }};"""


class Program:
    """The other program: its socket, and for types that connect, the connections that it has accepted."""

    def __init__(self, path, kind):
        self.path, self.kind = path, TYPES[kind]
        self.sock = socket.socket(socket.AF_UNIX, self.kind)
        self.sock.settimeout(TIMEOUT)
        self.sock.bind(path)
        if kind != "dgram":
            self.sock.listen(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()
        os.unlink(self.path)

    @contextlib.contextmanager
    def connection(self):
        if self.kind == socket.SOCK_DGRAM:
            yield self.sock
            return
        connection, _ = self.sock.accept()
        connection.settimeout(TIMEOUT)
        with connection:
            yield connection


def read_stream(connection, count, framing):
    """That many payloads, and what follows them."""
    data = b""
    while len(take_apart(data, framing)[0]) < count:
        piece = connection.recv(1 << 20)
        assert piece, "the end of the stream"
        data += piece
    return take_apart(data, framing)


def unread(connection):
    """The bytes that lie in its socket."""
    return struct.unpack("i", fcntl.ioctl(connection, termios.FIONREAD, bytes(4)))[0]


def send_all(net, payloads):
    with tutorial_sender(net.peer, GROUP) as sock:
        for payload in payloads:
            sock.sendto(payload, (GROUP, 5004))


def numbered(count, size=100):
    return [(b"%06d " % number).ljust(size, b"x") for number in range(count)]


def wait_settled(daemon, count):
    daemon.wait_arrived("news", count)
    wait_until(lambda: daemon.handler("run")["received"] == daemon.group("news")["received"], "them to be received")
    return daemon.wait_idle("run")


def assert_other_group_loses_nothing(daemon, net, blast, count=2000):
    before = daemon.group("other")["received"]
    blast(net.peer, OTHER, 5004, count)
    daemon.wait_arrived("other", before + count)
    assert (daemon.group("other")["received"], daemon.group("other")["kernelDropped"]) == (before + count, 0)


# A program that takes its time


@pytest.mark.parametrize("kind", TYPES)
def test_what_a_program_does_not_read_at_once_waits(start, net, kind):
    daemon = start(config(kind, 'queue = "8M";'))
    payloads = numbered(8000)
    with Program(daemon.path("program"), kind) as program:
        send_all(net, payloads)
        daemon.wait_arrived("news", len(payloads))
        with program.connection() as connection:
            if kind == "stream":
                assert read_stream(connection, len(payloads), "lines") == (payloads, b"")
            else:
                assert receive(connection, len(payloads)) == payloads
        assert wait_settled(daemon, len(payloads))["delivered"] == len(payloads)


def test_what_waits_for_a_socket_that_other_programs_fill_is_delivered(start, net):
    daemon = start(config(settings='queue = "8M";'))
    payloads = numbered(2000)
    with Program(daemon.path("program"), "dgram") as program:
        def write():
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.connect(daemon.path("program"))
                for _ in range(2000):
                    sock.send(b"other")

        writers = [threading.Thread(target=write) for _ in range(3)]
        for writer in writers:
            writer.start()
        send_all(net, payloads)
        daemon.wait_arrived("news", len(payloads))
        read = receive(program.sock, len(payloads) + 3 * 2000)
        for writer in writers:
            writer.join()
        assert [payload for payload in read if payload != b"other"] == payloads
        assert wait_settled(daemon, len(payloads))["delivered"] == len(payloads)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("drop", ["newest", "oldest"])
def test_a_program_that_does_not_read_costs_the_others_nothing(start, net, blast, kind, drop):
    daemon = start(config(kind, f'queue_datagrams = 1000; drop = "{drop}";'))
    sent = 30_000
    with Program(daemon.path("program"), kind) as program:
        blast(net.peer, GROUP, 5004, sent)
        daemon.wait_arrived("news", sent)
        assert_other_group_loses_nothing(daemon, net, blast)
        numbers = daemon.handler("run")
        assert balance(numbers) == 0 and 0 < numbers["queued"] <= 1000 + 64  # and the batch that it has
        assert numbers["dropped"]["queue"] == numbers["received"] - numbers["queued"] - numbers["delivered"] > 0
        with program.connection() as connection:
            delivered = numbers["received"] - numbers["dropped"]["queue"]
            if kind == "stream":
                read_stream(connection, delivered, "lines")
            else:
                receive(connection, delivered)
            assert daemon.wait_idle("run")["delivered"] == delivered


@pytest.mark.parametrize("kind", TYPES)
def test_what_is_queued_is_delivered_before_the_end(start, net, kind, tmp_path):
    daemon = start(config(kind, 'queue = "8M";'))
    payloads = numbered(5000)
    with Program(str(tmp_path / "program"), kind) as program:
        daemon.write_config(config(kind, 'queue = "8M";').replace("$DIR/program", program.path))
        daemon.ctl("reload")
        send_all(net, payloads)
        daemon.wait_arrived("news", len(payloads))
        stopping = threading.Thread(target=daemon.stop)
        stopping.start()
        with program.connection() as connection:
            if kind == "stream":
                assert read_stream(connection, len(payloads), "lines") == (payloads, b"")
            else:
                assert receive(connection, len(payloads)) == payloads
        stopping.join()


def test_after_a_reload_what_waited_comes_first(start, net):
    daemon = start(config(settings='queue = "8M";'))
    payloads = numbered(3000)
    with Program(daemon.path("program"), "dgram") as program:
        send_all(net, payloads[:1500])
        daemon.wait_arrived("news", 1500)
        daemon.write_config(config(settings='queue = "8M"; filter: { min_size = 1; };'))
        daemon.ctl("reload")
        send_all(net, payloads[1500:])
        assert receive(program.sock, len(payloads)) == payloads
        assert wait_settled(daemon, len(payloads))["delivered"] == len(payloads)


def test_a_filter_keeps_messages_out_that_programs_take_for_the_end(start, net):
    daemon = start(config("seqpacket", "filter: { min_size = 1; };"))
    with Program(daemon.path("program"), "seqpacket") as program:
        send_all(net, [b"first", b"", b"last"])
        with program.connection() as connection:
            assert receive(connection, 2) == [b"first", b"last"]
        numbers = wait_settled(daemon, 3)
        assert balance(numbers) == 0 and (numbers["delivered"], numbers["filtered"]) == (2, 1)


# A program that goes


@pytest.mark.parametrize("kind", TYPES)
def test_what_comes_while_the_program_is_away_is_absent_and_nothing_else_is_lost(start, net, kind):
    daemon = start(config(kind))
    absent = delivered = 0
    for size in (1, 100):
        send_all(net, numbered(size))
        absent += size
        wait_until(lambda: daemon.handler("run")["dropped"]["absent"] == absent, "the drops to be counted")
        with Program(daemon.path("program"), kind) as program:
            send_all(net, numbered(size))
            with program.connection() as connection:
                if kind == "stream":
                    assert read_stream(connection, size, "lines") == (numbered(size), b"")
                else:
                    assert receive(connection, size) == numbered(size)
        delivered += size
    numbers = daemon.wait_idle("run")
    assert balance(numbers) == 0 and (numbers["delivered"], numbers["dropped"]["absent"]) == (delivered, absent)
    assert sum(numbers["dropped"].values()) == absent and not numbers["error"]


@pytest.mark.parametrize("kind", TYPES)
def test_a_program_that_ends_while_it_is_full_is_noticed(start, net, kind):
    daemon = start(config(kind, 'queue = "8M";'))
    with Program(daemon.path("program"), kind):
        send_all(net, numbered(12_000, 400))
        wait_until(lambda: daemon.handler("run")["queued"] > 1000, "datagrams to wait")
    numbers = wait_settled(daemon, 12_000)
    assert balance(numbers) == 0
    torn = numbers["dropped"]["io"]
    assert torn <= (kind == "stream") and numbers["dropped"]["absent"] == 12_000 - numbers["delivered"] - torn > 0


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_connection_that_follows_another_begins_with_a_whole_record(start, net, framing):
    """Three end in the middle of a record, and what lies in their sockets is lost; the last one reads all."""
    daemon = start(config("stream", f'framing = "{framing}"; queue = "32M";'))
    sent = numbered(3000, 4000)
    seen = []
    with Program(daemon.path("program"), "stream") as program:
        send_all(net, sent)
        for end in (1_000_001, 1_000_003, 1_001_001, 1 << 30):
            data = b""
            with program.connection() as connection:
                while len(data) < end and sent[-1] not in data[-4100:]:
                    data += connection.recv(min(1 << 20, end - len(data)))
            payloads, _ = take_apart(data, framing)
            assert set(payloads) <= set(sent)
            seen += payloads
        numbers = wait_settled(daemon, len(sent))
    assert len(seen) == len(set(seen)) and seen[-1] == sent[-1]
    assert numbers["delivered"] + numbers["dropped"]["io"] == len(sent)
    assert numbers["dropped"]["io"] <= 3


def test_a_record_that_a_connection_took_a_part_of_is_dropped_and_counted(start, net):
    daemon = start(config("stream"))
    sent = [bytes([0x80 + number]) * LARGEST for number in range(30)]
    record = 4 * LARGEST + 1  # escaped
    with Program(daemon.path("program"), "stream") as program:
        for payload in sent:
            send(net.peer, payload, GROUP, 5004)
        daemon.wait_arrived("news", len(sent))
        with program.connection() as connection:
            seen = []

            def is_stuck():
                """Whether a part of a record lies in the socket, and no more comes."""
                seen.append(unread(connection))
                return daemon.handler("run")["queued"] and seen[-1] % record and seen[-3:] == 3 * seen[-1:]

            wait_until(is_stuck, "the socket to be full")
        with program.connection() as connection:
            data = b""
            while take_apart(data, "lines")[0][-1:] != sent[-1:]:
                data += connection.recv(1 << 20)
        numbers = wait_settled(daemon, len(sent))
    payloads, rest = take_apart(data, "lines")
    assert rest == b"" and payloads == sent[-len(payloads):]
    assert (numbers["delivered"], numbers["dropped"]["io"]) == (len(sent) - 1, 1)


def test_a_program_that_hangs_up_at_once_is_not_connected_to_without_a_pause(start, net, blast):
    daemon = start(config("stream"))
    with Program(daemon.path("program"), "stream") as program:
        began, accepted = time.monotonic(), 0
        with blast.stream(net.peer, GROUP, 5004, rate=2000):
            while accepted < 5:
                program.sock.accept()[0].close()
                accepted += 1
            took = time.monotonic() - began
        assert took >= 4 * RECONNECT
        assert_other_group_loses_nothing(daemon, net, blast)
    assert balance(daemon.handler("run")) == 0


def test_a_program_that_accepts_nothing_for_a_while_gets_what_waits(start, net):
    daemon = start(config("stream"))
    with Program(daemon.path("program"), "stream") as program:
        waiting = []
        with contextlib.suppress(BlockingIOError):
            while True:
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                waiting.append(sock)
                sock.setblocking(False)
                sock.connect(daemon.path("program"))
        send_all(net, [b"waits"])
        wait_until(lambda: daemon.handler("run")["queued"] == 1, "it to wait")
        for sock in waiting:
            sock.close()
        for _ in waiting:
            with program.connection() as connection:
                if (data := connection.recv(100)):
                    break
        assert data == b"waits\n"
    assert daemon.wait_idle("run")["delivered"] == 1


@pytest.mark.parametrize("kind", ["seqpacket", "stream"])
def test_a_program_that_answers_is_not_stuck(start, net, kind):
    daemon = start(config(kind, "queue_datagrams = 1000;"))
    with Program(daemon.path("program"), kind) as program:
        send_all(net, [b"first"])
        with program.connection() as connection:
            connection.recv(100)
            for _ in range(1000):
                connection.send(bytes(4000))
            send_all(net, [b"last"])
            assert connection.recv(100).rstrip() == b"last"


def test_a_program_that_says_no_more_is_still_sent_to(start, net):
    daemon = start(config("stream"))
    with Program(daemon.path("program"), "stream") as program:
        send_all(net, [b"first"])
        with program.connection() as connection:
            connection.recv(100)
            connection.shutdown(socket.SHUT_WR)
            send_all(net, [b"second", b"third"])
            assert read_stream(connection, 2, "lines") == ([b"second", b"third"], b"")
    wait_until(lambda: daemon.state() != "R", "the daemon to sleep")


# What a stream has


@pytest.mark.parametrize("framing", FRAMINGS)
def test_every_payload_can_be_had_back(start, net, framing):
    daemon = start(config("stream", f'framing = "{framing}"; queue = "8M";'))
    payloads = [bytes([byte]) for byte in range(256)] + [ALL_BYTES, HOSTILE, b"", b"plain", bytes(LARGEST), os.urandom(LARGEST)]
    carried = [payload for payload in payloads if framing != "nul" or b"\0" not in payload]
    with Program(daemon.path("program"), "stream") as program:
        for payload in payloads:
            send(net.peer, payload, GROUP, 5004)
        with program.connection() as connection:
            assert read_stream(connection, len(carried), framing) == (carried, b"")
        numbers = wait_settled(daemon, len(payloads))
    assert numbers["delivered"] == len(carried)
    assert numbers["dropped"]["io"] == numbers["counters"]["containsNul"] == len(payloads) - len(carried)


def test_raw_is_the_payloads_and_nothing_else(start, net):
    daemon = start(config("stream", 'framing = "raw";'))
    payloads = [b"!AIVDM,1,1,,B,139t@WP000PeLRNN,0*2D\r\n", b"", ALL_BYTES, HOSTILE, bytes(LARGEST)]
    with Program(daemon.path("program"), "stream") as program:
        send_all(net, payloads)
        with program.connection() as connection:
            data = b""
            while len(data) < sum(map(len, payloads)):
                data += connection.recv(1 << 20)
        assert data == b"".join(payloads)
        assert wait_settled(daemon, len(payloads))["delivered"] == len(payloads)


# What is wrong


def test_a_socket_of_another_type_is_said_with_the_key(start, net):
    daemon = start(config("stream"))
    with Program(daemon.path("program"), "dgram") as program:
        send_all(net, [b"x"])
        wait_until(lambda: daemon.handler("run").get("error"), "an error")
        assert re.search("connecting to .*/program: .*set socket_type", daemon.handler("run")["error"])
        assert daemon.handler("run")["dropped"]["io"] == 1
        assert re.search("handler run: connecting to .*set socket_type", daemon.log())
        program.sock.close()
        os.unlink(daemon.path("program"))
        send_all(net, [b"gone"])
        wait_until(lambda: daemon.handler("run")["dropped"]["absent"] == 1, "it to be missed")
        assert re.search("connecting to .*/program: No such file or directory; start the program", daemon.handler("run")["error"])
        with Program(daemon.path("program"), "stream") as right:
            send_all(net, [b"y"])
            with right.connection() as connection:
                assert connection.recv(100) == b"y\n"
            wait_until(lambda: not daemon.handler("run")["error"], "the error to end")
        open(daemon.path("program"), "w").close()


def test_a_framing_is_for_streams_only(start):
    daemon = start(config("stream", 'framing = "nul";'))
    daemon.write_config(config("seqpacket", '\nframing = "nul";'))
    result = daemon.ctl("reload", status=1)
    assert re.search(r'mcastd\.conf:\d+: handlers\.run\.framing: has no effect with socket_type = "seqpacket"', result)
