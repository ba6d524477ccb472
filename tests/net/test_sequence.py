"""What never came of numbered feeds: counted for each stream and for the group, told as events."""

import json
import os
import random
import re
import struct
import threading

import pytest

from harness.daemon import run_mcastd, subscribe
from harness.peers import send, tutorial_sender
from harness.waiting import wait_until

CONFIG = """
groups: {
  rtp:    { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; sequence = "rtp"; };
  mold:   { address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; sequence = "moldudp64"; };
  ts:     { address = "233.252.0.3"; port = 5004; interfaces = ["eth0"]; sequence = "mpeg-ts"; };
  count:  { address = "233.252.0.4"; port = 5004; interfaces = ["eth0"]; sequence = "u32@4"; step = 960; };
  two:    { address = "233.252.0.5"; port = 5004; interfaces = ["eth0"]; sequence = "rtp"; };
  many:   { address = "233.252.0.6"; port = 5004; interfaces = ["eth0"]; sequence = "rtp"; };
  tell:   { address = "233.252.0.7"; port = 5004; interfaces = ["eth0"]; sequence = "u16@0"; };
  six:    { address = "ff15::1"; port = 5004; interfaces = ["eth0"]; sequence = "u16@0"; };
  plain:  { address = "233.252.0.8"; port = 5004; interfaces = ["eth0"]; };
};
"""

KEPT = 64


def rtp(number, ssrc=7, payload=b"x" * 20):
    return struct.pack(">BBHII", 0x80, 96, number & 0xffff, number * 90, ssrc) + payload


def mold(number, messages, session=b"SESSION001"):
    return session + struct.pack(">QH", number, len(messages)) + b"".join(
        struct.pack(">H", len(message)) + message for message in messages)


def feed(net, daemon, group, *payloads, address=None):
    """Sends them from one socket, and waits until all have come."""
    found = daemon.group(group)
    before = found["received"]
    with tutorial_sender(net.peer, address or found["address"]) as sock:
        for payload in payloads:
            sock.sendto(payload, (found["address"], 5004))
    wait_until(lambda: daemon.group(group)["received"] == before + len(payloads), f"{len(payloads)} datagrams")
    return daemon.group(group)["sequence"]


def senders(daemon, group):
    return daemon.call("ListGroups", groups=[group], senders=True)["groups"][0]["senders"]


def streams(daemon, group):
    return {sender["stream"]: sender["sequence"] for sender in senders(daemon, group)}


def test_what_never_came_of_an_rtp_stream_is_counted(net, daemon):
    numbers = [n for n in range(65000, 68000) if n % 100 != 7]
    sums = feed(net, daemon, "rtp", *(rtp(n) for n in numbers))
    assert (sums["received"], sums["numbered"], sums["unique"]) == (2970, 2970, 2970)
    assert sums["lost"] + sums["open"] == 30 and sums["lost"] >= 20
    assert sums["reordered"] == sums["duplicates"] == sums["late"] == sums["restarts"] == 0


@pytest.mark.parametrize("more", ["", 'handlers = ["out"];'], ids=["counted", "recorded"])
@pytest.mark.parametrize("layout", ["rtp", "moldudp64", "u32@12", "u16@1000", "iperf"])
def test_numbers_are_the_same_whether_or_not_all_of_a_payload_is_read(net, start, more, layout):
    """Where it is only counted, the kernel copies its beginning."""
    daemon = start(f"""groups: {{ g: {{ address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; sequence = "{layout}"; {more} }}; }};
        handlers: {{ out: {{ type = "file"; path = "$DIR/out"; format = "raw"; }}; }};""")
    daemon.wait_joined("g")
    chance, numbers = random.Random(3), [n for n in range(1, 61) if n % 20 != 7]
    payloads = []
    for n in numbers:
        body = chance.randbytes(chance.choice([1000, 1316, 8000, 60000]))
        payloads.append({
            "rtp": struct.pack(">BBHII", 0x9f, 96, n, n * 90, 7) + bytes(60) + struct.pack(">HH", 1, 3) + body,
            "moldudp64": b"SESSION001" + struct.pack(">QH", n, 1) + struct.pack(">H", len(body)) + body,
            "u32@12": bytes(12) + struct.pack(">I", n) + body, "u16@1000": bytes(1000) + struct.pack(">H", n) + body,
            "iperf": struct.pack(">I", n) + body}[layout])
    sums, group = feed(net, daemon, "g", *payloads), daemon.group("g")
    assert (sums["numbered"], sums["unique"], sums["lost"] + sums["open"]) == (57, 57, 3)
    assert (group["receivedBytes"], group["truncated"]) == (sum(map(len, payloads)), 0)


def test_messages_of_market_data_are_counted_and_heartbeats_tell_the_next(net, daemon):
    sums = feed(net, daemon, "mold", mold(1, [b"a", b"b"]), mold(3, [b"c"]), mold(6, [b"f"]), mold(9, []),
                mold(4, [b"d", b"e"]), mold(1, [b"a", b"b"]))
    assert (sums["numbered"], sums["unique"], sums["open"], sums["reordered"], sums["duplicates"]) == (6, 6, 2, 2, 2)
    assert list(streams(daemon, "mold")) == ["SESSION001"]


def test_a_transport_stream_tells_that_packets_are_missing(net, daemon):
    def packet(pid, counter):
        return struct.pack(">BHB", 0x47, pid, 0x10 | counter & 15) + bytes(184)

    sums = feed(net, daemon, "ts", *(packet(256, n) + packet(257, n) for n in range(100) if n != 50))
    assert (sums["packets"], sums["discontinuities"], sums["unnumbered"]) == (198, 2, 0)


def test_numbers_may_count_samples(net, daemon):
    sums = feed(net, daemon, "count", *(struct.pack(">II", 0, n * 960) for n in range(10) if n != 5))
    assert (sums["unique"], sums["open"], sums["late"]) == (9, 1, 0)


def test_what_is_not_of_the_format_is_unnumbered(net, daemon):
    before = daemon.group("rtp")["sequence"]
    sums = feed(net, daemon, "rtp", b"", b"x", b"\x80\xc8" + bytes(20), b"\x40" + bytes(20))
    assert sums["unnumbered"] == before["unnumbered"] + 4
    assert sums["received"] == sums["numbered"] + sums["unnumbered"]


def test_a_sequence_that_nothing_is_of_is_in_the_log_and_in_the_table(net, start):
    """Without that, the sums say that nothing was lost."""
    daemon = start(CONFIG)
    feed(net, daemon, "rtp", b"no RTP", rtp(1), *[b"no RTP"] * 200)
    feed(net, daemon, "ts", *[rtp(n) for n in range(150)])
    line, = [line for line in daemon.log().splitlines() if "is numbered as" in line]
    assert re.match(r'group ts: none of the first 1\d\d datagrams is numbered as sequence = "mpeg-ts" says', line), line
    head, *rows = daemon.ctl("senders", "ts", "rtp", "--wide").splitlines()
    at = head.index("UNNUMBERED") + len("UNNUMBERED")
    assert {row.split()[0]: row[:at].split()[-1] for row in rows if "(all)" in row} == {"ts": "150", "rtp": "201"}, rows


def test_streams_of_one_sender_are_counted_apart(net, daemon):
    feed(net, daemon, "two", *(rtp(n, ssrc) for n in range(50) for ssrc in (1, 2) if (n, ssrc) != (20, 2)))
    found = streams(daemon, "two")
    assert found["00000001"]["unique"] == 50 and found["00000001"]["open"] == 0
    assert found["00000002"]["unique"] == 49 and found["00000002"]["open"] == 1
    assert daemon.group("two")["sequence"]["open"] == 1


def test_a_stream_that_gives_way_stays_in_the_sums(net, daemon):
    payloads = [rtp(n, ssrc) for ssrc in range(2 * KEPT) for n in (0, 1, 3)]
    sums = feed(net, daemon, "many", *payloads)
    assert len(senders(daemon, "many")) == KEPT
    assert sums["unique"] == 3 * 2 * KEPT
    assert (sums["lost"], sums["open"]) == (KEPT, KEPT)


def test_all_that_was_sent_is_explained_whatever_the_network_does(net, daemon):
    chance = random.Random(7)
    before = daemon.group("six")["sequence"]
    numbers = []
    for n in range(3000):
        if chance.random() < 0.05 and n not in (0, 2999):
            continue
        numbers += [n] * (2 if chance.random() < 0.05 else 1)
    for i in range(0, len(numbers) - 10, 10):
        window = numbers[i + 1:i + 9]
        chance.shuffle(window)
        numbers[i + 1:i + 9] = window
    sums = feed(net, daemon, "six", *(struct.pack(">H", n) for n in numbers))
    missing = 3000 - len(set(numbers))
    assert before["received"] == 0 and sums["unique"] == len(set(numbers))
    assert sums["lost"] + sums["open"] == missing
    assert sums["duplicates"] == len(numbers) - len(set(numbers))
    assert daemon.ctl("stats", "--check") == "every datagram is accounted for\n"


def test_loss_is_an_event_with_sender_and_number(net, daemon):
    with subscribe(daemon, "events") as control:
        feed(net, daemon, "tell", *(struct.pack(">H", n) for n in range(3000) if not 100 <= n < 150))
        lost = 0
        while lost < 50:  # one a second, with the sum
            event = json.loads(control.result()["datagram"]["text"])
            if event["group"] != "tell":
                continue  # of a test before
            lost += event["count"]
            assert (event["event"], event["source"], event["interface"]) == ("loss", net.peer.v4, "eth0")
    assert lost == 50


def test_a_group_without_sequence_has_none(net, daemon):
    send(net.peer, rtp(1), "233.252.0.8", 5004)
    assert daemon.group("plain")["sequence"] is None


def test_the_table_of_senders_has_streams_and_sums(net, daemon):
    shown = daemon.ctl("senders", "mold", "plain").splitlines()
    assert shown[0].split()[:6] == ["GROUP", "SENDER", "INTERFACE", "STREAM", "RECEIVED", "LOST"]
    assert [line.split()[0] for line in shown[1:]] == ["mold", "mold"]
    assert "SESSION001" in shown[1] and "(all)" in shown[2]


def test_the_numbers_go_on_after_a_restart_of_the_daemon(net, start):
    config = 'groups: { g: { address = "233.252.0.9"; port = 5004; interfaces = ["eth0"]; sequence = "u16@0"; }; };'
    daemon = start(config)
    daemon.wait_joined("g")
    feed(net, daemon, "g", *(struct.pack(">H", n) for n in range(10)))
    daemon.write_config(config.replace("u16@0", "u16@0\"; ttl = 2; dscp = 1; expect_within = \"9s"))
    daemon.call("Reload")
    sums = feed(net, daemon, "g", *(struct.pack(">H", n) for n in range(10, 20)))
    assert (sums["received"], sums["unique"], sums["restarts"]) == (20, 20, 0)
    assert len(senders(daemon, "g")) == 2


def test_numbers_add_up_when_sequence_comes_and_goes_while_datagrams_arrive(net, start):
    def config(keys):
        return f'groups: {{ g: {{ address = "233.252.0.9"; port = 5004; interfaces = ["eth0"]; {keys} }}; }};'

    daemon, stop = start(config("")), threading.Event()
    daemon.wait_joined("g")
    sock = tutorial_sender(net.peer, "233.252.0.9")

    def flood():
        n = 0
        while not stop.is_set():
            sock.sendto(struct.pack(">I", n), ("233.252.0.9", 5004))
            n += 1

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        for keys in ['sequence = "u32@0";', "coalesce = true;", 'sequence = "u32@0";', 'sequence = "rtp";', ""] * 3:
            before = daemon.group("g")["received"]
            daemon.write_config(config(keys))
            daemon.call("Reload")
            wait_until(lambda: daemon.group("g")["received"] > before + 10, "more datagrams")
            daemon.ctl("stats", "--check")
    finally:
        stop.set()
        thread.join()
        sock.close()


@pytest.mark.parametrize("value, why", [
    ('sequence = "RTP"', "is no way to number datagrams: write rtp"),
    ('sequence = "u32@65525"', "no datagram has more than 65527 bytes"),
    ('sequence = "u16@18446744073709551615"', "no datagram has more than 65527 bytes"),
    ('sequence = "rtp"; step = 2', "only integers like"),
    ('sequence = "u16@0"; step = 256', "is too much for the 16 bits"),
])
def test_what_cannot_be_counted_is_refused_with_the_reason(directory, value, why):
    path = os.path.join(directory, "mcastd.conf")
    with open(path, "w") as file:
        file.write(f'groups: {{ g: {{ address = "233.252.0.9"; port = 5004; {value}; }}; }};\n')
    checked = run_mcastd("--check", "-c", path)
    assert checked.returncode == 78 and why in checked.stderr


def test_an_event_runs_a_program_with_its_members_in_the_environment(net, start, programs):
    programs.write("note", "env | grep ^MCASTD_EVENT")
    daemon = start('groups: { g: { address = "233.252.0.10"; port = 5004; interfaces = ["eth0"]; sequence = "u16@0"; }; };\n'
                   'events: { handlers = ["note"]; };\n'
                   f'handlers: {{ note: {{ type = "exec"; command = ["{programs.path("note")}"]; '
                   'filter: { match = ["contains \\"loss\\""]; }; }; };')
    daemon.wait_joined("g")
    feed(net, daemon, "g", *(struct.pack(">H", n) for n in range(3000) if n != 100))
    wait_until(lambda: daemon.handler("note")["delivered"] == 1, "the program's end")
    found = set(re.findall(r"MCASTD_EVENT\S*=\S*", daemon.log()))
    assert {"MCASTD_EVENT=loss", "MCASTD_EVENT_GROUP=g", "MCASTD_EVENT_COUNT=1", f"MCASTD_EVENT_SOURCE={net.peer.v4}"} <= found


RELOADED = 'groups: {{ g: {{ address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; sequence = "{0}"; }}; }};'


def reload_with(daemon, sequence):
    daemon.write_config(RELOADED.format(sequence))
    daemon.call("Reload")
    daemon.wait_joined("g")


def test_what_is_open_when_a_reload_changes_the_format_is_lost(net, start):
    daemon = start(RELOADED.format("u32@0"))
    daemon.wait_joined("g")
    assert feed(net, daemon, "g", *(struct.pack(">I", n) for n in (0, 1, 2, 5, 6, 9)))["open"] == 4
    reload_with(daemon, "u16@2")
    sums = daemon.group("g")["sequence"]
    assert (sums["lost"], sums["open"]) == (4, 0)


@pytest.mark.parametrize("formats", [("u64@10", "moldudp64", "u64@10"), ("rtp", "mpeg-ts", "rtp")], ids="-".join)
def test_a_reload_to_a_format_whose_numbers_add_up_otherwise_counts_anew(net, start, formats):
    payloads = [mold(n, [b"a", b"b", b"c"]) for n in range(1, 31, 3)] if "moldudp64" in formats else [rtp(n) for n in range(10)]
    daemon = start(RELOADED.format(formats[0]))
    daemon.wait_joined("g")
    for number, sequence in enumerate(formats):
        if number:
            reload_with(daemon, sequence)
        sums = feed(net, daemon, "g", *payloads)
        assert sums["received"] == sums["numbered"] + sums["unnumbered"] == 10
        daemon.ctl("stats", "--check")
