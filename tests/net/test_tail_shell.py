"""mcastctl tail and mcastd TARGET beside other programs of the shell: pcapng for Wireshark, local time, filters, and a tail that goes
on when the daemon is back."""

import contextlib
import datetime
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from harness.captures import INTERFACE, PACKET, SECTION, blocks, options, tcpdump, tshark
from harness.daemon import MCASTCTL, MCASTD, SANITIZER_REPORT
from harness.peers import has_membership, process, send
from harness.terminal import run_in_terminal
from harness.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.waits

CONFIG = """
groups: {
  news4:  { address = "233.252.10.1"; port = 6001; interfaces = ["eth0"]; };
  news6:  { address = "ff15::10:1";   port = 6001; interfaces = ["eth0"]; };
  wide:   { address = "233.252.10.2"; port = 6002; interfaces = ["eth0", "eth1"]; };
};
"""
GROUP, PORT = "233.252.10.5", 6005
TARGET = f"{GROUP}:{PORT}%eth0"
NO_DAEMON = {**os.environ, "MCASTD_SOCKET": "/nonexistent/mcastd.sock"}
programs = pytest.mark.parametrize("program", [(MCASTD,), (MCASTCTL, "tail")], ids=["mcastd", "tail"])


@contextlib.contextmanager
def receiving(host, *command, **environment):
    """A receiver that has joined the group of TARGET."""
    with process(host, *command, env={**NO_DAEMON, **environment}, stderr=subprocess.PIPE) as receiver:
        wait_until(lambda: has_membership(host, GROUP), "the join")
        yield receiver


def run(host, *command, status=2):
    with host:
        result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, env=NO_DAEMON, stdin=subprocess.DEVNULL)
    assert result.returncode == status, result
    assert not SANITIZER_REPORT.search(result.stderr), result
    return result.stderr


def outcome(receiver):
    """Its standard output, and what it says on standard error, once it has ended well."""
    output, errors = receiver.communicate(timeout=TIMEOUT)
    errors = errors.decode()
    assert not SANITIZER_REPORT.search(errors), errors
    assert receiver.returncode == 0, (receiver.returncode, errors)
    return output, errors


# pcapng


@programs
def test_wireshark_and_tcpdump_read_the_stream_of_a_target(net, program, tmp_path):
    with receiving(net.host, *program, TARGET, "--format", "pcapng", "--count", "2") as receiver:
        port = send(net.peer, b"one", GROUP, PORT)
        send(net.peer, b"\0" * 1400, GROUP, PORT)
        output, _ = outcome(receiver)
    path = tmp_path / "stream.pcapng"
    path.write_bytes(output)
    rows = tshark(path, "ip.src", "udp.srcport", "ip.dst", "udp.dstport", "udp.length", "ip.ttl", "frame.interface_name", "frame.comment")
    assert rows[0] == [net.peer.v4, str(port), GROUP, str(PORT), "11", "2", "eth0", TARGET]
    assert [row[4] for row in rows] == ["11", "1408"]
    assert sum(" UDP," in line for line in tcpdump(path)) == 2


@programs
def test_the_stream_begins_at_once_and_each_datagram_is_there_at_once(net, program):
    """Whoever reads it live waits neither for a buffer to fill nor for the end."""
    with receiving(net.host, *program, TARGET, "--format", "pcapng") as receiver:
        stream = b""

        def kinds():
            return [kind for kind, _ in blocks(stream)]

        def read_until(wanted):
            nonlocal stream
            while kinds() != wanted:
                stream += os.read(receiver.stdout.fileno(), 65536)

        read_until([SECTION, INTERFACE] if program[0] == MCASTCTL else [SECTION])
        for count in (1, 2):
            send(net.peer, b"x" * count, GROUP, PORT)
            read_until([SECTION, INTERFACE] + [PACKET] * count)


def test_wireshark_shows_the_stream_live(net):
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    with receiving(net.host, MCASTCTL, "tail", TARGET, "--format", "pcapng") as receiver:
        tshark_live = ["tshark", "-n", "-l", "-i", "-", "-c", "2", "-T", "fields", "-e", "udp.payload"]
        with subprocess.Popen(tshark_live, stdin=receiver.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader:
            send(net.peer, b"one", GROUP, PORT)
            assert reader.stdout.readline().strip() == b"one".hex().encode()
            send(net.peer, b"two", GROUP, PORT)
            assert reader.stdout.readline().strip() == b"two".hex().encode()
            reader.communicate(timeout=TIMEOUT)


def test_the_stream_of_groups_has_each_interface_and_group(daemon, net, tmp_path):
    with daemon.start_tail("--format", "pcapng", "--count", "4", "news4", "news6,wide") as tail:
        for host, group, port in ((net.peer, "233.252.10.1", 6001), (net.peer, "ff15::10:1", 6001),
                                  (net.peer, "233.252.10.2", 6002), (net.side, "233.252.10.2", 6002)):
            before = sum(group["received"] for group in daemon.stats()["groups"])
            send(host, b"payload", group, port)
            wait_until(lambda: sum(group["received"] for group in daemon.stats()["groups"]) > before, "the datagram")
        output, _ = outcome(tail)
    path = tmp_path / "stream.pcapng"
    path.write_bytes(output)
    rows = tshark(path, "ip.dst", "ipv6.dst", "frame.interface_name", "frame.comment", "udp.checksum.status")
    assert rows == [["233.252.10.1", "", "eth0", "news4", "1"], ["", "ff15::10:1", "eth0", "news6", "1"],
                    ["233.252.10.2", "", "eth0", "wide", "1"], ["233.252.10.2", "", "eth1", "wide", "1"]]
    assert len(tcpdump(path)) == 4
    names = [dict(options(body[8:]))[2] for kind, body in blocks(output) if kind == INTERFACE]
    assert names == [b"eth0", b"eth1"]


@programs
def test_pcapng_is_not_for_a_terminal(program):
    status, text = run_in_terminal([*program, TARGET, "--format", "pcapng"])
    assert status == 2 and "| wireshark -k -i -" in text and "\n\r" not in text


# Local time


@programs
@pytest.mark.parametrize("zone, end", [("Asia/Kolkata", "+05:30"), ("XYZ+3:30", "-03:30"), ("UTC", "+00:00")])
@pytest.mark.parametrize("form", ["line", "hex"])
def test_local_time_is_that_of_the_zone_with_its_offset(net, program, zone, end, form):
    if "/" in zone and not os.path.exists(f"/usr/share/zoneinfo/{zone}"):
        pytest.skip("there are no time zones here")
    with receiving(net.host, *program, TARGET, "--format", form, "--local-time", "--count", "1", TZ=zone) as receiver:
        before = time.time()
        send(net.peer, b"x", GROUP, PORT)
        stamp = outcome(receiver)[0].split()[0].decode()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}[+-]\d\d:\d\d", stamp) and stamp.endswith(end)
    shown = datetime.datetime.fromisoformat(stamp[:26] + stamp[29:]).timestamp()
    assert abs(shown - before) < TIMEOUT


def test_local_time_of_a_group(daemon, net):
    with daemon.start_tail("--local-time", "--count", "1", "news4") as tail:
        send(net.peer, b"x", "233.252.10.1", 6001)
        assert re.match(rb"\S+[+-]\d\d:\d\d news4 ", outcome(tail)[0])


@programs
@pytest.mark.parametrize("form", ["json", "raw", "pcapng"])
def test_local_time_is_for_formats_that_have_it(net, program, form):
    assert "--local-time is for the formats line and hex" in run(net.host, *program, TARGET, "--format", form, "--local-time")


def test_json_answers_have_no_local_time(net):
    assert "omit --local-time" in run(net.host, MCASTCTL, "--json", "tail", TARGET, "--local-time")


# Filters


def payload_of(line):
    return line.rstrip(b"\n").rpartition(b" ")[2]


@programs
@pytest.mark.parametrize("where, shown", [
    (["min_size=4"], [b"bbbb", b"cccc"]), (["prefix=0x62"], [b"bbbb"]), (["prefix=b", "max_size=3"], []),
    (["sources=PEER/32"], [b"a", b"bbbb", b"ddd"]), (["sources=OTHER", "sources=PEER", "filter.min_size=4"], [b"bbbb", b"cccc"]),
    (["block_sources=OTHER"], [b"a", b"bbbb", b"ddd"]), (["sample=2"], [b"a", b"cccc"])], ids=lambda value: ",".join(map(str, value)))
def test_where_is_the_filter_of_handlers(net, program, where, shown):
    words = [word.replace("PEER", net.peer.v4).replace("OTHER", net.other.v4) for word in where]
    arguments = [argument for word in words for argument in ("--where", word)]
    with receiving(net.host, *program, TARGET, *arguments) as receiver:
        for host, payload in ((net.peer, b"a"), (net.peer, b"bbbb"), (net.other, b"cccc"), (net.peer, b"ddd")):
            send(host, payload, GROUP, PORT)
        received = [payload_of(receiver.stdout.readline()) for _ in shown]
        with net.host:
            wait_for_queue_to_empty(GROUP)
        receiver.terminate()
        errors = receiver.communicate(timeout=TIMEOUT)[1].decode()
    assert received == shown and not SANITIZER_REPORT.search(errors)
    assert f"{4 - len(shown)} of 4 datagrams did not pass --where" in errors


def wait_for_queue_to_empty(group):
    """The sockets that are bound to a group have been read."""
    words = "".join(f"{int(part):02X}" for part in reversed(group.split(".")))

    def is_empty():
        with open("/proc/thread-self/net/udp") as file:
            rows = [line.split() for line in file if f" {words}:" in line]
        return rows and all(row[4].endswith(":00000000") for row in rows)

    wait_until(is_empty, "the sockets to be read")


def test_the_count_is_of_what_is_shown(daemon, net):
    with daemon.start_tail("news4", "--where", "min_size=3", "--count", "2", "--format", "raw") as tail:
        for payload in (b"a", b"bbb", b"cc", b"ddd", b"eee"):
            send(net.peer, payload, "233.252.10.1", 6001)
        output, errors = outcome(tail)
    assert output == b"bbbddd" and "2 of 4 datagrams did not pass --where" in errors


def test_where_is_for_json_answers_as_well(daemon, net):
    with daemon.ctl_start("--json", "tail", "news4", "--where", "prefix=b", "--count", "1") as tail:
        wait_until(lambda: daemon.call("GetStatus")["subscribers"], "the subscription")
        for payload in (b"a", b"bbb"):
            send(net.peer, payload, "233.252.10.1", 6001)
        assert json.loads(outcome(tail)[0])["datagram"]["text"] == "bbb"


@programs
@pytest.mark.parametrize("words, why", [
    (["sorces=10.0.0.1"], 'unknown key "sorces", did you mean "sources"?'), (["sources"], '"sources" has no value, write KEY=VALUE'),
    (["=1"], 'unknown key "", known: sources, '), (["sources=10.0.0.1/8"], "has bits set behind its length"),
    (["min_size=x"], 'min_size: "x" is not a whole number'), (["min_size=99999"], "min_size: 99999 is out of range"),
    (["prefix=0xabc"], "prefix: is not hexadecimal"), (["min_size=5", "max_size=4"], "no datagram is like that"),
    (["sources=::1", "sources=::1"], "is in the list twice"), (["burst=2"], "burst: has no effect without rate")],
    ids=lambda value: ",".join(value) if isinstance(value, list) else "")
def test_a_wrong_filter_is_wrong_usage_and_names_the_key(net, program, words, why):
    arguments = [argument for word in words for argument in ("--where", word)]
    errors = run(net.host, *program, TARGET, *arguments)
    assert "--where: " in errors and why in errors


# Reconnecting


class Tail:
    """mcastctl tail, whose standard error is a file."""

    def __init__(self, path, tmp_path, *arguments):
        self.errors_path = str(tmp_path / "errors")
        with open(self.errors_path, "wb") as errors:
            self.process = subprocess.Popen([MCASTCTL, "-s", path, "tail", *arguments], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=errors)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        assert not SANITIZER_REPORT.search(self.errors()), self.errors()

    def errors(self):
        with open(self.errors_path) as file:
            return file.read()

    def wait_for(self, text):
        wait_until(lambda: text in self.errors(), f"{text!r} on standard error")

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        assert self.process.wait(TIMEOUT) == -number


def send_until_shown(net, tail, payload):
    """What is sent before the subscription is not seen."""
    os.set_blocking(tail.process.stdout.fileno(), False)
    shown = b""

    def came():
        nonlocal shown
        send(net.peer, payload, "233.252.10.1", 6001)
        shown += tail.process.stdout.read() or b""
        return payload in shown

    wait_until(came, "a datagram")


def test_a_tail_goes_on_when_the_daemon_is_back(start, net, directory, tmp_path):
    daemon = start(CONFIG, directory=directory)
    with Tail(daemon.control_path, tmp_path, "--reconnect", "news4") as tail:
        send_until_shown(net, tail, b"before")
        daemon.stop()
        tail.wait_for(f"mcastd at {daemon.control_path} has gone away: waiting for it")
        start(CONFIG, directory=directory)
        tail.wait_for(f"mcastd at {daemon.control_path} is there after ")
        send_until_shown(net, tail, b"after")
        tail.end()
    assert tail.errors().count("\n") == 2


def test_a_tail_goes_on_when_the_daemon_is_killed(start, net, directory, tmp_path):
    daemon = start(CONFIG, directory=directory)
    with Tail(daemon.control_path, tmp_path, "--reconnect", "news4", "--format", "pcapng") as tail:
        send_until_shown(net, tail, b"before")
        daemon.process.kill()
        daemon.process.wait()
        tail.wait_for("has gone away")
        start(CONFIG, directory=directory)
        send_until_shown(net, tail, b"after")


def test_a_tail_waits_for_a_daemon_that_is_not_there_yet(start, net, directory, tmp_path):
    path = os.path.join(directory, "mcastd.sock")
    with Tail(path, tmp_path, "--reconnect", "news4") as tail:
        tail.wait_for(f"no mcastd at {path}: no such file: waiting for it")
        start(CONFIG, directory=directory)
        send_until_shown(net, tail, b"hello")
        tail.wait_for("is there after ")


def test_without_the_option_the_end_of_the_daemon_is_a_failure(start, directory, tmp_path):
    daemon = start(CONFIG, directory=directory)
    with Tail(daemon.control_path, tmp_path, "news4") as tail:
        wait_until(lambda: daemon.call("GetStatus")["subscribers"], "the subscription")
        daemon.stop()
        assert tail.process.wait(TIMEOUT) == 1
    assert "has gone away\n" in tail.errors()


def test_a_group_that_is_not_there_any_more_ends_the_tail(start, directory, tmp_path):
    daemon = start(CONFIG, directory=directory)
    with Tail(daemon.control_path, tmp_path, "--reconnect", "wide") as tail:
        wait_until(lambda: daemon.call("GetStatus")["subscribers"], "the subscription")
        daemon.stop()
        start("", directory=directory)
        assert tail.process.wait(TIMEOUT) == 1
    assert 'there is no group "wide"' in tail.errors()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_tail_that_waits(tmp_path, number):
    with Tail(str(tmp_path / "absent"), tmp_path, "--reconnect") as tail:
        tail.wait_for("waiting for it")
        tail.end(number)


def test_the_timeout_counts_while_there_is_no_daemon(tmp_path):
    with Tail(str(tmp_path / "absent"), tmp_path, "--reconnect", "--timeout", "300ms") as tail:
        assert tail.process.wait(TIMEOUT) == 1
    assert "timeout: no datagram came" in tail.errors()


def test_a_reader_that_goes_away_ends_a_tail_that_waits(tmp_path):
    with Tail(str(tmp_path / "absent"), tmp_path, "--reconnect") as tail:
        tail.wait_for("waiting for it")
        tail.process.stdout.close()
        assert tail.process.wait(TIMEOUT) == 0


@pytest.mark.parametrize("what", ["group", "target", "absent"])
def test_a_reader_that_closes_its_socket_ends_a_tail_that_waits(start, net, tmp_path, what):
    """socat, inetd and units with StandardOutput=socket give a socket for standard output: poll(2) tells its end otherwise than that
    of a pipe."""
    path = start(CONFIG).control_path if what == "group" else str(tmp_path / "absent")
    arguments = {"group": ["news4"], "target": [TARGET], "absent": ["news4", "--reconnect"]}[what]
    reader, output = socket.socketpair()
    with reader, process(net.host, MCASTCTL, "tail", *arguments, env={**os.environ, "MCASTD_SOCKET": path}, stdout=output) as tail:
        output.close()
        reader.close()
        assert tail.wait(TIMEOUT) == 0


def test_what_is_no_control_socket_is_not_waited_for(tmp_path):
    path = str(tmp_path / "group.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen()
        with Tail(path, tmp_path, "--reconnect") as tail:
            assert tail.process.wait(TIMEOUT) == 3
    assert "not a control socket" in tail.errors()


def test_reconnect_is_for_groups(net):
    assert "a target needs no mcastd" in run(net.host, MCASTCTL, "tail", TARGET, "--reconnect")


def answer(connection, message):
    connection.sendall(json.dumps(message).encode() + b"\0")


def read_calls(connection, count):
    data = b""
    while data.count(b"\0") < count:
        data += connection.recv(65536)
    return [json.loads(call) for call in data.split(b"\0")[:-1]]


DATAGRAM = {"group": "news", "address": "233.252.0.1", "port": 5004, "source": "192.0.2.7", "sourcePort": 4000, "interface": "eth0",
            "ttl": 1, "timestamp": "2026-11-24T19:33:19.123456789Z", "size": 5, "text": "hello"}


def test_a_connection_that_waits_for_the_daemon_is_not_taken_for_one(tmp_path):
    """As where systemd listens and the daemon is on its way: there is a connection at once."""
    path = str(tmp_path / "activated.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(TIMEOUT)
        with Tail(path, tmp_path, "--reconnect", "news", "--count", "1") as tail:
            first, _ = listener.accept()
            assert [call["method"] for call in read_calls(first, 2)] == ["io.mcastd.ListGroups", "io.mcastd.Subscribe"]
            first.close()
            second, _ = listener.accept()
            calls = read_calls(second, 2)
            assert [call["method"] for call in calls] == ["io.mcastd.GetStatus", "io.mcastd.Subscribe"]
            assert calls[1]["more"] and calls[1]["parameters"] == {"groups": ["news"]}
            assert "is there after" not in tail.errors()
            answer(second, {"parameters": {}})
            tail.wait_for("is there after ")
            answer(second, {"parameters": {"datagram": DATAGRAM}, "continues": True})
            assert tail.process.wait(TIMEOUT) == 0
            assert tail.process.stdout.read().endswith(b" news 192.0.2.7:4000 eth0 5 hello\n")
            second.close()


def test_a_signal_ends_a_tail_whose_connection_waits_for_the_daemon(tmp_path):
    path = str(tmp_path / "activated.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(TIMEOUT)
        with Tail(path, tmp_path, "--reconnect") as tail:
            first, _ = listener.accept()
            read_calls(first, 1)
            first.close()
            tail.wait_for("has gone away")
            tail.end()


def test_with_socket_activation_the_connection_brings_the_daemon_back(net, tmp_path):
    if not shutil.which("systemd-socket-activate"):
        pytest.skip("systemd-socket-activate is not installed")
    path, config = str(tmp_path / "mcastd.sock"), tmp_path / "mcastd.conf"
    config.write_text(f'run_directory = "{tmp_path}/run"; control: {{ socket = "{path}"; }};\n' + CONFIG)
    command = ("systemd-socket-activate", "-l", path, "--fdname=control", MCASTD, "-c", str(config))
    with process(net.host, *command, stderr=subprocess.DEVNULL) as daemon:
        wait_until(lambda: os.path.exists(path), "the socket")
        with Tail(path, tmp_path, "--reconnect", "news4") as tail:
            send_until_shown(net, tail, b"before")
            daemon.terminate()
            daemon.wait(TIMEOUT)
            tail.wait_for("has gone away")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            with process(net.host, *command, stderr=subprocess.DEVNULL):
                tail.wait_for("is there after ")
                send_until_shown(net, tail, b"after")
