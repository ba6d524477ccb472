"""Programs at group sockets over restarts: they stay connected, and miss nothing."""

import os
import socket
import struct
import threading

import pytest

from harness.waiting import TIMEOUT, wait_until

CONFIG = """
groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; socket = true; receive_buffer = "16M"; }; };
"""
DIRECTORY = "/run/mcastd/groups/"


class Reader:
    """A program that reads datagrams until it is told that there are no more, and counts its connections."""

    def __init__(self, service, kind):
        self.path, self.kind = service.system.path(DIRECTORY + ("news.stream" if kind is socket.SOCK_STREAM else "news")), kind
        self.numbers, self.connections, self.failures, self.done = [], 0, [], False
        self.socket, self.buffer = None, b""
        self.thread = threading.Thread(target=self.run)
        self.connect()

    def connect(self):
        self.socket, self.buffer = socket.socket(socket.AF_UNIX, self.kind), b""
        self.socket.settimeout(0.2)
        try:
            self.socket.connect(self.path)
        except OSError as error:
            self.failures.append(str(error))
        else:
            self.connections += 1

    def take(self, data):
        if self.kind is socket.SOCK_SEQPACKET:
            self.numbers.append(int(data.split()[1]))
            return
        self.buffer += data
        while len(self.buffer) >= 4 and len(self.buffer) >= 4 + (size := struct.unpack(">I", self.buffer[:4])[0]):
            self.numbers.append(int(self.buffer[4:4 + size].split()[1]))
            self.buffer = self.buffer[4 + size:]

    def run(self):
        while not self.done:
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                data = b""
            if data:
                self.take(data)
            else:
                self.socket.close()
                self.connect()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done = True
        self.thread.join()
        self.socket.close()


KINDS = pytest.mark.parametrize("kind", [socket.SOCK_SEQPACKET, socket.SOCK_STREAM], ids=["packets", "stream"])


def restart_under_load(service, blast, kind, rate, times):
    """Returns the reader, the datagrams that were sent since its first one, and the group's numbers."""
    service.start(CONFIG)
    with Reader(service, kind) as reader:
        with blast.stream(service.system.network, "233.252.0.1", 5004, 200, rate=rate, interface="eth0") as stream:
            wait_until(lambda: reader.numbers, "a datagram")
            for _ in range(times):
                before = len(reader.numbers)
                service.restart()
                wait_until(lambda: len(reader.numbers) > before + rate / 10, "datagrams after the restart")
        wait_until(lambda: service.group("news")["received"] + service.group("news")["kernelDropped"] == stream.sent,
                   "all datagrams")
        group, sent = service.group("news"), stream.sent - reader.numbers[0]
        wait_until(lambda: len(reader.numbers) + group["unread"] + group["kernelDropped"] >= sent, "the last datagram")
    assert (reader.connections, reader.failures) == (1, [])
    assert len(reader.numbers) + group["unread"] + group["kernelDropped"] == sent
    return reader, sent, group


@KINDS
def test_a_program_stays_connected_over_restarts_and_misses_nothing(service, blast, kind):
    reader, sent, _ = restart_under_load(service, blast, kind, 200, 3)
    assert reader.numbers == list(range(reader.numbers[0], reader.numbers[0] + sent))


@KINDS
@pytest.mark.long
def test_a_program_misses_nothing_that_is_not_counted_at_20000_a_second(service, blast, say, kind):
    """After a restart all that has waited comes at once: a program that is too slow for that misses some of it."""
    reader, sent, group = restart_under_load(service, blast, kind, 20000, 5)
    assert reader.numbers == sorted(set(reader.numbers))
    say(f"{sent} sent, {len(reader.numbers)} read, {group['unread']} not read in time, {group['kernelDropped']} dropped by the kernel")


def test_what_a_program_had_begun_to_write_is_sent_after_the_restart(service):
    service.start(CONFIG)
    path = service.system.path(DIRECTORY + "news.stream")
    with socket.socket(socket.AF_UNIX) as program:
        program.settimeout(TIMEOUT)
        program.connect(path)
        program.sendall(struct.pack(">I", 5) + b"whole" + struct.pack(">I", 6) + b"be")
        wait_until(lambda: service.group("news")["sent"] == 1, "the first one")
        service.restart()
        program.sendall(b"gun.")
        wait_until(lambda: service.group("news")["sent"] == 2, "the second one")
        assert service.group("news")["sendFailed"] == 0


def test_very_many_programs_stay_connected(service):
    service.start(CONFIG)
    paths = {socket.SOCK_STREAM: DIRECTORY + "news.stream", socket.SOCK_SEQPACKET: DIRECTORY + "news"}
    kinds = list(paths) * 400
    programs = [socket.socket(socket.AF_UNIX, kind) for kind in kinds]
    try:
        for program, kind in zip(programs, kinds, strict=True):
            program.connect(service.system.path(paths[kind]))
            program.setblocking(False)
        service.restart()
        wait_until(lambda: f"{len(programs)} programs at group sockets stayed connected" in service.log(), "the line in the journal")
        for program in programs:
            with pytest.raises(BlockingIOError):
                program.recv(1)
    finally:
        for program in programs:
            program.close()


def test_programs_are_judged_again_by_the_rule_of_the_next_run(service):
    """What one had begun to write that may not send any more, and all of one that may not receive any more, is not sent."""
    service.system.run("systemd-sysusers", "--inline", "u carol -")
    rule = 'socket = true; allow_send = ["user:root", "user:carol"]; allow_receive = ["user:root", "user:carol"];'
    service.start(CONFIG.replace("socket = true;", rule))
    file = os.open(service.system.path(DIRECTORY + "news.stream"), os.O_PATH)
    uid = int(service.system.run("id", "-u", "carol"))
    with socket.socket(socket.AF_UNIX) as carol, socket.socket(socket.AF_UNIX) as root:
        for program, user in ((carol, uid), (root, 0)):
            os.seteuid(user)
            try:
                program.connect(f"/proc/self/fd/{file}")
            finally:
                os.seteuid(0)
            program.settimeout(TIMEOUT)
            program.sendall(struct.pack(">I", 5) + b"whole" + struct.pack(">I", 6) + b"be")
        os.close(file)
        wait_until(lambda: service.group("news")["sent"] == 2, "the first ones")
        service.configure(CONFIG.replace("socket = true;", 'socket = true; allow_send = []; allow_receive = ["user:root"];'))
        service.restart()
        while carol.recv(100):
            pass  # what came before
        for program in (carol, root):
            with pytest.raises(BrokenPipeError):
                program.sendall(b"gun.")
        wait_until(lambda: service.group("news")["sendFailed"] == 2, "what they had begun")
        assert service.group("news")["sent"] == 2


def test_connections_wait_while_a_killed_daemon_is_started_again(service):
    service.start(CONFIG)
    pid, done, failures = service.pid, threading.Event(), []
    paths = {socket.SOCK_STREAM: DIRECTORY + "news.stream", socket.SOCK_SEQPACKET: DIRECTORY + "news"}

    def connect():
        while not done.is_set():
            for kind, path in paths.items():
                try:
                    with socket.socket(socket.AF_UNIX, kind) as sock:
                        sock.connect(service.system.path(path))
                except OSError as error:
                    failures.append(str(error))

    thread = threading.Thread(target=connect)
    thread.start()
    try:
        service.kill("KILL")
        service.wait_restarted(pid)
    finally:
        done.set()
        thread.join()
    assert not failures


def test_a_socket_of_a_group_that_is_gone_is_closed_and_its_program_disconnected(service):
    service.start(CONFIG)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as program:
        program.settimeout(TIMEOUT)
        program.connect(service.system.path(DIRECTORY + "news"))
        service.configure(CONFIG.replace("news", "other"))
        service.restart()
        assert program.recv(100) == b""
        assert not service.system.exists(DIRECTORY + "news")
        assert service.system.exists(DIRECTORY + "other.stream")
