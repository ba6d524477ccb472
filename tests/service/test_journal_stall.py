"""A journal that stands still: it holds up its own handler, and nobody else."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest

from harness.daemon import balance
from harness.waiting import wait_until

CONFIG = """
groups: {
  news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; receive_buffer = "4M";
          handlers = ["journal", "raw", "relay"]; };
};
handlers: {
  raw: { type = "file"; path = "/var/log/mcastd/raw"; format = "raw"; };
  relay: { type = "udp"; address = "127.0.0.1"; port = 5999; };
};
"""
SIZE = 64
RATE = 10_000
STALL = 20  # seconds
JOURNALD = "systemd-journald.service"


@contextmanager
def counter_of_datagrams(host, port):
    """Counts what arrives at a port of the loopback. Gives a list whose one item is the count."""
    with host:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
    sock.bind(("127.0.0.1", port))
    sock.settimeout(0.1)
    count, stop = [0], threading.Event()

    def run():
        buffer = bytearray(2048)
        while not stop.is_set():
            try:
                while True:
                    sock.recv_into(buffer)
                    count[0] += 1
            except TimeoutError:
                pass

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield count
    finally:
        stop.set()
        thread.join()
        sock.close()


@pytest.fixture
def journald(system):
    """Its process, as the system numbers it. Goes on after the test in any case."""
    pid = system.run("systemctl", "show", "--value", "--property=MainPID", JOURNALD).strip()
    yield pid
    system.run("kill", "-CONT", pid)
    system.try_run("rm", "-f", "/var/log/mcastd/raw")


@pytest.mark.long
def test_a_journal_that_stands_still_for_20_seconds_costs_the_others_nothing(service, blast, journald, say):
    system = service.system
    service.start(CONFIG)
    with counter_of_datagrams(system.network, 5999) as relayed:
        with blast.stream(system.network, "233.252.0.1", 5004, SIZE, rate=RATE, interface="eth0") as stream:
            service.wait_received("news", 2 * RATE)
            system.run("kill", "-STOP", journald)
            time.sleep(STALL)
            at_end_of_stall = service.handler("journal")
            system.run("kill", "-CONT", journald)
            again = at_end_of_stall["delivered"] + 2 * RATE
            wait_until(lambda: service.handler("journal")["delivered"] >= again, "the journal to take entries again", 30)
        sent = stream.sent

        def idle():
            group, handlers = service.group("news"), service.call("ListHandlers")["handlers"]
            return group["received"] + group["kernelDropped"] >= sent and not any(h["queued"] for h in handlers)

        wait_until(idle, "all queues to be empty", 30)
        wait_until(lambda: relayed[0] >= sent, "the relay to hand on all")
        system.run("journalctl", "--sync")

    group = service.group("news")
    journal, raw, relay = (service.handler(name) for name in ("journal", "raw", "relay"))
    entries = len(system.run("journalctl", "-q", "-o", "cat", "--since", service.since,
                             "MCASTD_GROUP=news").splitlines())
    say(f"journald stopped for {STALL} s at {RATE:,}/s: {sent:,} sent, {group['received']:,} received;"
        f" file {raw['delivered']:,}, udp {relay['delivered']:,} ({relayed[0]:,} arrived);"
        f" journal {journal['delivered']:,} delivered ({entries:,} entries), {journal['dropped']}")
    assert (group["received"], group["kernelDropped"]) == (sent, 0)
    for handler in (raw, relay):
        assert handler["delivered"] == sent and balance(handler) == 0
    assert relayed[0] == sent
    with open(system.path("/var/log/mcastd/raw"), "rb") as file:
        assert len(file.read()) == sent * SIZE
    # The journal's own loss: what is not in it is what was counted, for one reason.
    dropped = journal["dropped"].pop("queue")
    assert dropped > 0 and sum(journal["dropped"].values()) == 0
    assert journal["delivered"] + dropped == sent
    assert entries == journal["delivered"]
    assert at_end_of_stall["dropped"]["queue"] > 0
    service.ctl("stats", "--check")
    assert service.show("NRestarts") == "0"
