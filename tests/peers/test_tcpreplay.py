"""A recording with Ethernet headers is what tcpreplay sends: a host of the network receives it as it was."""

import glob
import re
import shutil
import subprocess

import pytest

from harness.daemon import Daemon
from harness.records import deliver
from harness.waiting import wait_until

CONFIG = """
groups: {
  news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["packets"]; };
  news6: { address = "ff15::1"; port = 5004; interfaces = ["eth0"]; handlers = ["packets"]; };
};
handlers: { packets: { type = "pcapng"; path = "$DIR/news.pcapng"; link = "ethernet"; }; };
"""


def test_tcpreplay_sends_a_recording_again(routed):
    if not shutil.which("tcpreplay"):
        pytest.skip("tcpreplay is not installed")
    with Daemon(routed.host, CONFIG) as daemon:
        for number in range(5):
            deliver(daemon, routed, b"%d" % number, "packets")
        daemon.ctl("rotate")
        path, = wait_until(lambda: glob.glob(daemon.path("news.2*")), "the file")
        before = daemon.group("news")["received"]
        with routed.peer:
            result = subprocess.run(["tcpreplay", "-q", "-i", "eth0", path], capture_output=True, text=True, timeout=60)
        assert result.returncode == 0 and re.search(r"Successful packets: +5", result.stdout), result
        wait_until(lambda: daemon.group("news")["received"] == before + 5, "the datagrams to come again")
