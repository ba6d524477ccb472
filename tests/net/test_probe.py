"""mcastctl probe: loss, order, delay and hops between two hosts."""

import itertools
import json
import signal
import struct
import threading

import pytest

from harness.peers import has_membership, receive as receive_from, tutorial_receiver, tutorial_sender
from harness.waiting import TIMEOUT, wait_until

CONFIG = 'groups: { g: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; }; };'


@pytest.fixture
def receive(net, daemon):
    """Starts a receiving end on the host; the function that it returns waits for its end and returns what it said."""
    def start(*arguments, group=None):
        with net.host:
            receiving = daemon.ctl_start(*arguments, text=True)
        if group:
            wait_until(lambda: has_membership(net.host, group), "the receiving end")
        else:
            wait_until(lambda: daemon.call("GetStatus")["subscribers"] > 0, "the receiving end")

        def finish():
            out, errors = receiving.communicate(timeout=4 * TIMEOUT)
            return receiving.returncode, out, errors

        return finish

    return start


def probe_send(net, daemon, *arguments):
    with net.peer:
        return daemon.ctl("probe", "send", *arguments)


def test_what_is_sent_to_a_target_comes_with_its_hops(net, daemon, receive):
    finish = receive("--json", "probe", "233.252.0.9:5004%eth0", group="233.252.0.9")
    probe_send(net, daemon, "233.252.0.9:5004%eth0", "--rate", "2000/s", "--count", "200", "--ttl", "5")
    status, out, errors = finish()
    found = json.loads(out)
    assert (status, errors) == (0, "")
    assert (found["received"], found["sent"], found["lost"], found["hops"]) == (200, 200, 0, 0)
    assert found["delayP50"] <= found["delayP99"] <= found["delayMax"]


def rtp(number):
    return struct.pack(">BBHII", 0x80, 96, number, number, 9)


def probe(number, total):
    return rtp(number) + struct.pack(">8sQIIB11x", b"mcastprb", 0, number, total, 0)


def unread(host, port):
    """Bytes that wait in the UDP sockets of the port."""
    with host, open("/proc/thread-self/net/udp") as file:
        fields = [line.split() for line in list(file)[1:]]
    return sum(int(field[4].split(":")[1], 16) for field in fields if int(field[1].split(":")[1], 16) == port)


def send_in_order(net, payloads):
    """To the group of a target, no more at a time than a socket holds."""
    with tutorial_sender(net.peer, "233.252.0.9") as sock:
        for n, payload in enumerate(payloads, 1):
            sock.sendto(payload, ("233.252.0.9", 5004))
            if n % 50 == 0:
                wait_until(lambda: not unread(net.host, 5004), "the receiving end to read")


def test_a_report_without_hops_ends_with_the_delays(net, receive):
    finish = receive("probe", "233.252.0.9:5004%eth0", group="233.252.0.9")
    send_in_order(net, [probe(n, 10) for n in range(10)])
    status, out, errors = finish()
    assert (status, errors) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["received", "delay"]


def test_a_datagram_that_thousands_overtake_is_reordered_and_not_lost(net, receive):
    finish = receive("probe", "233.252.0.9:5004%eth0", group="233.252.0.9")
    send_in_order(net, [probe(n, 3000) for n in [*range(100), *range(101, 2999), 100, 2999]])
    status, out, _ = finish()
    assert (status, out.splitlines()[0]) == (0, "received 3000 of 3000: lost 0 (0.00 %), reordered 1, doubled 0")


def test_a_copy_that_comes_after_thousands_is_doubled(net, receive):
    finish = receive("probe", "233.252.0.9:5004%eth0", group="233.252.0.9")
    send_in_order(net, [probe(n, 3000) for n in [*range(2999), 100, 2999]])
    status, out, _ = finish()
    assert (status, out.splitlines()[0]) == (0, "received 3000 of 3000: lost 0 (0.00 %), reordered 0, doubled 1")


LATE_RTP = [*range(100), *range(101, 3000), 100]


def test_rtp_that_comes_too_late_is_told_apart(net, receive):
    finish = receive("probe", "233.252.0.9:5004%eth0", "--wait", "300ms", group="233.252.0.9")
    send_in_order(net, map(rtp, LATE_RTP))
    status, out, _ = finish()
    assert status == 1
    assert out.splitlines()[:2] == ["received 2999 of 3000: lost 1 (0.03 %), reordered 0, doubled 0",
                                    "1 more came too late to tell whether it was counted as lost, or is a copy"]


def test_rtp_that_comes_too_late_has_its_number_in_json(net, receive):
    finish = receive("--json", "probe", "233.252.0.9:5004%eth0", "--wait", "300ms", group="233.252.0.9")
    send_in_order(net, map(rtp, LATE_RTP))
    found = json.loads(finish()[1])
    assert (found["received"], found["sent"], found["lost"], found["duplicates"], found["late"]) == (3000, 3000, 1, 0, 1)


def test_what_never_came_at_the_end_is_said_as_perhaps_never_sent(net, receive):
    finish = receive("probe", "233.252.0.9:5004%eth0", "--wait", "300ms", group="233.252.0.9")
    send_in_order(net, [probe(n, 100) for n in range(60)])
    status, out, _ = finish()
    assert status == 1
    assert out.splitlines()[:2] == ["received 60 of 100: lost 40 (40.00 %), reordered 0, doubled 0",
                                    "of those lost, 40 would have come last: never sent, if the sender was stopped"]


def interrupt_sender(net, daemon, host, word, *options):
    """Sends to the group of a target or of the daemon, and interrupts that after some datagrams. Returns how many it says it sent."""
    group = "233.252.0.9" if ":" in word else "233.252.0.1"
    with tutorial_receiver(net.host, group, 5004) as sock:
        with host:
            sending = daemon.ctl_start("--json", "probe", "send", word, "--rate", "1000/s", *options, text=True)
        receive_from(sock, 100)
        sending.send_signal(signal.SIGINT)
        out, _ = sending.communicate(timeout=TIMEOUT)
    return json.loads(out)["sent"]


def test_an_interrupted_sender_says_how_many_it_really_sent(net, daemon, receive):
    finish = receive("--json", "probe", "233.252.0.9:5004%eth0", group="233.252.0.9")
    sent = interrupt_sender(net, daemon, net.peer, "233.252.0.9:5004%eth0", "--count", "1000000")
    status, out, _ = finish()
    found = json.loads(out)
    assert status == 0
    assert (found["received"], found["sent"], found["lost"], found["duplicates"], found["lostAtEnd"]) == (sent, sent, 0, 0, 0)


def test_a_sender_through_the_daemon_says_so_as_well(net, daemon, receive):
    finish = receive("--json", "probe", "g")
    sent = interrupt_sender(net, daemon, net.host, "g", "--count", "1000000")
    status, out, _ = finish()
    found = json.loads(out)
    assert status == 0
    assert (found["received"], found["sent"], found["lost"], found["duplicates"]) == (sent, sent, 0, 0)


def test_an_endless_sender_is_measured_from_the_first_that_came(net, daemon, receive):
    finish = receive("--json", "probe", "233.252.0.9:5004%eth0", "--wait", "300ms", group="233.252.0.9")
    with tutorial_sender(net.peer, "233.252.0.9") as sock:
        for n in range(5000, 5100):
            sock.sendto(probe(n, 0), ("233.252.0.9", 5004))
    status, out, _ = finish()
    found = json.loads(out)
    assert (status, found["received"], found["sent"], found["lost"]) == (0, 100, 100, 0)


def test_a_group_of_the_daemon_can_be_the_receiving_end(net, daemon, receive):
    finish = receive("--json", "probe", "g")
    probe_send(net, daemon, "233.252.0.1:5004%eth0", "--rate", "2000/s", "--count", "100")
    status, out, _ = finish()
    assert status == 0 and json.loads(out)["received"] == 100


def test_any_rtp_is_measured_without_delays(net, receive):
    finish = receive("probe", "233.252.0.9:5004%eth0", "--wait", "300ms", group="233.252.0.9")
    with tutorial_sender(net.peer, "233.252.0.9") as sock:
        for n in range(100):
            if n != 50:
                sock.sendto(rtp(n), ("233.252.0.9", 5004))
        sock.sendto(b"other", ("233.252.0.9", 5004))
    status, out, _ = finish()
    assert status == 1
    assert out.splitlines() == ["received 99 of 100: lost 1 (1.00 %), reordered 0, doubled 0", "beside it, 1 other datagram came"]


def test_other_datagrams_do_not_keep_it_from_ending(net, daemon, receive):
    finish = receive("--json", "probe", "233.252.0.9:5004%eth0", group="233.252.0.9")
    ended = threading.Event()

    def go_on():
        with tutorial_sender(net.peer, "233.252.0.9") as sock:
            for n in itertools.count():
                sock.sendto(struct.pack(">BBHII", 0x80, 96, n & 0xffff, n, 9), ("233.252.0.9", 5004))
                sock.sendto(b"other", ("233.252.0.9", 5004))
                if ended.wait(0.02):
                    break

    other = threading.Thread(target=go_on)
    other.start()
    try:
        probe_send(net, daemon, "233.252.0.9:5004%eth0", "--rate", "1000/s", "--count", "100")
        status, out, _ = finish()
    finally:
        ended.set()
        other.join()
    found = json.loads(out)
    assert (status, found["received"], found["lost"]) == (0, 100, 0) and found["others"]


def test_nothing_is_said_with_where_to_look(net, daemon):
    with net.host:
        said = daemon.ctl("probe", "233.252.0.9:5004%eth0", "--timeout", "100ms", status=1)
    assert "no datagram came; to find out why: mcastctl doctor" in said


@pytest.mark.parametrize("words, why", [
    (["probe", "g", "--rate", "3/s"], "--rate is for probe send"),
    (["probe", "send", "g", "--wait", "3s"], "--wait is for the end that receives"),
    (["probe", "send", "g", "--rate", "fast"], "'fast' is no rate"),
    (["probe", "one", "two"], "write probe send two, or probe two at the other end"),
])
def test_what_is_meant_for_the_other_end_is_refused(daemon, words, why):
    assert why in daemon.ctl(*words, status=2)
