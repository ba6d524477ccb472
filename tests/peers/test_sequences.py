"""What ffmpeg, GStreamer and iperf number: what rules of nft take away and double on the way is counted, exactly."""

import random

import pytest

from harness.discovery import Program, find, need
from harness.nft import Ingress
from harness.waiting import wait_until

CONFIG = """
groups: {
  rtp:   { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; sequence = "rtp"; };
  iperf: { address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; sequence = "iperf"; };
  ts:    { address = "233.252.0.3"; port = 5004; interfaces = ["eth0"]; sequence = "mpeg-ts"; handlers = ["ts"]; };
};
handlers: { ts: { type = "file"; path = "$DIR/ts"; format = "raw"; }; };
"""

PORT, LOST_MIN = 5004, 15
HOST_PORT, PEER_PORT = "port1", "port2"  # of the switch
RATE = 40  # times as fast as the tone would be heard: 2,000 datagrams a second

SENDERS = {
    "ffmpeg": ("rtp", ["ffmpeg", "-loglevel", "error", "-readrate", str(RATE), "-f", "lavfi", "-i", "sine=sample_rate=8000",
                       "-c:a", "pcm_mulaw", "-f", "rtp", f"rtp://233.252.0.1:{PORT}?ttl=4&pkt_size=172"]),
    "gstreamer": ("rtp", ["gst-launch-1.0", "-q", *"audiotestsrc samplesperbuffer=160 ! audio/x-raw,rate=8000,channels=1".split(),
                          *"! mulawenc ! rtppcmupay ! identity sleep-time=500".split(),
                          *f"! udpsink host=233.252.0.1 port={PORT} ttl-mc=4 sync=false".split()]),
    "iperf": ("iperf", ["iperf", "-c", "233.252.0.2", "-p", str(PORT), "-u", "-b", "3M", "-l", "200", "-T", "4", "-t", "60"]),
}

TS = ["ffmpeg", "-loglevel", "error", "-readrate", "4", "-f", "lavfi", "-i", "testsrc2=size=320x240", "-f", "lavfi", "-i", "sine",
      "-c:v", "mpeg2video", "-b:v", "4M", "-c:a", "mp2", "-f", "mpegts", f"udp://233.252.0.3:{PORT}?ttl=4&pkt_size=1316"]


@pytest.fixture
def ingress(net):
    with Ingress(net.first.switch, PEER_PORT) as ingress:
        yield ingress


def sending(net, command):
    need(command[0])
    return Program(net.peer, find(command[0]), *command[1:])


def wait_more(daemon, group, count=1):
    before = daemon.group(group)["received"]
    wait_until(lambda: daemon.group(group)["received"] >= before + count, f"{count} datagrams more")


def wait_quiet(daemon, group):
    """Until all has come of a sender that has ended. Returns the sums."""
    seen = []

    def is_quiet():
        seen.append(daemon.group(group)["received"])
        return len(seen) > 10 and len(set(seen[-10:])) == 1

    wait_until(is_quiet, "the group to be quiet")
    return daemon.group(group)["sequence"]


def differences(daemon, group, before):
    sums = daemon.group(group)["sequence"]
    missing = sums["lost"] + sums["open"] - before["lost"] - before["open"]
    return missing, sums["duplicates"] - before["duplicates"]


def disturb(net, daemon, ingress, sender, chance):
    """One run: with rules of some chance between a new sender and the daemon for a while."""
    group, command = SENDERS[sender]
    lose, double = chance.randint(5, 80), chance.randint(0, 50)
    before = daemon.group(group)["sequence"]
    with sending(net, command):
        wait_until(lambda: daemon.group(group)["received"] > before["received"], f"what {sender} sends")
        ingress.begin(daemon.group(group)["address"], PORT, f"numgen random mod 1000 < {lose}", f"numgen random mod 1000 < {double}",
                      HOST_PORT)
        wait_until(lambda: ingress.lost() >= LOST_MIN, f"{LOST_MIN} datagrams to be lost")
        counted = ingress.end()
        wait_until(lambda: differences(daemon, group, before) == counted,
                   f"{counted} to be lost and doubled; last seen: {differences(daemon, group, before)}")
        wait_more(daemon, group, 100)
        assert differences(daemon, group, before) == counted, (sender, lose, double)
    sums = daemon.group(group)["sequence"]
    assert sums["unnumbered"] == sums["late"] == sums["restarts"] == sums["reordered"] == 0
    assert daemon.group(group)["kernelDropped"] == 0


@pytest.mark.parametrize("sender", SENDERS)
def test_what_is_lost_and_doubled_on_the_way_is_counted_exactly(net, daemon, ingress, sender):
    for seed in range(2):
        disturb(net, daemon, ingress, sender, random.Random(seed))


@pytest.mark.long
@pytest.mark.parametrize("sender", SENDERS)
def test_what_is_lost_and_doubled_in_20_random_runs_is_counted_exactly(net, daemon, ingress, sender):
    for seed in range(100, 120):
        disturb(net, daemon, ingress, sender, random.Random(seed))


def count_discontinuities(recording):
    """By the book (ISO/IEC 13818-1, 2.4.3.3), and unlike the daemon: from all packets of a PID at once."""
    packets, found = {}, 0
    for at in range(0, len(recording), 188):
        packet = recording[at:at + 188]
        assert packet[0] == 0x47
        pid = (packet[1] & 0x1f) << 8 | packet[2]
        announced = packet[3] & 0x20 and packet[4] and packet[5] & 0x80
        if packet[3] & 0x10 and pid != 0x1fff:
            packets.setdefault(pid, []).append((packet[3] & 0xf, announced))
    for counters in packets.values():
        for (last, _), (counter, announced) in zip(counters, counters[1:]):
            found += counter not in (last, (last + 1) % 16) and not announced
    return found, len(recording) // 188


def test_a_transport_stream_of_ffmpeg_has_a_discontinuity_for_each_hole(net, daemon, ingress):
    with sending(net, TS):
        wait_more(daemon, "ts", 100)  # a hole before the first packet of a PID is not seen
        assert daemon.group("ts")["sequence"]["discontinuities"] == 0
        ingress.begin(daemon.group("ts")["address"], PORT, "numgen inc mod 50 0")
        wait_until(lambda: ingress.lost() >= LOST_MIN, f"{LOST_MIN} datagrams to be lost", 60)
        lost, _ = ingress.end()
        wait_more(daemon, "ts", 20)
    stopped = wait_quiet(daemon, "ts")
    daemon.wait_idle("ts")
    assert (stopped["discontinuities"], stopped["packets"]) == count_discontinuities(daemon.read("ts"))
    assert stopped["discontinuities"] >= lost and stopped["unnumbered"] == 0
