"""mcastctl replay: a recording is sent again, with its own spacing."""

import gzip
import json
import re
import shutil
import signal
import struct
import subprocess
import time

import pytest

from harness.daemon import MCASTCTL
from harness.pcaps import MACS, S, START, block, ip4, ip6, udp
from harness.peers import LARGEST, receive, tutorial_receiver
from harness.programs import resident
from harness.records import ALL_BYTES, HOSTILE, wait_objects
from harness.terminal import run_in_terminal
from harness.waiting import TIMEOUT, wait_until

CONFIG = """
groups: {
  news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; };
  six:  { address = "ff15::1"; port = 5004; interfaces = ["eth0"]; };
  timed: { address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; handlers = ["objects"]; };
};
handlers: { objects: { type = "file"; path = "$DIR/objects"; format = "json"; }; };
"""

RAW, ETHERNET = 101, 1


def preface(link=RAW, resolution=9, order="<"):
    """A section header and one interface."""
    options = struct.pack(order + "HHB3xHH", 9, 1, resolution, 0, 0)
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order) + \
        block(1, struct.pack(order + "HHI", link, 0, 0) + options, order)


def packet(timestamp, data, order="<"):
    return block(6, struct.pack(order + "5I", 0, timestamp >> 32, timestamp & 0xFFFFFFFF, len(data), len(data)) + data,
                 order)


def recording(payloads, spacing=0):
    """A recording of these payloads, with as many nanoseconds between them."""
    return preface() + b"".join(packet(START + i * spacing, ip4(udp(p))) for i, p in enumerate(payloads))


@pytest.fixture
def save(tmp_path):
    def save(data, name="recording.pcapng"):
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return save


@pytest.fixture
def receiver(net):
    with tutorial_receiver(net.peer, "233.252.0.1", 5004) as sock:
        yield sock


def assert_nothing_more(sock):
    sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        sock.recv(LARGEST)


# What is sent


def test_the_payloads_come_in_their_order_and_exact(daemon, receiver, save):
    payloads = [b"first", ALL_BYTES, b"", HOSTILE, b"x" * LARGEST, b"last"]
    output = daemon.ctl("replay", save(recording(payloads)), "news")
    assert output.startswith("replayed 6 datagrams in 0.") and output.count("\n") == 1
    assert receive(receiver, len(payloads)) == payloads
    assert_nothing_more(receiver)


def test_a_recording_of_one_family_may_go_to_the_other(daemon, net, save):
    with tutorial_receiver(net.peer, "ff15::1", 5004) as sock:
        daemon.ctl("replay", save(recording([b"over six"])), "six")
        assert receive(sock) == [b"over six"]


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
def test_what_other_programs_write_is_read(daemon, receiver, save, order):
    data = preface(ETHERNET, 6, order) + packet(7, MACS + b"\x08\x00" + ip4(udp(b"ether")) + bytes(9), order) + \
        packet(8, MACS + b"\x81\x00\x00\x05\x86\xdd" + ip6(udp(b"vlan")), order) + \
        preface(113, 6, order) + packet(9, bytes(14) + b"\x08\x00" + ip4(udp(b"cooked")), order) + \
        preface(276, 0x8A, order) + packet(7, b"\x86\xdd" + bytes(18) + ip6(udp(b"cooked 2")), order)
    assert "replayed 4 datagrams" in daemon.ctl("replay", save(data), "news", "--speed", "max")
    assert receive(receiver, 4) == [b"ether", b"vlan", b"cooked", b"cooked 2"]


@pytest.mark.skipif(not all(map(shutil.which, ("text2pcap", "editcap", "mergecap"))), reason="Wireshark's tools are not there")
def test_what_wiresharks_tools_make_is_read(daemon, receiver, save, tmp_path):
    text = save(b"0000 68 65 6c 6c 6f\n0000 77 6f 72 6c 64\n", "text")
    pcap, pcapng, merged = (str(tmp_path / name) for name in ("a.pcap", "a.pcapng", "merged"))
    run = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["text2pcap", "-F", "pcap", "-u", "4000,5004", text, pcap], **run)
    subprocess.run(["editcap", "-F", "pcapng", pcap, pcapng], **run)
    subprocess.run(["mergecap", "-a", "-F", "pcapng", "-w", merged, pcapng, save(recording([b"ours"]))], **run)
    assert "replayed 3 datagrams" in daemon.ctl("replay", merged, "news", "--speed", "max")
    assert receive(receiver, 3) == [b"hello", b"world", b"ours"]
    assert "replayed 2 datagrams" in daemon.ctl("replay", pcap, "news", "--speed", "max")
    assert receive(receiver, 2) == [b"hello", b"world"]


MIXED = preface() + b"".join(packet(START, data) for data in (
    ip4(udp(b"good")), ip4(bytes(20), protocol=6), ip4(udp(b"part....."[:8]), fragment=0x2000), ip4(udp(b"cut"))[:-1],
    ip4(struct.pack(">4H", 1, 2, 3, 4))))


def test_what_cannot_be_sent_is_counted_in_words(daemon, receiver, save):
    words = daemon.ctl("replay", save(MIXED), "news")
    assert words.startswith("replayed 1 datagram in ")
    assert words.endswith("; skipped 1 not UDP, 1 of which fragments are missing, 1 not captured as a whole, "
                          "1 with broken headers\n")
    assert receive(receiver) == [b"good"]


def test_json_is_one_object_of_numbers(daemon, receiver, save):
    numbers = daemon.ctl("replay", save(MIXED), "news", json_output=True)
    assert (numbers["datagrams"], numbers["bytes"]) == (1, 4) and 0 <= numbers["seconds"] < 1
    assert numbers["skipped"] == {"notUdp": 1, "fragmented": 1, "cut": 1, "broken": 1, "link": 0, "notSelected": 0,
                                  "noGroup": 0, "severalGroups": 0, "tooLarge": 0, "refused": 0}


# When


def wait_within(seconds, measure):
    """Measures until the result, which is in seconds, is so little: a machine that is busy delays one replay, not each."""
    wait_until(lambda: measure() < seconds, f"less than {seconds} s", 60)


def test_the_spacing_is_that_of_the_recording(daemon, save):
    offsets = [0, S // 100, S // 50, S // 2, S // 2, S // 2 + 1, S]
    path = save(preface() + b"".join(packet(START + t, ip4(udp(str(t).encode()))) for t in offsets))
    count = 0

    def largest_error():
        nonlocal count
        daemon.ctl("replay", path, "timed")
        count += len(offsets)
        records = wait_objects(daemon, "objects", "timed", count)[-len(offsets):]
        assert [int(record["text"]) for record in records] == offsets
        times = [float(record["timestamp"][17:-1]) for record in records]
        return max(abs((seconds - times[0]) % 60 - offset / S) for seconds, offset in zip(times, offsets))

    wait_within(0.03, largest_error)


@pytest.mark.parametrize("speed, expected", [("0.5", 1), ("2", 0.25), ("10", 0.05), ("max", 0)])
def test_speed_is_a_factor(daemon, save, speed, expected):
    path = save(recording([b"x"] * 11, spacing=S // 20))

    def late():
        numbers = daemon.ctl("replay", path, "news", "--speed", speed, json_output=True)
        assert numbers["datagrams"] == 11 and numbers["seconds"] >= expected
        return numbers["seconds"] - expected

    wait_within(0.03, late)


def test_timestamps_that_go_back_hold_nothing_up(daemon, receiver, save):
    path = save(preface() + b"".join(packet(START + t, ip4(udp(b"x"))) for t in (0, -9 * S, S // 10, -S, 0)))

    def late():
        numbers = daemon.ctl("replay", path, "news", json_output=True)
        assert numbers["datagrams"] == 5 and numbers["seconds"] >= 0.1
        return numbers["seconds"] - 0.1

    wait_within(0.1, late)


@pytest.mark.long
def test_thirty_seconds_end_within_thirty_milliseconds(daemon, receiver, save):
    """What it says itself, and what arrives; without the time that starting a sanitized program takes."""
    path = save(recording([b"x" * 100] * 30001, spacing=S // 1000))
    with daemon.ctl_start("--json", "replay", path, "news") as process:
        receive(receiver)
        start = time.monotonic()
        receive(receiver, 30000)
        seconds = time.monotonic() - start
        output, _ = process.communicate(timeout=15)
    numbers = json.loads(output)
    assert numbers["datagrams"] == 30001
    assert abs(seconds - 30) < 0.03 and abs(numbers["seconds"] - 30) < 0.03, (seconds, numbers)


# For how long


def interrupt(process, number=signal.SIGINT):
    process.send_signal(number)
    output, words = process.communicate(timeout=TIMEOUT)
    return output.decode(), words.decode()


def test_a_loop_goes_on_until_it_is_interrupted(daemon, receiver, save):
    path = save(recording([b"a", b"b", b"c"], spacing=S // 100))
    with daemon.ctl_start("replay", path, "news", "--loop") as process:
        assert receive(receiver, 30) == [b"a", b"b", b"c"] * 10
        output, words = interrupt(process)
    assert process.returncode == 0 and not words
    assert int(output.split()[1]) >= 30


def test_a_loop_keeps_the_mean_spacing_between_its_turns(daemon, receiver, save):
    path = save(recording([b"a", b"b", b"c"], spacing=S // 20))
    with daemon.ctl_start("replay", path, "news", "--loop") as process:
        def error():
            receive(receiver)
            start = time.monotonic()
            receive(receiver, 21)
            return abs(time.monotonic() - start - 21 / 20)

        wait_within(0.05, error)
        interrupt(process)


def test_a_loop_without_datagrams_is_refused(daemon, save):
    assert "no packet in it" in daemon.ctl("replay", save(preface()), "news", "--loop", status=1)


def test_interrupted_before_the_end_it_says_so(daemon, receiver, save):
    path = save(recording([b"a", b"b"], spacing=3600 * S))
    with daemon.ctl_start("replay", path, "news") as process:
        assert receive(receiver) == [b"a"]
        output, words = interrupt(process, signal.SIGTERM)
    assert process.returncode == 1
    assert output.startswith("replayed 1 datagram in ") and "interrupted" in words


# From where


def stream(daemon):
    """mcastctl replay of its standard input."""
    return subprocess.Popen([MCASTCTL, "-s", daemon.control_path, "replay", "-", "news"], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_stream_is_sent_as_it_comes(daemon, receiver):
    with stream(daemon) as process:
        for start, payload in (preface(), b"one"), (b"", b"two"):
            process.stdin.write(start + packet(START, ip4(udp(payload))))
            process.stdin.flush()
            assert receive(receiver) == [payload]
        output, _ = process.communicate(timeout=15)
    assert process.returncode == 0 and output.startswith(b"replayed 2 datagrams")


def test_a_stream_may_come_in_any_pieces(daemon, receiver):
    with stream(daemon) as process:
        for byte in recording([b"one", b"two"]):
            process.stdin.write(bytes([byte]))
            process.stdin.flush()
        process.communicate(timeout=15)
    assert process.returncode == 0 and receive(receiver, 2) == [b"one", b"two"]


def test_a_stream_that_is_silent_can_be_interrupted(daemon, receiver):
    with stream(daemon) as process:
        process.stdin.write(recording([b"one"]))
        process.stdin.flush()
        assert receive(receiver) == [b"one"]
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 1
        assert process.stdout.read().startswith(b"replayed 1 datagram in ")


def test_memory_does_not_grow_with_the_recording(daemon, receiver):
    """A block that says it is 4 GB, and 50 MB of it."""
    with stream(daemon) as process:
        process.stdin.write(recording([b"one"]))
        process.stdin.flush()
        receive(receiver)
        before = resident(process.pid)
        process.stdin.write(struct.pack("<II", 0xBAD, 0xFFFFFFF0))
        for _ in range(50):
            process.stdin.write(bytes(1000000))
        process.stdin.flush()
        grown = resident(process.pid) - before
        output, words = process.communicate(timeout=15)
    assert process.returncode == 1 and b"cut short" in words and output.startswith(b"replayed 1 datagram")
    assert grown < 3.9


def test_a_recording_of_what_is_being_replayed_has_an_end(daemon, receiver, save):
    """As when the recorder of the group still writes to the file."""
    path = save(recording([b"one", b"two"], spacing=S // 2))
    with daemon.ctl_start("replay", path, "news") as process:
        assert receive(receiver) == [b"one"]
        with open(path, "ab") as file:
            file.write(packet(START + S, ip4(udp(b"three"))))
        output, _ = process.communicate(timeout=15)
    assert process.returncode == 0 and output.startswith(b"replayed 2 datagrams in ")
    assert receive(receiver) == [b"two"]


# What is refused


@pytest.mark.parametrize("data, reason", [
    (b"", "tcpdump writes"), (b"x", "neither a pcap nor a pcapng"),
    (b'{"group":"news","text":"x"}\n', "neither a pcap nor a pcapng"),
    (gzip.compress(recording([b"x"])), "zcat"),
    (struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1), "no packet in it"),
], ids=["empty", "byte", "json", "gzip", "header"])
def test_what_is_no_capture_is_refused_with_advice(daemon, save, data, reason):
    words = daemon.ctl("replay", save(data), "news", status=1)
    assert reason in words and "recording.pcapng" in words


@pytest.mark.parametrize("tail, reason", [
    (packet(START, ip4(udp(b"torn")))[:-5], "cut short"),
    (block(6, struct.pack("<5I", 0, 0, 0, 99, 99) + b"short"), "goes past its block"),
    (block(6, struct.pack("<5I", 7, 0, 0, 0, 0)), "not described"),
    (struct.pack("<II", 6, 2), "impossible length"),
    (struct.pack("<II", 6, 0x7FFFFFFC), "larger than"),
], ids=["torn", "past", "interface", "length", "huge"])
def test_what_is_malformed_is_named_by_its_place(daemon, receiver, save, tail, reason):
    whole = recording([b"one", b"two"])
    words = daemon.ctl("replay", save(whole + tail), "news", status=1)
    assert reason in words and f"at byte {len(whole)}:" in words
    assert receive(receiver, 2) == [b"one", b"two"]


@pytest.mark.parametrize("file, group, reason", [
    ("/nonexistent.pcapng", "news", "/nonexistent.pcapng: No such file or directory"),
    ("/", "news", "/: Is a directory"), (None, "nobody", 'there is no group "nobody"'),
], ids=["nothing", "directory", "group"])
def test_what_cannot_be_replayed_exits_with_1_and_the_reason(daemon, save, file, group, reason):
    path = save(recording([b"x"] * 1000))
    words = daemon.ctl("replay", file or path, group, status=1)
    assert words.startswith("mcastctl: replay: ") and reason in words and words.count("\n") == 1


def test_a_group_in_the_place_of_the_file_is_told_the_order(daemon, save):
    words = daemon.ctl("replay", "news", save(recording([b"x"])), status=1)
    assert words == "mcastctl: replay: news: No such file or directory; the file comes first\n"


def test_too_large_for_a_datagram_is_refused_by_number_and_the_rest_sent(daemon, receiver, save):
    large = packet(START, ip6(udp(bytes(LARGEST + 1))))
    data = recording([b"good"]) + large + large + packet(START, ip4(udp(b"last")))
    words = daemon.ctl("replay", save(data), "news", status=1)
    assert words.startswith("mcastctl: replay: datagram 2: the payload has ") and words.count("\n") == 1
    assert receive(receiver, 2) == [b"good", b"last"]


@pytest.mark.parametrize("arguments", [
    (), ("FILE", "news", "x"), ("FILE", "news", "--speed", "0"), ("FILE", "news", "--speed", "fast"),
    ("FILE", "news", "--speed", "-1"), ("-", "news", "--loop"),
], ids=lambda arguments: " ".join(arguments) or "nothing")
def test_wrong_usage_exits_with_2(daemon, arguments):
    assert "--help" in daemon.ctl("replay", *arguments, status=2)


def test_when_the_daemon_goes_away_it_says_so(start, save):
    daemon = start('groups: { x: { address = "233.252.0.9"; port = 5004; interfaces = ["lo"]; }; };')
    path = save(recording([b"a", b"b"], spacing=3600 * S))
    with daemon.ctl_start("replay", path, "x") as process:
        wait_until(lambda: daemon.group("x")["sent"], "the first datagram")
        daemon.stop()
        _, words = process.communicate(timeout=15)
    assert process.returncode == 1 and b"has gone away" in words


def test_without_a_daemon_it_exits_with_3(save, tmp_path):
    result = subprocess.run([MCASTCTL, "-s", str(tmp_path / "none"), "replay", save(recording([b"x"])), "news"],
                            stderr=subprocess.PIPE, text=True)
    assert result.returncode == 3 and f"no mcastd at {tmp_path}/none" in result.stderr


def test_the_number_of_datagrams_is_what_the_daemon_sent(daemon, save):
    before = daemon.group("news")["sent"]
    words = json.loads(subprocess.run(
        [MCASTCTL, "-s", daemon.control_path, "--json", "replay", save(recording([b"x" * 100] * 5000)), "news"],
        check=True, stdout=subprocess.PIPE).stdout)
    assert words["datagrams"] == 5000 == daemon.group("news")["sent"] - before


# Progress


def test_a_terminal_sees_how_far_it_is_and_then_nothing(daemon, save):
    path = save(recording([b"x" * 100] * 30, spacing=100_000_000))
    status, output = run_in_terminal([MCASTCTL, "-s", daemon.control_path, "replay", path, "news"], err_only=True)
    assert status == 0
    lines = output.split("\r")
    shown = [line.rstrip() for line in lines[:-1]]
    assert re.fullmatch(r"(1\.\ds|999ms), \d\d %, [12]\.\ds to go, 1\d datagrams, (9\.\d|1\d)/s", shown[0]), output
    assert re.fullmatch(r"2\.\ds, ([6-9]\d|100) %, .*s to go, [23]\d datagrams, (9\.\d|1\d)/s", shown[-1]), output
    assert 3 <= len(shown) <= 11  # of 2 s
    assert all(len(line) < 80 for line in lines) and lines[-1] == "\x1b[K"


@pytest.mark.parametrize("environment, count", [({}, 2), ({"TERM": "dumb"}, 12)], ids=["short", "dumb"])
def test_no_progress_of_what_is_soon_over_or_on_a_dumb_terminal(daemon, save, environment, count):
    path = save(recording([b"x"] * count, spacing=100_000_000))
    status, output = run_in_terminal([MCASTCTL, "-s", daemon.control_path, "replay", path, "news"], err_only=True,
                                     **environment)
    assert (status, output) == (0, "")
