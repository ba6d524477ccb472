"""Instructions of the daemon for each datagram, outside of the kernel, as callgrind counts them. They do
not depend on the machine's speed, and show what a change has cost or saved when no clock can; they vary a little with how
datagrams fall into batches, which depends on how busy the machine is.

Everything counts that a run takes more than one without datagrams. The daemon is stopped while they are sent, so that it
finds them all at once and reads full batches.
"""

import glob
import os
import shutil
import tempfile
import time

from bench import programs
from bench.case import Case
from bench.cases_send import CONFIG
from bench.lan import GROUP, OUT_GROUP, OUT_PORT, RECEIVER_CORE, SENDER_CORE, SINK
from bench.measure import spread
from bench.programs import Load
from bench.receivers import mcastd_config, merge_config, silence
from bench.report import Row
from harness.daemon import Daemon
from harness.peers import has_membership
from harness.waiting import wait_until

COUNT = 4000  # the receive buffer holds so many, also of 1400 bytes


def total(daemon):
    """What callgrind has counted of a daemon that has ended."""
    found = glob.glob(os.path.join(daemon.directory, "callgrind.*"))
    with open(found[0]) as file:
        return next(int(line.split()[1]) for line in file if line.startswith(("summary:", "totals:")))


def count_run(net, config, joined, act):
    """The instructions of a daemon's life in which act(daemon) happens, and what that returned."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, silence():
        wrapper = ["taskset", "-c", str(RECEIVER_CORE), "valgrind", "-q", "--tool=callgrind",
                   f"--callgrind-out-file={directory}/callgrind.%p"]
        daemon = Daemon(net.host, config, wrapper=wrapper, directory=directory)
        try:
            wait_until(lambda: has_membership(net.host, *joined), "mcastd to join")
            result = act(daemon)
            programs.settle(daemon.process.pid, quiet=0.3)
            daemon.stop()
            return total(daemon), result
        finally:
            daemon.kill()


def receive(net, size, layout="text", groups=1):
    def act(daemon):
        daemon.pause()
        before = net.received()
        Load(size=size, count=COUNT, layout=layout, groups=groups).send(net)
        daemon.resume()
        wait_until(lambda: net.received() - before >= COUNT, f"{COUNT} datagrams")
        return COUNT

    return act


def receive_rtp(net, size):
    return receive(net, size, "rtp")


def receive_twice(net, size):
    return receive(net, size, "rtp", groups=2)


def through(name, counted):
    """Sends with one of our programs, to a daemon that runs."""
    def act_for(net, _):
        def act(daemon):
            arguments = counted(daemon)
            answer = programs.run(net.sender, SENDER_CORE, name, *arguments)
            return answer.get("sent") or answer["replies"]

        return act

    return act_for


def nothing(_):
    time.sleep(0.1)
    return 0


def udp(address):
    return f'type = "udp"; address = "{address}"; port = {OUT_PORT}; interface = "eth1";'


def record(kind, form=""):
    return f'type = "{kind}"; path = "$DIR/out"; queue = "64M"; {form}'


def handled(handler):
    return mcastd_config('handlers = ["out"];', handler)


IN, OUT = (GROUP, "eth0"), (OUT_GROUP, "eth1")

WORKS = [
    ("count", "count only, 64 B", mcastd_config(), IN, 64, receive),
    ("sequence", "count only with sequence = \"rtp\", 64 B", mcastd_config('sequence = "rtp";'), IN, 64, receive_rtp),
    ("merge", "two legs merged by RTP, 64 B", merge_config('sequence = "rtp";'), IN, 64, receive_twice),
    ("raw", "raw file recorder, 64 B", handled(record("file", 'format = "raw";')), IN, 64, receive),
    ("json", "json file recorder, 64 B of text", handled(record("file", 'format = "json";')), IN, 64, receive),
    ("pcapng", "pcapng recorder, 1400 B", handled(record("pcapng")), IN, 1400, receive),
    ("relay", "relay to a host, 64 B", handled(udp(SINK)), IN, 64, receive),
    ("relay-group", "relay to a group, 64 B", handled(udp(OUT_GROUP)), IN, 64, receive),
    ("socket", "group socket to the network, 64 B", CONFIG, OUT, 64,
     through("writer", lambda daemon: (daemon.group_path("out"), 64, COUNT, "datagrams"))),
    ("control", "control socket, pipelined Send, 64 B", CONFIG, OUT, 64,
     through("pipeline", lambda daemon: (daemon.control_path, "out", 64, 500))),
]


def run_work(bench, name, work, config, joined, size, act):
    row = Row(f"instructions/{name}", work, "", "instructions", steady=True)
    if not shutil.which("valgrind"):
        row.note = "valgrind is not installed"
        return [row]
    base, _ = count_run(bench.net, config, joined, nothing)
    with_all, count = count_run(bench.net, config, joined, act(bench.net, size))
    row.spread = spread([(with_all - base) / count])
    return [row]


def case(name, *rest):
    return Case(f"instructions/{name}", lambda bench: run_work(bench, name, *rest))


CASES = [case(*work) for work in WORKS]
