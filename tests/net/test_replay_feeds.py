"""mcastctl replay of a capture with many feeds: which datagrams are sent, and where to."""

import json
import struct
import subprocess

import pytest

from harness import with_us
from harness.daemon import MCASTCTL
from harness.pcaps import GROUP6, S, START, block, fragments4, fragments6, ip4, ip6, on_link, pcap, pcapng, udp
from harness.peers import LARGEST, receive, tutorial_receiver

CONFIG = """
groups: {
  a: { address = "233.252.0.1"; port = 5001; interfaces = ["eth0"]; };
  b: { address = "233.252.0.2"; port = 5002; interfaces = ["eth0"]; };
  six: { address = "ff15::1"; port = 5004; interfaces = ["eth0"]; };
  other: { address = "233.252.0.9"; port = 5009; interfaces = ["eth0"]; };
  twice1: { address = "233.252.0.7"; port = 5007; interfaces = ["eth0"]; };
  twice2: { address = "233.252.0.7"; port = 5007; interfaces = ["eth1"]; };
  ssm1: { address = "232.252.0.7"; port = 5007; interfaces = ["eth0"]; sources = ["192.0.2.1"]; };
  ssm2: { address = "232.252.0.7"; port = 5007; interfaces = ["eth0"]; sources = ["192.0.2.2"]; };
  closed: { address = "233.252.0.10"; port = 5010; interfaces = ["eth0"]; send_interface = "nowhere"; };
};
"""

RAW = 101


def to(last, port, payload, source=1):
    return ip4(udp(payload, port), group=bytes([233, 252, 0, last]), source=bytes([192, 0, 2, source]))


def capture(*packets, spacing=0):
    return pcap(RAW, [(START + number * spacing, data) for number, data in enumerate(packets)])


FEEDS = capture(to(1, 5001, b"a1"), to(2, 5002, b"b1"), to(3, 5003, b"c1"), to(1, 5001, b"a2", 2), ip6(udp(b"six"), group=GROUP6),
                to(3, 5003, b"c2"), to(1, 5555, b"port"))


@pytest.fixture
def save(tmp_path):
    def save(data, name="capture"):
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return save


@pytest.fixture(scope="module")
def receivers(net):
    """By the last byte of the address."""
    socks = {last: tutorial_receiver(net.peer, f"233.252.0.{last}", port) for last, port in
             ((1, 5001), (2, 5002), (3, 5003), (9, 5009))}
    socks[6] = tutorial_receiver(net.peer, "ff15::1", 5004)
    yield socks
    for sock in socks.values():
        sock.close()


def replay(daemon, *arguments, status=0, **options):
    """(what is on standard output, what is on standard error)."""
    result = subprocess.run([MCASTCTL, "-s", daemon.control_path, "replay", *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=60, **options)
    words = result.stdout.decode(), result.stderr.decode()
    assert result.returncode == status and "Sanitizer" not in words[1], (arguments, result)
    return words


# Where to


def test_without_a_group_each_datagram_goes_to_the_group_of_its_address_and_port(daemon, receivers, save):
    output, words = replay(daemon, save(FEEDS))
    assert output.startswith("replayed 4 datagrams in ") and output.endswith("; skipped 3 to addresses of no group\n")
    assert words == ("mcastctl: replay: no group has 233.252.0.3:5003 (2), 233.252.0.1:5555 (1): "
                     "--map ADDRESS:PORT=GROUP sends it to a group or TARGET\n")
    assert receive(receivers[1], 2) == [b"a1", b"a2"]
    assert receive(receivers[2]) == [b"b1"] and receive(receivers[6]) == [b"six"]


def test_a_map_to_a_group_or_a_target_is_used(daemon, net, receivers, save):
    with net.host:
        result = subprocess.run([MCASTCTL, "-s", daemon.control_path, "replay", save(FEEDS), "--map", "233.252.0.3:5003=other",
                                 "--map", "233.252.0.0/24:5555=233.252.0.9:5009%eth0"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert result.returncode == 0 and result.stdout.startswith("replayed 7 datagrams") and not result.stderr, result
    assert sorted(receive(receivers[9], 3)) == [b"c1", b"c2", b"port"]
    assert receive(receivers[1], 2) == [b"a1", b"a2"]
    assert receive(receivers[2]) == [b"b1"] and receive(receivers[6]) == [b"six"]


def test_what_no_map_has_goes_to_the_group_of_the_command_line(daemon, receivers, save):
    replay(daemon, save(FEEDS), "other", "--map", "233.252.0.3=b")
    assert receive(receivers[9], 5) == [b"a1", b"b1", b"a2", b"six", b"port"]
    assert receive(receivers[2], 2) == [b"c1", b"c2"]


def test_maps_to_targets_need_no_daemon(net, receivers, save):
    with net.host:
        result = subprocess.run([MCASTCTL, "replay", save(FEEDS), "--map", "233.252.0.3=233.252.0.9:5009%eth0"],
                                env={"MCASTD_SOCKET": "/nonexistent/socket"}, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0 and result.stdout.startswith("replayed 2 datagrams"), result
    assert receive(receivers[9], 2) == [b"c1", b"c2"]


def test_several_groups_of_one_address_are_no_choice_for_the_program(daemon, save):
    output, words = replay(daemon, save(capture(to(7, 5007, b"x"), to(1, 5001, b"y"))), "--only", "233.252.0.7", status=1)
    assert not output and "several groups have 233.252.0.7:5007 (1): --map " in words and "nothing was sent" in words


def test_of_groups_of_one_address_that_of_the_source_is_meant(daemon, save):
    def packet(source):
        return ip4(udp(b"x", 5007), group=bytes([232, 252, 0, 7]), source=bytes([192, 0, 2, source]))

    before = [daemon.group(name)["sent"] for name in ("ssm1", "ssm2")]
    replay(daemon, save(capture(packet(1), packet(2), packet(2))))
    assert [daemon.group(name)["sent"] - sent for name, sent in zip(("ssm1", "ssm2"), before)] == [1, 2]


# Which


@pytest.mark.parametrize("options, sent", [
    (("--only", "233.252.0.1"), [b"a1", b"a2", b"port"]), (("--only", "233.252.0.1:5001"), [b"a1", b"a2"]),
    (("--only", "233.252.0.1:5001", "--only", "ff15::1"), [b"a1", b"a2", b"six"]),
    (("--only", "[ff15::1]:5004"), [b"six"]), (("--only", "233.252.0.2/31"), [b"b1", b"c1", b"c2"]),
    (("--source", "192.0.2.2"), [b"a2"]), (("--source", "192.0.2.2:4000", "--source", "192.0.2.9"), [b"a2"]),
    (("--only", "233.252.0.1:5001", "--source", "192.0.2.1"), [b"a1"]),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_only_what_is_selected_is_sent(daemon, receivers, save, options, sent):
    output, words = replay(daemon, save(FEEDS), "other", *options)
    assert output.startswith(f"replayed {len(sent)} datagram") and output.endswith(f"; skipped {7 - len(sent)} not selected\n")
    assert receive(receivers[9], len(sent)) == sent and not words


HOUR = capture(*(to(9, 5009, str(minute).encode()) for minute in range(60)), spacing=60 * S)  # 19:33:19.123456Z and so on


@pytest.mark.parametrize("options, first, end", [
    (("--from", "+50m"), 50, 60), (("--to", "+3m"), 0, 3), (("--from", "+5m", "--to", "+7m"), 5, 7),
    (("--from", "2025-11-24T20:00:00Z"), 27, 60), (("--from", "2025-11-24T21:00:00.5+01:00", "--to", "2025-11-24 20:02"), 27, 29),
    (("--from", "20:30:19.123456"), 57, 60), (("--to", "19:35"), 0, 2),
    (("--from", "20:30", "--to", "19:35"), 0, 2), (("--from", "20:30", "--to", "00:10"), 57, 60),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_times_select_by_the_clock_or_after_the_begin(daemon, receivers, save, options, first, end):
    output, _ = replay(daemon, save(HOUR), "--speed", "max", *options, env={"TZ": "UTC"})
    assert output.startswith(f"replayed {end - first} datagram")
    assert receive(receivers[9], end - first) == [str(minute).encode() for minute in range(first, end)]


def test_what_is_before_the_selection_takes_no_time(daemon, receivers, save):
    data = capture(to(9, 5009, b"early"), to(9, 5009, b"late"), spacing=3600 * S)
    output, _ = replay(daemon, save(data), "--from", "+1h")
    assert output.startswith("replayed 1 datagram in 0.") and receive(receivers[9]) == [b"late"]


def test_a_selection_of_nothing_says_what_there_is(daemon, save):
    output, words = replay(daemon, save(FEEDS), "a", "--only", "233.252.0.99", status=1)
    assert not output and "nothing was sent: skipped 7 not selected, which went to 233.252.0.1:5001 (2), 233.252.0.3:5003 (2), " in words


def test_a_selection_of_another_time_says_when_the_capture_was(daemon, save):
    _, words = replay(daemon, save(HOUR), "a", "--from", "2026-01-01", status=1, env={"TZ": "CET-1"})
    assert words.endswith("nothing was sent: skipped 60 not selected, all of them by --from and --to; they went to 233.252.0.9:5009 "
                          "(60); the capture goes from 2025-11-24T20:33:19.123456000+01:00 to 2025-11-24T21:32:19.123456000+01:00\n")


@pytest.mark.parametrize("options, count, is_told", [
    (("--from", "19:00"), 60, True), (("--from", "19:40"), 53, False), (("--from", "19:00", "--to", "20:00"), 27, False),
    (("--from", "2025-11-24 19:00"), 60, False),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_a_time_of_day_before_the_capture_is_told_as_another_day_may_be_meant(daemon, receivers, save, options, count, is_told):
    _, words = replay(daemon, save(HOUR), "--speed", "max", *options, env={"TZ": "UTC"})
    assert len(receive(receivers[9], count)) == count
    assert words == ("mcastctl: replay: --from 19:00: the capture begins later that day, and was sent from its begin on; for another day, "
                     "give the date, too\n" if is_told else "")


def test_json_says_when_the_capture_was_and_what_its_time_excluded(daemon, save):
    output, _ = replay(daemon, save(HOUR), "a", "--to", "2025-01-01", "--json", status=1)
    result = json.loads(output)
    assert (result["begin"], result["end"]) == ("2025-11-24T19:33:19.123456000Z", "2025-11-24T20:32:19.123456000Z")
    assert result["notSelectedByTime"] == 60


def test_a_day_that_is_not_in_the_calendar_is_refused_with_the_reason(daemon, save):
    _, words = replay(daemon, save(HOUR), "a", "--from", "2026-02-31", status=2)
    assert "--from: '2026-02-31': that month has no such day" in words


@pytest.mark.parametrize("options", [
    ("--only", "news"), ("--only", "233.252.0.1:0"), ("--source", ""), ("--from", "yesterday"), ("--to", "+5"),
    ("--from", "+5m", "--to", "+5m"), ("--map", "233.252.0.1:5004"), ("--map", "news=news"), ("--map", "233.252.0.1:5004="),
    ("--map", "233.252.0.1:5004=233.252.0.1:x"),
], ids=" ".join)
def test_wrong_values_exit_with_2_and_name_the_option(daemon, save, options):
    _, words = replay(daemon, save(FEEDS), "a", *options, status=2)
    assert words.startswith(f"mcastctl: replay: {options[0]}") or options[1].endswith(":x")


# What cannot be sent


def test_a_group_that_cannot_send_does_not_keep_others_from_it(daemon, receivers, save):
    data = capture(to(10, 5010, b"x"), *[to(1, 5001, b"y")] * 3, *[to(10, 5010, b"x")] * 500, to(1, 5001, b"z"))
    output, words = replay(daemon, save(data), status=1)
    assert output.startswith("replayed 4 datagrams") and output.endswith("; skipped 501 refused\n")
    assert words.startswith("mcastctl: replay: closed: datagram 1: ") and "nowhere" in words and words.count("\n") == 1
    assert receive(receivers[1], 4) == [b"y", b"y", b"y", b"z"]


def test_each_map_that_is_refused_is_named(daemon, receivers, save):
    output, words = replay(daemon, save(FEEDS), "a", "--map", "233.252.0.2=closed", "--map", "233.252.0.3=missing", status=1)
    assert output.startswith("replayed 4 datagrams") and output.endswith("; skipped 3 refused\n")
    first, second = sorted(words.splitlines())
    assert first.startswith("mcastctl: replay: closed: datagram 2: ") and second.startswith("mcastctl: replay: missing: datagram 3: ")
    assert len(receive(receivers[1], 4)) == 4


def test_a_group_that_cannot_send_ends_a_replay_to_it_at_once(daemon, save):
    data = capture(to(1, 5001, b"x"), to(1, 5001, b"y"), spacing=3600 * S)
    output, words = replay(daemon, save(data), "closed", status=1)
    assert not output and words.startswith("mcastctl: replay: datagram 1: ") and words.count("\n") == 1


def test_an_unknown_link_type_is_named(daemon, save):
    output, words = replay(daemon, save(pcap(127, [(START, b"radiotap"), (START, b"radiotap")])), "a", status=1)
    assert not output and words.endswith("nothing was sent: skipped 2 of link type 127 (not supported)\n")


def test_a_capture_that_was_cut_is_replayed_up_to_there(daemon, receivers, save):
    whole = capture(to(1, 5001, b"one"), to(1, 5001, b"two"))
    path = save(whole + capture(to(1, 5001, b"three"))[24:-3])
    output, words = replay(daemon, path, status=1)
    assert output.startswith("replayed 2 datagrams") and receive(receivers[1], 2) == [b"one", b"two"]
    assert f"{path}: at byte {len(whole)}: the last packet is cut short" in words


def test_several_captures_in_one_stream_are_replayed_one_after_the_other(daemon, receivers, save):
    """As 'zcat day.pcap0.gz day.pcap1.gz' of tcpdump -C gives them."""
    paths = [save(capture(to(9, 5009, payload)), payload.decode()) for payload in (b"one", b"two", b"three")]
    result = subprocess.run(f"cat {' '.join(paths)} | {MCASTCTL} -s {daemon.control_path} replay - other", shell=True,
                            capture_output=True, check=True, timeout=60)
    assert result.stdout.startswith(b"replayed 3 datagrams ") and b"skipped" not in result.stdout and not result.stderr
    assert receive(receivers[9], 3) == [b"one", b"two", b"three"]


def test_zeros_at_the_end_of_a_capture_are_damage_at_that_byte(daemon, receivers, save):
    whole = capture(to(9, 5009, b"one"))
    output, words = replay(daemon, save(whole + bytes(64)), "other", status=1)
    assert output.startswith("replayed 1 datagram ") and "skipped" not in output and receive(receivers[9]) == [b"one"]
    assert f": at byte {len(whole)}: zeros " in words


def test_a_compressed_capture_names_the_command_which_works(daemon, receivers, save):
    path = save(FEEDS, "feeds.pcap")
    subprocess.run(["gzip", path], check=True)
    _, words = replay(daemon, path + ".gz", "a", status=1)
    assert "'zcat FILE | mcastctl replay - ...'" in words
    result = subprocess.run(f"zcat {path}.gz | {MCASTCTL} -s {daemon.control_path} replay - a --only 233.252.0.2", shell=True,
                            stdout=subprocess.PIPE, check=True, timeout=60)
    assert result.stdout.startswith(b"replayed 1 datagram ") and receive(receivers[1]) == [b"b1"]


def test_json_has_the_addresses_of_no_group(daemon, receivers, save):
    output, _ = replay(daemon, save(FEEDS), "--only", "233.252.0.0/24", "--json")
    numbers = json.loads(output)
    assert numbers["datagrams"] == 3 and numbers["bytes"] == 6
    assert numbers["skipped"]["noGroup"] == 3 and numbers["skipped"]["notSelected"] == 1
    assert numbers["noGroup"] == [{"address": "233.252.0.3", "port": 5003, "datagrams": 2},
                                  {"address": "233.252.0.1", "port": 5555, "datagrams": 1}]
    assert numbers["notSelected"] == [{"address": "ff15::1", "port": 5004, "datagrams": 1}]
    assert receive(receivers[1], 2) == [b"a1", b"a2"] and receive(receivers[2]) == [b"b1"]


# Fragments


@pytest.mark.parametrize("group, last, size", [("other", 9, LARGEST), ("six", 6, 65527)])
def test_the_largest_datagrams_are_put_together(daemon, receivers, save, group, last, size):
    payload = bytes(range(256)) * 256
    packets = (fragments4(payload[:size], 7) if group == "other" else fragments6(payload[:size], 7))
    replay(daemon, save(pcap(RAW, [(START, data) for data in packets[::-1]])), group)
    assert receivers[last].recv(1 << 17) == payload[:size]


def test_incomplete_datagrams_are_counted_once(daemon, receivers, save):
    packets = fragments4(bytes(9000), 1)[1:] + fragments4(bytes(9000), 2)[:-1] + [to(9, 5009, b"whole")]
    output, _ = replay(daemon, save(capture(*packets)), "other")
    assert output.endswith("; skipped 2 of which fragments are missing\n") and receive(receivers[9]) == [b"whole"]


def at_times(*packets):
    return pcap(RAW, [(START + round(seconds * S), data) for seconds, data in packets])


A, B = b"A" * 2000, b"B" * 2000


def test_a_datagram_is_not_put_together_of_two(daemon, receivers, save):
    """The identification came again 6 s later, and of the first datagram a fragment was not captured."""
    (_, a1), (b0, b1) = fragments4(A, 7), fragments4(B, 7)
    output, _ = replay(daemon, save(at_times((0, a1), (6, b0), (6, b1))), "other", "--speed", "max")
    assert output.startswith("replayed 1 datagram ") and output.endswith("; skipped 1 of which fragments are missing\n")
    assert receive(receivers[9]) == [B]


def test_a_datagram_with_a_wrong_checksum_is_skipped_where_it_came_in_fragments(daemon, receivers, save):
    first, last = fragments4(A, 7)
    output, _ = replay(daemon, save(at_times((0, first), (0, last[:-1] + b"?"), (0, to(9, 5009, b"whole")))), "other")
    assert output.startswith("replayed 1 datagram ") and "of which fragments are missing" in output
    assert receive(receivers[9]) == [b"whole"]


def test_without_a_checksum_fragments_of_another_time_are_not_put_together(daemon, receivers, save):
    def fragments(payload):
        data = udp(payload)
        return ip4(data[:1480], fragment=0x2000, identification=7), ip4(data[1480:], fragment=185, identification=7)

    (_, a1), (b0, b1) = fragments(A), fragments(B)
    path = save(at_times((0, a1), (6, b0), (6.01, b1)))
    output, _ = replay(daemon, path, "other", "--speed", "max")
    assert output.startswith("replayed 1 datagram ") and output.endswith("; skipped 1 of which fragments are missing\n")
    assert receive(receivers[9]) == [B]


@pytest.mark.parametrize("family", [4, 6])
def test_fragments_that_were_captured_twice_are_not_missing(daemon, receivers, save, family):
    fragments = fragments4 if family == 4 else fragments6
    packets = [(6 * number, data) for number in range(6) for data in fragments(b"%d" % number * 2000, 7) for _ in range(2)]
    output, _ = replay(daemon, save(at_times(*packets)), "other", "--speed", "max")
    assert output.startswith("replayed 6 datagrams ") and "skipped" not in output
    assert receive(receivers[9], 6) == [b"%d" % number * 2000 for number in range(6)]


# When


def test_packets_without_a_timestamp_come_with_the_packet_before(daemon, receivers, save):
    def simple(payload):
        data = on_link("ethernet", to(9, 5009, payload))
        return block(3, struct.pack("<I", len(data)) + data)

    def timed(time, payload):
        frames = pcapng(1, [(time, on_link("ethernet", to(9, 5009, payload)))])
        return frames[frames.index(struct.pack("<I", 6), 28 + 28):]

    preface = pcapng(1, [])
    data = preface + simple(b"first") + simple(b"second") + timed(START, b"third") + timed(START + S // 5, b"fourth") + simple(b"fifth")
    output, _ = replay(daemon, save(data), "other")
    assert receive(receivers[9], 5) == [b"first", b"second", b"third", b"fourth", b"fifth"]
    assert 0.2 <= float(output.split()[4]) < 60
    output, _ = replay(daemon, save(preface + simple(b"a") + simple(b"b")), "other")
    assert receive(receivers[9], 2) == [b"a", b"b"] and output.startswith("replayed 2 datagrams in 0.")


def test_progress_is_shown_elsewhere_than_on_a_terminal_if_it_is_wanted(daemon, receivers, save):
    data = capture(*[to(9, 5009, b"x")] * 16, spacing=S // 10)
    assert replay(daemon, save(data), "other")[1] == ""
    _, words = replay(daemon, save(data), "other", "--progress")
    receive(receivers[9], 32)
    assert words.startswith("1.") and words.endswith("/s\n") and words.count("\n") <= 2 and "\r" not in words and "\x1b" not in words


def test_a_loop_in_which_nothing_can_be_sent_any_more_ends(daemon, save):
    _, words = replay(daemon, save(FEEDS), "--only", "233.252.0.3", "--loop", status=1)
    assert "nothing was sent" in words


def test_a_pipe_by_name_is_no_file_for_a_loop(daemon, save):
    """As <(zcat FILE) of a shell."""
    result = subprocess.run(f"cat {save(FEEDS)} | {MCASTCTL} -s {daemon.control_path} replay /dev/stdin a --loop", shell=True,
                            capture_output=True, text=True, timeout=60)
    assert result.returncode == 2 and not result.stdout
    assert "/dev/stdin cannot be repeated: --loop needs a file, and this is a pipe" in result.stderr


def test_what_tcpdump_writes_is_replayed_while_it_captures(daemon, net, receivers):
    """Without a file between them, as a stream that never ends."""
    with net.peer:
        dump = with_us.start(["tcpdump", "-U", "--immediate-mode", "-i", "eth0", "-w", "-", "udp port 5099"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=False)
        while b"listening" not in (line := dump.stderr.readline()):
            assert line, "tcpdump does not listen"
        player = with_us.start([MCASTCTL, "-s", daemon.control_path, "replay", "-", "other"], stdin=dump.stdout,
                               stdout=subprocess.PIPE)
        sender = tutorial_receiver(net.peer, "233.252.0.50", 5098)
    sender.sendto(b"live", ("233.252.0.50", 5099))
    assert receive(receivers[9]) == [b"live"]
    dump.terminate()
    dump.wait(15)
    assert player.communicate(timeout=15)[0].startswith(b"replayed 1 datagram ")
