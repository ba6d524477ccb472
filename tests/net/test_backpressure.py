"""A network that takes no more: whoever sends waits, nothing is lost, and nobody else notices."""

import socket
import subprocess
import threading
import time

import pytest

from harness.daemon import encode_call
from harness.peers import receiver_on, seqpacket
from harness.waiting import wait_until

SLOW = 'slow: { address = "233.252.0.1"; port = 5004; interfaces = ["eth1"]; loop = false; %s };'
FAST = 'fast: { address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; };'
CONFIG = f"groups: {{ {SLOW % 'socket = true;'} {FAST} }};\n"


def call(method, **parameters):
    return encode_call(method, parameters) + b"\0"


@pytest.fixture
def limit(net):
    """Limits what the host can send to the side."""

    def limit(rate):
        command = f"tc qdisc replace dev eth1 root tbf rate {rate} burst 20k limit 50m"
        try:
            net.host.run(*command.split())
        except subprocess.CalledProcessError:
            pytest.skip("this kernel has no queueing discipline tbf")

    yield limit
    net.host.run("tc", "qdisc", "del", "dev", "eth1", "root", check=False)


def fill(daemon, sock):
    """Writes to the group socket until the daemon does not read any more."""

    sock.setblocking(False)

    def is_held_back():
        written = 0
        try:
            while True:
                sock.send(bytes(1400))
                written += 1
        except BlockingIOError:
            pass
        daemon.call("GetStatus")  # the loop has had its turn
        daemon.call("GetStatus")
        return not written

    wait_until(is_held_back, "the daemon to hold the program back")


def start_call(daemon, control, *messages):
    """Writes calls that have to wait."""
    control.write(b"".join(messages))
    daemon.call("GetStatus")
    daemon.call("GetStatus")


def test_senders_wait_and_nothing_is_lost(start, net, limit):
    limit("100mbit")
    daemon = start(CONFIG)
    count, received = 2000, []
    started = time.monotonic()
    with receiver_on(net.side, "233.252.0.1", 5004, "eth0") as receiver, \
            seqpacket(daemon.group_path("slow")) as sock, daemon.connect() as control:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        threads = [
            threading.Thread(target=lambda: received.extend(receiver.recv(2000)[:7] for _ in range(2 * count))),
            threading.Thread(target=lambda: [sock.send(b"s%06d" % n + bytes(1393)) for n in range(count)]),
            threading.Thread(target=lambda: [
                control.write(call("Send", group="slow", text="c%06d" % n + "x" * 1393)) for n in range(count)])]
        for thread in threads:
            thread.start()
        while threads[0].is_alive():  # a group on another interface goes on meanwhile
            assert daemon.call("Send", group="fast", text="x") == {"bytes": 1}
        for thread in threads:
            thread.join()
        assert time.monotonic() - started > 0.9 * 2 * count * 1400 * 8 / 100e6
        assert all(control.result() == {"bytes": 1400} for _ in range(count))
    for sender in (b"s", b"c"):  # the kernel may empty the queue on two processors, and pass one datagram before another
        assert sorted(p for p in received if p.startswith(sender)) == [sender + b"%06d" % n for n in range(count)]


def test_a_program_that_waits_may_go_away(start, net, limit):
    limit("8kbit")
    daemon = start(CONFIG)
    with seqpacket(daemon.group_path("slow")) as sock, daemon.connect() as control:
        fill(daemon, sock)
        start_call(daemon, control, call("Send", group="slow", text="x"))
    limit("1gbit")
    wait_until(lambda: daemon.call("GetStatus")["connections"] == 1, "the client's connection to be closed")
    with daemon.connect() as control:
        assert control.call("Send", group="slow", text="x") == {"bytes": 1}


def test_a_group_may_change_while_programs_wait_for_it(start, net, limit):
    limit("8kbit")
    daemon = start(CONFIG)
    with seqpacket(daemon.group_path("slow")) as sock, daemon.connect() as control:
        fill(daemon, sock)
        daemon.write_config(f"groups: {{ {SLOW % ''} {FAST} }};\n")  # without the socket that the other waits at
        start_call(daemon, control, call("Send", group="slow", text="x"), call("Reload"))
        limit("1gbit")
        assert control.result() == {"bytes": 1}
        assert control.result()["changes"] == ["group slow: changed: socket"]
    assert daemon.call("GetStatus")["groups"] == 2


def test_a_group_may_be_left_while_a_program_waits_for_it(start, net, limit):
    limit("8kbit")
    daemon = start(CONFIG)
    daemon.call("Join", address="233.252.0.3", port=5004, name="joined", interfaces=["eth1"])
    with seqpacket(daemon.group_path("slow")) as sock, daemon.connect() as control:
        fill(daemon, sock)
        start_call(daemon, control, call("Send", group="joined", text="x"))
        daemon.call("Leave", name="joined")
        limit("1gbit")
        assert control.reply()["error"] == "io.mcastd.NoSuchGroup"


def test_programs_that_wait_do_not_hold_up_the_end(start, net, limit):
    limit("8kbit")
    daemon = start(CONFIG)
    with seqpacket(daemon.group_path("slow")) as sock, daemon.connect() as control:
        fill(daemon, sock)
        start_call(daemon, control, call("Send", group="slow", text="x"))
        daemon.stop()
