"""Recording: files that are written, most of them in memory, so that no disk is measured."""

import os
import tempfile
from contextlib import contextmanager

from bench import receivers
from bench.case import FLOOD, Comparison
from bench.programs import Load
from bench.receivers import Receiver
from bench.report import Limit

RAW = "raw file recorder, 64 B"
raw = receivers.recorder()
json = receivers.recorder(form="json")

CHUNKS = Load(size=1316, segmented=True, rate=400_000)
# tcpdump would see bursts that are not cut yet: these come one by one. It is as much as one core sends with ease.
PACKETS = Load(size=1400, rate=200_000)


@contextmanager
def run_on_disk(net):
    """A recorder whose file is where the bench was started, and forced to the disk once a second."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=os.getcwd()) as directory:
        with receivers.recorder(path=f"{directory}/out", more='sync = "interval";').start(net) as running:
            yield running


CASES = [
    Comparison("file/raw", RAW, raw, receivers.raw_file, Limit(at_most=1.1), less=False),
    Comparison("file/disk", "raw file recorder, 64 B, 200,000/s, on a disk, synchronized each second",
               Receiver("mcastd, on a disk", run_on_disk), raw, less=False, load=Load(rate=200_000)),
    Comparison("file/rsyslog", "raw file recorder, 64 B of text", raw, receivers.rsyslog, Limit(at_least=2),
               load=FLOOD.changed(layout="text")),
    Comparison("file/multicat", RAW, raw, receivers.multicat_file, Limit(at_least=3.3), quick=False),
    Comparison("file/multicat-ts", "raw file recorder, 1,316 B", raw, receivers.multicat_file_ts, load=CHUNKS),
    Comparison("file/socat", RAW, raw, receivers.socat_file, Limit(at_least=7.5)),
    Comparison("file/json", "json file recorder, 64 B of text", json, raw, Limit(at_most=1.6), less=False,
               load=FLOOD.changed(layout="text")),
    Comparison("file/json-long", "json file recorder, 1,400 B of text", json, raw, Limit(at_most=1.6), less=False,
               load=CHUNKS.changed(size=1400, layout="text"), quick=False),
    Comparison("file/json-binary", "json file recorder, 64 B, not text", json, raw, less=False),
    Comparison("pcapng/tcpdump", "pcapng recorder, 1400 B, 200,000/s", receivers.recorder("pcapng"), receivers.tcpdump,
               Limit(at_most=1.25), less=False, load=PACKETS),
]
