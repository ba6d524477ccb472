"""What the log says about groups that receive nothing, in real time: when it says so is in tests/unit/test_hints.c."""

import time

import pytest

from harness.peers import send, sender_as

CONFIG = """
groups: {
  busy:    { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; };
  missed:  { address = "ff15::2"; port = 5004; interfaces = ["eth0"]; };
  refused: { address = "233.252.0.3"; port = 5004; interfaces = ["eth0"]; };
  alone:   { address = "ff15::4"; port = 5004; interfaces = ["eth1"]; };
};
"""

LINES = [
    "group missed: no datagram yet on eth0, while other groups receive there; to find out why: {doctor} missed",
    "group refused: no datagrams on eth0, while the kernel drops packets for their source address (rp_filter); "
    "to find out why: {doctor} refused",
    "group alone: no datagram yet on eth1; if something is sent, this finds out why: {doctor} alone",
]


@pytest.mark.long
def test_the_log_names_the_doctor_for_what_receives_nothing(start, net, say):
    net.host.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1")
    daemon = start(CONFIG)
    doctor = f"mcastctl -s {daemon.control_path} doctor"
    lines = [line.format(doctor=doctor) for line in LINES]
    daemon.wait_joined("busy", "missed", "refused", "alone")
    started = time.monotonic()
    with sender_as(net.peer, "10.9.9.9", 6000) as spoofed:
        while time.monotonic() < started + 130 and not all(line in daemon.log() for line in lines):
            send(net.peer, b"x", "233.252.0.1", 5004)
            spoofed.sendto(b"x", ("233.252.0.3", 5004))
            time.sleep(1)
    say(f"three hints after {time.monotonic() - started:.0f} s")
    log = daemon.log()
    assert time.monotonic() > started + 60
    assert [log.count(line) for line in lines] == [1, 1, 1]
    assert log.count(doctor) == 3
    assert daemon.group("refused")["received"] == 0
