"""Loss may happen, unexplained loss may not."""

import os
import signal
import threading

import pytest

from harness.daemon import MCASTD, balance
from harness.peers import send
from harness.programs import resident
from harness.records import lines_of, parse_line
from harness.waiting import wait_until

COUNT = 8000  # datagrams that fit into the kernel's buffer, also without privilege, but into no queue here


def config(queue='"256K"', drop='"newest"', more=""):
    return f"""
      groups: {{
        flood: {{ address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["slow"];
                  receive_buffer = "16M"; }};
        calm:  {{ address = "233.252.0.2"; port = 5005; interfaces = ["eth0"]; handlers = ["calm"]; }};
      }};
      handlers: {{
        slow: {{ type = "log"; stream = "stdout"; format = "line"; queue = {queue}; drop = {drop}; {more} }};
        calm: {{ type = "file"; path = "$DIR/calm"; format = "line"; }};
      }};"""


class Pipe:
    """A pipe that nobody reads before read() is called, and then to its end."""

    def __init__(self):
        reading, self.writing = os.pipe()
        self.stream = os.fdopen(reading, "rb")
        self.lines = []
        self.thread = threading.Thread(target=lambda: self.lines.extend(self.stream), daemon=True)

    def read(self):
        if not self.thread.ident:
            self.thread.start()

    def finish(self):
        """Waits for the end, when the daemon has ended, and returns all lines."""
        self.read()
        self.thread.join(15)
        assert not self.thread.is_alive()
        self.stream.close()
        return self.lines


@pytest.fixture
def slow(start):
    """Starts a daemon whose handler "slow" writes into a pipe that is not read; returns both."""
    pairs = []

    def start_slow(binary=MCASTD, **options):
        pipe = Pipe()
        daemon = start(config(**options), stdout=pipe.writing, binary=binary)
        os.close(pipe.writing)
        pairs.append((daemon, pipe))
        return pairs[-1]

    yield start_slow
    for daemon, pipe in pairs:
        pipe.read()
        if daemon.process.poll() is None:
            daemon.stop()
        pipe.finish()


@pytest.mark.parametrize("address", ["233.252.0.1", "ff15::1"], ids=["v4", "v6"])
def test_what_the_kernel_drops_is_counted(start, net, blast, address):
    daemon = start(f"""groups: {{ tight: {{ address = "{address}"; port = 5004; interfaces = ["eth0"];
                                            receive_buffer = "32K"; }}; }};""")
    daemon.pause()
    sent = blast(net.peer, address, 5004, 5000)
    daemon.resume()
    daemon.wait_arrived("tight", sent)
    group = daemon.group("tight")
    assert group["kernelDropped"] > 0 and group["received"] > 0
    assert group["memberships"][0]["kernelDropped"] == group["kernelDropped"]


def test_kernel_drops_are_exact_before_another_datagram_arrives(start, net, blast):
    """SO_RXQ_OVFL would tell of them with the next one only."""
    daemon = start("""groups: { tight: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"];
                                         receive_buffer = "32K"; }; };""")
    for round_number in (1, 2, 3):
        before = daemon.group("tight")["kernelDropped"]
        daemon.pause()
        blast(net.peer, "233.252.0.1", 5004, 2000)
        daemon.resume()
        daemon.wait_arrived("tight", 2000 * round_number)
        assert daemon.group("tight")["kernelDropped"] > before


def test_kernel_drops_do_not_touch_other_groups(start, net, blast):
    daemon = start("""groups: {
        tight: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; receive_buffer = "32K"; };
        other: { address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; }; };""")
    daemon.pause()
    blast(net.peer, "233.252.0.1", 5004, 3000)
    send(net.peer, b"x", "233.252.0.2", 5004)
    daemon.resume()
    daemon.wait_arrived("other", 1)
    daemon.wait_arrived("tight", 3000)
    assert daemon.group("tight")["kernelDropped"] > 0
    assert daemon.group("other")["kernelDropped"] == 0


def test_a_slow_handler_drops_counts_and_balances(slow, net, blast):
    daemon, pipe = slow()
    sent = blast(net.peer, "233.252.0.1", 5004, COUNT)
    daemon.wait_arrived("flood", sent)
    handler = daemon.handler("slow")
    assert handler["received"] == daemon.group("flood")["received"]
    assert handler["dropped"]["queue"] > 0
    assert handler["queued"] > 0 and handler["queuedBytes"] > 0
    assert balance(handler) == 0
    pipe.read()
    handler = daemon.wait_idle("slow")
    assert handler["received"] == handler["delivered"] + handler["dropped"]["queue"]


def test_a_slow_handler_costs_other_groups_nothing(slow, net, blast):
    daemon, pipe = slow()
    daemon.wait_arrived("flood", blast(net.peer, "233.252.0.1", 5004, COUNT))
    for number in range(200):
        send(net.peer, b"%d" % number, "233.252.0.2", 5005)
    wait_until(lambda: daemon.read("calm").count(b"\n") == 200, "the other group's file")
    assert [int(line["payload"]) for line in lines_of(daemon, "calm", "calm")] == list(range(200))
    assert daemon.group("calm")["kernelDropped"] == 0
    assert daemon.handler("slow")["dropped"]["queue"] > 0


def test_stats_check_agrees_while_datagrams_are_queued(slow, net, blast):
    daemon, pipe = slow()
    daemon.wait_arrived("flood", blast(net.peer, "233.252.0.1", 5004, COUNT))
    assert daemon.handler("slow")["queued"] > 0
    daemon.ctl("stats", "--check")


def numbers_written(daemon, net, blast, pipe):
    """The numbers of the datagrams that came out of the slow handler, in their order."""
    daemon.wait_arrived("flood", blast(net.peer, "233.252.0.1", 5004, COUNT))
    assert daemon.handler("slow")["dropped"]["queue"] > 0
    pipe.read()
    handler = daemon.wait_idle("slow")
    daemon.stop()
    lines = pipe.finish()
    assert len(lines) == handler["delivered"] > 0
    return [int(parse_line(line.rstrip(b"\n"))["payload"].split()[1]) for line in lines]


def test_drop_newest_keeps_a_record_without_holes(slow, net, blast):
    daemon, pipe = slow(drop='"newest"')
    numbers = numbers_written(daemon, net, blast, pipe)
    assert numbers == list(range(len(numbers)))


def test_drop_oldest_keeps_what_is_current(slow, net, blast):
    daemon, pipe = slow(drop='"oldest"')
    numbers = numbers_written(daemon, net, blast, pipe)
    assert numbers == sorted(set(numbers))
    assert numbers[-1000:] == list(range(COUNT - 1000, COUNT))


def test_a_larger_queue_keeps_more(slow, net, blast):
    kept = []
    for queue in ('"64K"', '"768K"'):
        daemon, pipe = slow(queue=queue)
        kept.append(len(numbers_written(daemon, net, blast, pipe)))
    assert kept[1] > 2 * kept[0]


def test_no_more_datagrams_wait_than_may(slow, net, blast):
    daemon, pipe = slow(more="queue_datagrams = 100;")
    daemon.wait_arrived("flood", blast(net.peer, "233.252.0.1", 5004, COUNT))
    handler = daemon.handler("slow")
    written = 64  # what the handler is writing waits no more: one batch
    assert 100 <= handler["queued"] <= handler["queuedMax"] <= 100 + written
    assert balance(handler) == 0


def test_a_viewer_of_few_datagrams_sees_the_newest(slow, net, blast):
    daemon, pipe = slow(drop='"oldest"', more="queue_datagrams = 100;")
    numbers = numbers_written(daemon, net, blast, pipe)
    assert numbers[-100:] == list(range(COUNT - 100, COUNT))


def test_the_queue_of_a_handler_that_hangs_past_its_deadline_is_counted_as_dropped(slow, net, blast):
    daemon, pipe = slow()
    daemon.wait_arrived("flood", blast(net.peer, "233.252.0.1", 5004, COUNT))
    queued = daemon.handler("slow")["queued"]
    daemon.write_config(config(more="sample = 2;"))
    daemon.ctl("reload")
    wait_until(lambda: daemon.handler("slow")["dropped"]["shutdown"], "the deadline of the old handler")
    handler = daemon.handler("slow")
    assert handler["queued"] + handler["dropped"]["shutdown"] == queued
    assert balance(handler) == 0
    pipe.read()
    handler = daemon.wait_idle("slow")
    assert balance(handler) == 0


def test_a_handler_that_hangs_does_not_keep_the_daemon_from_stopping(slow, net, blast):
    daemon, pipe = slow()
    daemon.wait_arrived("flood", blast(net.peer, "233.252.0.1", 5004, COUNT))
    daemon.signal(signal.SIGTERM)
    assert daemon.process.wait(15) == 0


@pytest.mark.long
def test_queues_of_handlers_that_hang_do_not_pile_up_over_reloads(slow, net, blast, release):
    daemon, pipe = slow(queue='"16M"', binary=release)
    for number in range(6):
        arrived = daemon.arrived("flood")
        daemon.wait_arrived("flood", arrived + blast(net.peer, "233.252.0.1", 5004, 100_000, 100))
        daemon.write_config(config(queue='"16M"', more=f"filter: {{ max_size = {2000 + number}; }};"))
        daemon.ctl("reload")
    before = resident(daemon.process.pid)
    wait_until(lambda: resident(daemon.process.pid) < before - 40, "the memory of the old queues", 90)


def test_what_a_handler_that_hangs_still_had_is_said_at_the_end(slow, net, blast):
    daemon, pipe = slow()
    daemon.wait_arrived("flood", blast(net.peer, "233.252.0.1", 5004, COUNT))
    queued = daemon.handler("slow")["queued"]
    daemon.signal(signal.SIGTERM)
    assert daemon.process.wait(15) == 0
    assert f"handler slow: stuck in writing when it had to stop; {queued} datagrams dropped" in daemon.log()
