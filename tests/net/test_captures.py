"""Captures of every form and link type are replayed as tshark reads them: as many datagrams, their payloads, their spacing."""

import os
import random
import shutil
import socket
import struct
import subprocess

import pytest

from harness import with_us
from harness.pcaps import LINKS, START, fragments4, fragments6, ip4, ip6, on_link, pcap, pcapng, udp
from harness.peers import LARGEST, tutorial_receiver
from harness.waiting import wait_until

PROGRAMS = ("tshark", "text2pcap", "editcap", "mergecap", "tcpdump")
pytestmark = pytest.mark.skipif(not all(map(shutil.which, PROGRAMS)), reason=f"needs {', '.join(PROGRAMS)}")

CONFIG = 'groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; }; };'
MS = 1_000_000
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35

FORMS = {
    "pcap": lambda link, packets: pcap(link, packets),
    "pcap-big": lambda link, packets: pcap(link, packets, order=">"),
    "nano": lambda link, packets: pcap(link, packets, 0xA1B23C4D),
    "nano-big": lambda link, packets: pcap(link, packets, 0xA1B23C4D, ">"),
    "modified": lambda link, packets: pcap(link, packets, 0xA1B2CD34),
    "snapped": lambda link, packets: pcap(link, packets, snap=120),
    "pcapng": lambda link, packets: pcapng(link, packets),
    "pcapng-big": lambda link, packets: pcapng(link, packets, ">"),
    "pcapng-obsolete": lambda link, packets: pcapng(link, packets, kind=2),
}


def contents(seed):
    """Packets of many kinds, at (time in ns)."""
    bytes_of = random.Random(seed).randbytes
    four, six = fragments4(bytes_of(4000), seed), fragments6(bytes_of(3000), seed)
    packets = [(0, ip4(udp(b"first of %d" % seed))), (5, ip6(udp(bytes_of(300)))), (8, ip4(bytes(20), protocol=6)),
               (15, four[1]), (16, four[2]), (17, four[0]),
               (25, ip6(bytes([60, 0, 5, 2, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0]) + udp(b"behind headers"), 0)),
               (30, six[0]), (31, six[1]), (32, fragments4(bytes(3000), seed + 1000)[1]),
               (40, ip4(udp(b"options"), options=b"\x94\x04\x00\x00")), (40, ip4(udp(b""))),
               (44, ip4(udp(b"padded")) + bytes(12)), (48, ip4(udp(bytes_of(1400))))]
    return [(START + offset * MS, packet) for offset, packet in packets]


def framed(link, packets):
    return [(time, frame) for time, frame in ((time, on_link(link, packet)) for time, packet in packets) if frame is not None]


NAMES = [f"{link}.{form}" for number, link in enumerate(LINKS) for form in
         list(FORMS)[number % 3::3]] + ["text2pcap.pcap", "text2pcap.nsecpcap", "text2pcap.pcapng", "editcap.modpcap",
                                        "editcap.nsecpcap", "editcap.pcapng", "editcap.snap", "mergecap.links",
                                        "tcpdump.any", "tcpdump.sll", "tcpdump.eth0", "tcpdump.nano", "tcpdump.snap"]


def quiet(*words, **options):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60, **options)


def write(directory, name, data):
    path = os.path.join(directory, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def make_with_tools(directory):
    """What Wireshark's tools write."""
    def path(name):
        return os.path.join(directory, name)

    text = write(directory, "text", b"".join(b"2025-11-24 19:33:19.%03d000\n0000 %s\n" % (at, os.urandom(30).hex(" ").encode()) for at in (1, 9, 40)))
    for form in ("pcap", "nsecpcap", "pcapng"):
        quiet("text2pcap", "-F", form, "-t", "%Y-%m-%d %H:%M:%S.%f", "-4", "192.0.2.1,233.252.0.1", "-u", "4000,5004", text,
              path(f"text2pcap.{form}"), env={**os.environ, "TZ": "UTC"})
    source = path(NAMES[0])
    for form in ("modpcap", "nsecpcap", "pcapng"):
        quiet("editcap", "-F", form, source, path(f"editcap.{form}"))
    quiet("editcap", "-F", "pcap", "-s", "200", source, path("editcap.snap"))
    quiet("mergecap", "-F", "pcapng", "-w", path("mergecap.links"), source, path("text2pcap.pcap"))


def capture_with_tcpdump(directory, net):
    """What tcpdump writes of a few datagrams of which one is sent in fragments."""
    ways = {"any": ("-i", "any"), "sll": ("-i", "any", "-y", "LINUX_SLL"), "eth0": ("-i", "eth0"),
            "nano": ("-i", "eth0", "--time-stamp-precision=nano"), "snap": ("-i", "eth0", "-s", "100")}
    processes = [(os.path.join(directory, f"tcpdump.{name}"), way) for name, way in ways.items()]
    with net.peer:
        running = [with_us.start(["tcpdump", "-U", "-Z", "root", "--immediate-mode", "-w", path, *way, "udp"],
                                 stderr=subprocess.PIPE, text=True) for path, way in processes]
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
    for process in running:
        while "listening" not in (line := process.stderr.readline()):
            assert line, "tcpdump does not listen"
    for payload in (b"one", bytes(5000), b"x" * 400, b"last"):
        sock.sendto(payload, ("233.252.0.77", 5004))
    for (path, _), process in zip(processes, running):
        wait_until(lambda path=path: open(path, "rb").read().endswith(b"last"), f"what tcpdump writes to {path}")
        process.terminate()
        process.communicate(timeout=15)


def interfaces(data):
    """How many a capture has."""
    if data[:4] != b"\x0a\x0d\x0d\x0a":
        return 1
    order, at, count = "<" if data[8] == 0x4D else ">", 0, 0
    while at < len(data):
        kind, size = struct.unpack_from(order + "II", data, at)
        count += kind == 1
        at += size
    return count


def read_with_tshark(directory):
    """{name: [(time in s, payload)]}, of all captures at once: starting tshark takes longer than they do."""
    merged = os.path.join(directory, "merged")
    quiet("mergecap", "-a", "-I", "none", "-F", "pcapng", "-w", merged, *NAMES, cwd=directory)
    rows = subprocess.run(["tshark", "-n", "-r", merged, "-T", "fields", "-e", "frame.interface_id", "-e", "frame.time_epoch",
                           "-e", "udp.length", "-e", "udp.payload", "-o", "ip.defragment:TRUE"],
                          check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60).stdout.splitlines()
    owner = []
    for name in NAMES:
        with open(os.path.join(directory, name), "rb") as file:
            owner += [name] * interfaces(file.read())
    read = {name: [] for name in NAMES}
    for row in rows:
        interface, time, length, payload = row.split("\t")
        data = bytes.fromhex(payload)
        if length and len(data) == int(length) - 8:  # all of it was captured
            read[owner[int(interface)]].append((float(time), data))
    return read


@pytest.fixture(scope="module")
def corpus(net, tmp_path_factory):
    """The directory of the captures, and what tshark reads in them."""
    directory = str(tmp_path_factory.mktemp("captures"))
    for seed, name in enumerate(name for name in NAMES if name.split(".")[0] in LINKS):
        link, form = name.split(".")
        write(directory, name, FORMS[form](LINKS[link][0], framed(link, contents(seed))))
    make_with_tools(directory)
    capture_with_tcpdump(directory, net)
    return directory, read_with_tshark(directory)


@pytest.fixture(scope="module")
def receiver(net):
    with tutorial_receiver(net.peer, "233.252.0.1", 5004) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
        yield sock


def receive_one(sock):
    data, control, _, _ = sock.recvmsg(LARGEST + 1, 64)
    seconds, nanoseconds = struct.unpack("@qq", next(value for level, kind, value in control if kind == SO_TIMESTAMPNS))
    return seconds + nanoseconds / 1e9, data


@pytest.mark.parametrize("name", NAMES)
def test_what_is_sent_is_what_tshark_reads(daemon, corpus, receiver, name):
    directory, read = corpus
    expected = read[name]
    assert expected

    def is_on_time():
        """Another program may hold one replay up, but not each. The payloads must always be right."""
        count = daemon.ctl("replay", os.path.join(directory, name), "news", json_output=True)["datagrams"]
        sent = [receive_one(receiver) for _ in range(count)]
        assert [data for _, data in sent] == [data for _, data in expected]
        return all(abs((time - sent[0][0]) - max(0, due - expected[0][0])) < 0.02 for (time, _), (due, _) in zip(sent, expected))

    wait_until(is_on_time, "a replay with the spacing of the capture", 60)
