"""The pcapng recorder, as Wireshark's and tcpdump's own readers see it."""

import datetime
import glob
import json
import os
import signal
import struct
import subprocess

import pytest

from harness.captures import INTERFACE, PACKET, SECTION, STATISTICS, blocks, statistics, tcpdump, tshark
from harness.peers import LARGEST, send
from harness.records import ALL_BYTES, HOSTILE, deliver, payload_of
from harness.waiting import wait_until

CONFIG = """
groups: {
  news:  { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["packets", "objects"]; };
  news6: { address = "ff15::1"; port = 5004; interfaces = ["eth0"]; handlers = ["packets", "objects"]; };
  side:  { address = "233.252.0.2"; port = 5005; interfaces = ["eth1"]; handlers = ["packets", "objects"]; };
  side6: { address = "ff15::2"; port = 5005; interfaces = ["eth1"]; handlers = ["packets", "objects"]; };
};
handlers: {
  packets: { type = "pcapng"; queue = "32M"; path = "$DIR/packets.pcapng"; };
  objects: { type = "file"; queue = "32M"; path = "$DIR/objects.ndjson"; format = "json"; };
};
"""

FIELDS = ("frame.time_epoch", "frame.interface_name", "frame.comment", "ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "ip.ttl",
          "ipv6.hlim", "udp.srcport", "udp.dstport", "udp.length", "ip.checksum.status", "udp.checksum.status")


def as_packet(record):
    """What tshark must say to a datagram of the JSON file."""
    instant = datetime.datetime.fromisoformat(record["timestamp"][:19] + "+00:00")
    time = f"{int(instant.timestamp())}.{record['timestamp'][20:29]}"
    v6 = ":" in record["source"]
    return [time, record["interface"], record["group"], *(["", record["source"]] if v6 else [record["source"], ""]),
            *(["", record["address"]] if v6 else [record["address"], ""]),
            *(["", str(record["ttl"])] if v6 else [str(record["ttl"]), ""]), str(record["sourcePort"]),
            str(record["port"]), str(record["size"] + 8), "" if v6 else "1", "1"]


def all_objects(daemon, name="objects.ndjson"):
    return [json.loads(line) for line in daemon.read(name).splitlines()]


def wait_written(daemon, *handlers):
    for name in handlers:
        wait_until(lambda: not daemon.handler(name)["queued"], f"{name} to have written all")


def test_packets_are_what_the_json_file_says(daemon, net, blast):
    for payload in (b"", b"x", ALL_BYTES, HOSTILE, os.urandom(LARGEST)):
        send(net.peer, payload, "233.252.0.1", 5004)
        send(net.peer, payload, "ff15::1", 5004)
    blast(net.peer, "233.252.0.1", 5004, 3000, 100)
    blast(net.peer, "ff15::1", 5004, 3000, 101)
    blast(net.side, "233.252.0.2", 5005, 3000, 1, interface="eth0")
    blast(net.side, "ff15::2", 5005, 1000, 1400, interface="eth0")
    for group, count in ("news", 3005), ("news6", 3005), ("side", 3000), ("side6", 1000):
        daemon.wait_arrived(group, count)
    wait_written(daemon, "packets", "objects")
    records = all_objects(daemon)
    lost = sum(daemon.group(group)["kernelDropped"] for group in ("news", "news6", "side", "side6"))
    assert len(records) + lost == 10_010 and len(records) > 5000
    path = daemon.path("packets.pcapng")
    assert tshark(path, *FIELDS) == [as_packet(record) for record in records]
    assert [row[0] for row in tshark(path, "udp.payload")] == [payload_of(record).hex() for record in records]
    lines = tcpdump(path)
    assert len(lines) == len(records) and all("udp sum ok" in line and "bad" not in line for line in lines)


def test_each_interface_is_described(daemon, net):
    send(net.peer, b"x", "233.252.0.1", 5004)
    send(net.side, b"x", "233.252.0.2", 5005, interface="eth0")
    wait_written(daemon, "packets")
    wait_until(lambda: {kind for kind, _ in blocks(daemon.read("packets.pcapng"))} >= {INTERFACE, PACKET}, "the blocks")
    rows = {tuple(row) for row in tshark(daemon.path("packets.pcapng"), "frame.interface_name",
                                         "frame.interface_description")}
    assert rows == {(name, f"UDP multicast that mcastd received on {name}") for name in ("eth0", "eth1")}


def test_rotated_files_stand_for_themselves(start, net):
    daemon = start(CONFIG)
    for number in range(3):
        send(net.peer, b"%d" % number, "233.252.0.1", 5004)
        send(net.side, b"%d" % number, "ff15::2", 5005, interface="eth0")
        wait_until(lambda: daemon.handler("packets")["delivered"] == 2 * (number + 1), "both to be written")
        daemon.signal(signal.SIGUSR1)
        wait_until(lambda: len(glob.glob(daemon.path("packets.*.pcapng"))) == number + 1, "a new file")
    wait_until(lambda: [kind for kind, _ in blocks(daemon.read("packets.pcapng"))] == [SECTION, INTERFACE], "its beginning")
    for path in glob.glob(daemon.path("packets.*.pcapng")):
        assert sorted(tshark(path, "frame.interface_name", "frame.comment")) == [["eth0", "news"], ["eth1", "side6"]]
        assert len(tcpdump(path)) == 2
        with open(path, "rb") as file:
            data = file.read()
        assert [kind for kind, _ in blocks(data)].count(SECTION) == 1
        assert set(statistics(data)) == {"eth0", "eth1"}


def readers(path, copy):
    """Programs that read a recording, and end with 0 where they can."""
    return ["capinfos", path], ["editcap", path, copy], ["mergecap", "-w", copy, path]


@pytest.mark.parametrize("link", ["raw", "ethernet"])
def test_every_reader_takes_a_recording_at_any_time(start, net, link):
    """Before anything has come, and after a rotation, too."""
    daemon = start(CONFIG.replace('type = "pcapng";', f'type = "pcapng"; link = "{link}";'))
    path = daemon.path("packets.pcapng")

    def check(packets):
        assert len(tcpdump(path)) == len(tshark(path, "frame.number")) == packets
        for command in readers(path, daemon.path("copy")):
            result = subprocess.run(command, capture_output=True, text=True)
            assert result.returncode == 0, (command, result.stderr)

    wait_until(lambda: os.path.exists(path) and os.path.getsize(path), "the file")
    check(0)
    deliver(daemon, net, b"x", "packets")
    check(1)
    daemon.ctl("rotate")
    wait_until(lambda: glob.glob(daemon.path("packets.*.pcapng")) and daemon.read("packets.pcapng"), "a new file")
    check(0)
    deliver(daemon, net, b"y", "packets")
    check(1)
    assert {row[0] for row in tshark(path, "frame.interface_name")} == {"eth0"}


def test_an_idle_recording_stays_as_it_is_over_restarts_and_rotations(start, directory):
    text = CONFIG.replace('type = "pcapng";', 'type = "pcapng"; rotate_every = "1s";')
    contents = set()
    for _ in range(3):
        daemon = start(text, directory=directory)
        wait_until(lambda: os.path.exists(daemon.path("packets.pcapng")) and daemon.read("packets.pcapng"), "the file")
        daemon.ctl("rotate")
        stop(daemon)
        contents.add(daemon.read("packets.pcapng"))
    assert len(contents) == 1 and not glob.glob(daemon.path("packets.*.pcapng"))


def test_packets_have_an_ethernet_header_when_wanted(start, net):
    daemon = start(CONFIG.replace('type = "pcapng";', 'type = "pcapng"; link = "ethernet";'))
    send(net.peer, b"x", "233.252.0.1", 5004)
    send(net.peer, b"y", "ff15::1", 5004)
    send(net.side, b"z", "233.252.0.2", 5005, interface="eth0")
    wait_until(lambda: daemon.handler("packets")["delivered"] == 3, "the datagrams")
    wait_until(lambda: len(tshark(daemon.path("packets.pcapng"), "frame.number")) == 3, "the packets")
    rows = sorted(tshark(daemon.path("packets.pcapng"), "udp.payload", "eth.dst", "frame.protocols", "frame.interface_name"))
    assert rows == [["78", "01:00:5e:7c:00:01", "eth:ethertype:ip:udp:data", "eth0"],
                    ["79", "33:33:00:00:00:01", "eth:ethertype:ipv6:udp:data", "eth0"],
                    ["7a", "01:00:5e:7c:00:02", "eth:ethertype:ip:udp:data", "eth1"]]
    sources = tshark(daemon.path("packets.pcapng"), "eth.src")
    assert all(source.startswith("02:00:") for source, in sources)
    assert len(tcpdump(daemon.path("packets.pcapng"))) == 3
    daemon.ctl("replay", daemon.path("packets.pcapng"), "news")
    assert daemon.group("news")["sent"] == 3


@pytest.mark.parametrize("first, second", [("raw", "ethernet"), ("ethernet", "raw")])
def test_a_recording_of_the_other_link_type_is_set_aside(start, net, directory, first, second):
    text = CONFIG.replace('type = "pcapng";', 'type = "pcapng"; link = "%s";')
    daemon = start(text % first, directory=directory)
    deliver(daemon, net, b"before", "packets")
    daemon.write_config(text % second)
    daemon.ctl("reload")
    deliver(daemon, net, b"after", "packets")
    aside, = glob.glob(daemon.path("packets.pcapng.*.aside"))
    assert [row[0] for row in tshark(aside, "udp.payload")] == [b"before".hex()]
    assert [row[0] for row in tshark(daemon.path("packets.pcapng"), "udp.payload")] == [b"after".hex()]


@pytest.mark.parametrize("left", ["nothing", "a-part"])
@pytest.mark.parametrize("link", ["raw", "ethernet"])
def test_a_recording_that_is_truncated_while_packets_wait_loses_none(start, net, directory, link, left):
    """What waits was to continue the section that is gone: it comes after a new header, with its interfaces."""
    daemon = start(CONFIG.replace('type = "pcapng";', f'type = "pcapng"; link = "{link}"; flush = "1h";'), directory=directory)
    path = daemon.path("packets.pcapng")
    for number in range(3):
        send(net.peer, b"%d" % number, "233.252.0.1", 5004)
        wait_until(lambda: daemon.handler("packets")["queued"] == 1, "the datagram to wait")
        if number:
            os.truncate(path, 0 if left == "nothing" else os.path.getsize(path) - 1)
        daemon.ctl("rotate", "packets")
        wait_until(lambda: daemon.handler("packets")["delivered"] == number + 1, "it to be written")
    stop(daemon)
    written = sorted(glob.glob(daemon.path("packets.*Z*.pcapng")))
    assert [[row[0] for row in tshark(path, "udp.payload")] for path in written] == [[(b"%d" % number).hex()] for number in range(3)]
    assert [len(tcpdump(path)) for path in written] == [1, 1, 1]
    with open(written[-1], "rb") as file:
        assert statistics(file.read()) == {"eth0": (1, 0, 1)}


def stop(daemon):
    """Stops a daemon and keeps its directory."""
    daemon.owned_directory = False
    daemon.stop()


def restart(daemon, start, config=CONFIG):
    stop(daemon)
    return start(config, directory=daemon.directory)


def test_recordings_end_with_their_statistics(start, net, directory):
    daemon = start(CONFIG, directory=directory)
    deliver(daemon, net, b"x", "packets")
    deliver(daemon, net, b"y", "packets")
    stop(daemon)
    assert statistics(daemon.read("packets.pcapng")) == {"eth0": (2, 0, 2)}
    assert list(blocks(daemon.read("packets.pcapng")))[-1][0] == STATISTICS


def test_each_file_has_the_statistics_of_its_own_packets(start, net, directory):
    daemon = start(CONFIG, directory=directory)
    for count in (3, 2):
        for _ in range(count):
            deliver(daemon, net, b"x", "packets")
        daemon.ctl("rotate", "packets")
    wait_until(lambda: len(glob.glob(daemon.path("packets.*Z*.pcapng"))) == 2, "the files")
    deliver(daemon, net, b"last", "packets")
    stop(daemon)
    paths = [*sorted(glob.glob(daemon.path("packets.*Z*.pcapng"))), daemon.path("packets.pcapng")]
    assert [statistics(daemon.read(path)) for path in paths] == [{"eth0": (3, 0, 3)}, {"eth0": (2, 0, 2)}, {"eth0": (1, 0, 1)}]


def test_the_statistics_tell_what_the_queue_and_the_kernel_dropped(start, net, directory, blast):
    daemon = start(CONFIG.replace("handlers = [", 'receive_buffer = "64K"; handlers = [')
                   .replace('type = "pcapng";', 'type = "pcapng"; queue_datagrams = 300;'), directory=directory)
    deliver(daemon, net, b"first", "packets")
    for _ in range(5):
        daemon.pause()
        blast(net.peer, "233.252.0.1", 5004, 2000, 10)
        daemon.resume()
    while not daemon.handler("packets")["dropped"]["queue"]:
        blast(net.peer, "233.252.0.1", 5004, 20000, 10)
    daemon.wait_idle("packets")
    handler = daemon.handler("packets")
    deliver(daemon, net, b"last", "packets")
    handler, kernel = daemon.handler("packets"), daemon.group("news")["kernelDropped"]
    stop(daemon)
    assert kernel and handler["dropped"]["queue"]
    assert statistics(daemon.read("packets.pcapng"), (4, 5, 7, 8))["eth0"] == (
        handler["received"], handler["dropped"]["queue"], kernel, handler["delivered"])


def test_a_recording_is_continued_in_a_new_section(start, net, directory):
    daemon = start(CONFIG, directory=directory)
    deliver(daemon, net, b"first", "packets")
    daemon = restart(daemon, start)
    deliver(daemon, net, b"second", "packets")
    stop(daemon)
    path = daemon.path("packets.pcapng")
    assert [row[0] for row in tshark(path, "udp.payload")] == [b"first".hex(), b"second".hex()]
    assert len(tcpdump(path)) == 2
    assert [kind for kind, _ in blocks(daemon.read("packets.pcapng"))].count(SECTION) == 2


def test_a_torn_recording_is_mended_at_the_start(start, net, directory):
    daemon = start(CONFIG, directory=directory)
    deliver(daemon, net, b"whole", "packets")
    stop(daemon)
    whole = daemon.read("packets.pcapng")
    with open(daemon.path("packets.pcapng"), "ab") as file:
        file.write(whole[:50])
    daemon = start(CONFIG, directory=directory)
    wait_until(lambda: daemon.read("packets.pcapng") == whole, "the file to be mended")
    daemon.wait_logged("packets.pcapng: cut off 50 bytes")
    deliver(daemon, net, b"next", "packets")
    assert [row[0] for row in tshark(daemon.path("packets.pcapng"), "udp.payload")] == [b"whole".hex(), b"next".hex()]


def test_a_recording_with_a_gap_is_set_aside_as_it_is(start, net, directory):
    """As a loss of power leaves it when pages reach the disk out of order."""
    daemon = start(CONFIG, directory=directory)
    for number in range(50):
        send(net.peer, bytes(200), "233.252.0.1", 5004)
    wait_until(lambda: daemon.handler("packets")["delivered"] == 50, "the packets to be written")
    stop(daemon)
    path = daemon.path("packets.pcapng")
    damaged = bytearray(daemon.read("packets.pcapng"))
    assert len(damaged) > 12288
    damaged[4096:8192] = bytes(4096)
    with open(path, "wb") as file:
        file.write(damaged)
    daemon = start(CONFIG, directory=directory)
    deliver(daemon, net, b"next", "packets")
    aside, = glob.glob(path + ".*.aside")
    with open(aside, "rb") as file:
        assert file.read() == damaged
    assert [row[0] for row in tshark(path, "udp.payload")] == [b"next".hex()]
    line, = (line for line in daemon.log().splitlines() if os.path.basename(aside) in line)
    assert "packets.pcapng: what it has from byte " in line and "nothing was cut off" in line, line
    assert "cut off " not in daemon.log().replace(line, "")


@pytest.mark.parametrize("foreign", [b"not a recording", b"\xd4\xc3\xb2\xa1" + bytes(20),
                                     struct.pack("<IIIHHq", SECTION, 28, 0x1A2B3C4D, 1, 0, -1) + struct.pack("<I", 28)
                                     + struct.pack("<IIHHII", INTERFACE, 20, 101, 0, 262144, 20)],
                         ids=["text", "pcap", "raw"])
def test_what_is_no_recording_of_ours_is_set_aside(start, net, directory, foreign):
    path = os.path.join(directory, "packets.pcapng")
    with open(path, "wb") as file:
        file.write(foreign)
    daemon = start(CONFIG, directory=directory)
    deliver(daemon, net, b"x", "packets")
    aside, = glob.glob(path + ".*.aside")
    with open(aside, "rb") as file:
        assert file.read() == foreign
    assert os.path.basename(aside) in daemon.log()
    assert len(tshark(path, "frame.number")) == 1


def test_the_statistics_tell_what_the_kernel_dropped_of_many_groups(start, net, directory, blast):
    count = 100
    rows = "".join(f'g{n}: {{ address = "233.252.0.{n + 1}"; port = 5004; interfaces = ["eth0"]; receive_buffer = "4K"; '
                   f'handlers = ["packets"]; }};\n' for n in range(count))
    daemon = start(f"""groups: {{ {rows} }};
      handlers: {{ packets: {{ type = "pcapng"; queue = "32M"; path = "$DIR/packets.pcapng"; }}; }};""", directory=directory)
    for _ in range(3):
        daemon.pause()
        for number in range(count):
            blast(net.peer, f"233.252.0.{number + 1}", 5004, 30, 10)
        daemon.resume()
        daemon.wait_idle("packets")

    def total(*names):
        return sum(group[name] for group in daemon.call("ListGroups")["groups"] for name in names)
    wait_until(lambda: total("received", "kernelDropped") == 90 * count, "all to be counted")
    kernel = total("kernelDropped")
    daemon.wait_idle("packets")
    stop(daemon)
    assert kernel > count
    assert statistics(daemon.read("packets.pcapng"), (7,))["eth0"] == (kernel,)


def test_a_reload_in_a_flood_loses_nothing_of_what_was_written(start, net, blast):
    config = CONFIG.replace('type = "pcapng";', 'type = "pcapng"; flush = "%s";')
    config = config.replace('handlers = ["packets", "objects"]', 'handlers = ["packets"]')
    daemon = start(config % "100ms")
    for number in range(3):
        blast(net.peer, "233.252.0.1", 5004, 20_000, 200)
        daemon.write_config(config % f"{number + 1}ms")
        daemon.ctl("reload")
        daemon.ctl("reload", "--dry-run")
    daemon.wait_arrived("news", 60_000)
    handler = daemon.wait_idle("packets")
    paths = glob.glob(daemon.path("packets*.pcapng"))
    assert not glob.glob(daemon.path("*.aside"))
    assert sum(len(tshark(path, "frame.number")) for path in paths) == handler["delivered"]
    assert not handler["dropped"]["io"]
