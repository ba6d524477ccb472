"""Numbered feeds at full speed: what never came, by one way or by two, exactly."""

import array
import json
import struct
import threading
import time
from contextlib import contextmanager

import pytest

from harness.daemon import subscribe
from harness.nft import Ingress
from harness.peers import tutorial_sender
from harness.waiting import wait_until

A, B = ("233.252.0.1", 5004), ("233.252.0.2", 5004)
SIZE = 8  # bytes of a payload, which begins with its number

BUFFER = 'receive_buffer = "32M"'
LEGS = f"""
groups: {{
  a: {{ address = "{A[0]}"; port = {A[1]}; interfaces = ["eth0"]; {BUFFER}; $A }};
  b: {{ address = "{B[0]}"; port = {B[1]}; interfaces = ["eth0"]; {BUFFER}; $B }};
  both: {{ merge = ["a", "b"]; sequence = "u32@0"; $BOTH }};
}};
"""


def handler(name, kind="file"):
    form = 'format = "raw";' if kind == "file" else ""
    return f'{name}: {{ type = "{kind}"; path = "$DIR/{name}"; queue = "256M"; {form} }};'


def config(kind=None, only_legs=False):
    """The two legs, and what is made of them; recorded by handlers of a kind, each of their group's name."""
    names = [] if not kind else ["a", "b"] if only_legs else ["a", "b", "both"]
    text = LEGS
    for name in ("both", "a", "b"):
        text = text.replace(f"${name.upper()}", f'handlers = ["{name}"];' if name in names else "")
    return text + ("handlers: {" + "".join(handler(name, kind) for name in names) + "};" if names else "")


def recorded(daemon, name):
    """The numbers of a recording, in its order."""
    numbers = array.array("I", daemon.read(name))
    numbers.byteswap()
    return numbers[::SIZE // 4]


@contextmanager
def blasting(net, blast, count, rate):
    """The same numbers to both groups, in turns."""
    def send():
        sent.append(blast(net.peer, *A, 2 * count, SIZE, interface="eth0", rate=2 * rate, groups=2, word=True))

    sent = []
    thread = threading.Thread(target=send)
    thread.start()
    yield
    thread.join()
    assert sent == [2 * count]


def settle(daemon, group, taken):
    """The group, once its legs have brought this many."""
    wait_until(lambda: sum(leg["taken"] for leg in daemon.group(group)["merge"]) >= taken, f"{taken} datagrams", 60)
    group = daemon.group(group)
    assert sum(leg["taken"] for leg in group["merge"]) == taken
    return group


def of_both(daemon, name):
    return daemon.group("a")[name] + daemon.group("b")[name]


@pytest.mark.long
def test_of_two_legs_that_lose_by_chance_only_what_both_lost_is_lost(net, start, blast, release):
    count, rate, daemon = 1_000_000, 100_000, start(config("file"), binary=release)
    daemon.wait_joined("a", "b")
    with Ingress(net.host, "eth0") as rule, Ingress(net.first.switch, "port2") as other:
        rule.begin(*A, "numgen random mod 100 < 3")
        other.begin(*B, "numgen random mod 100 < 3")
        with blasting(net, blast, count, rate):
            pass
        dropped = rule.end()[0], other.end()[0]
    assert of_both(daemon, "kernelDropped") == 0
    both = settle(daemon, "both", 2 * count - sum(dropped))
    for name in ("a", "b", "both"):
        assert not sum(daemon.wait_idle(name)["dropped"].values())
    legs = [recorded(daemon, name) for name in ("a", "b")]
    for leg, numbers, lost in zip(both["merge"], legs, dropped):
        assert len(numbers) == len(set(numbers)) == count - lost
        unseen = min(numbers) + count - 1 - max(numbers)  # before the first and after the last
        assert leg["lost"] + leg["open"] == lost - unseen
    came = set(legs[0]) | set(legs[1])
    merged = recorded(daemon, "both")
    assert len(merged) == len(came) == both["received"] and set(merged) == came
    unseen = min(came) + count - 1 - max(came)
    assert 0 < both["sequence"]["lost"] + both["sequence"]["open"] == count - len(came) - unseen
    print(f"each leg lost {dropped}, both {count - len(came)} of {count}")


def leg_events(control):
    """Reads events until a leg is heard again."""
    found = []
    while not found or found[-1]["state"] != "end":
        event = json.loads(control.result()["datagram"]["text"])
        if event["event"] == "mergeLegSilent":
            found.append(event)
    return [(event["state"], event["leg"]) for event in found]


@pytest.mark.long
def test_a_leg_that_is_cut_for_five_seconds_costs_nothing_and_is_told_once(net, start, blast, release):
    count, rate, daemon = 1_200_000, 100_000, start(config(), binary=release)
    daemon.wait_joined("a", "b")
    with subscribe(daemon, "events") as control, Ingress(net.host, "eth0") as rule, blasting(net, blast, count, rate):
        wait_until(lambda: daemon.group("both")["received"] > rate, "the first second")
        rule.begin(*A, "counter")
        begin = time.monotonic()
        wait_until(lambda: daemon.group("both")["merge"][0]["silent"] and time.monotonic() > begin + 5, "five seconds")
        dropped, _ = rule.end()
        assert leg_events(control) == [("begin", "a"), ("end", "a")]
    both = settle(daemon, "both", 2 * count - dropped)
    assert of_both(daemon, "kernelDropped") == 0 and dropped > 2 * rate
    assert (both["received"], both["sequence"]["lost"], both["sequence"]["open"]) == (count, 0, 0)
    # A sender that was slowed down before the cut seems to have restarted.
    cut, other = both["merge"]
    assert (cut["lost"] == dropped or cut["restarts"] == 1) and other["lost"] == 0
    assert not any(leg["silent"] for leg in both["merge"])


def arrivals(daemon, name):
    """Of a pcapng recording: when each number arrived, in ns."""
    found, at, data = {}, 0, daemon.read(name)
    while at < len(data):
        kind, size = struct.unpack_from("=II", data, at)
        if kind == 6:
            high, low, length = struct.unpack_from("=III", data, at + 12)
            packet = data[at + 28:at + 28 + length]
            found[struct.unpack(">I", packet[-SIZE:-SIZE + 4])[0]] = high << 32 | low
        at += size
    return found


def test_how_far_a_leg_is_behind_is_right_within_an_eighth(net, start):
    count, skew_s, daemon = 1000, 0.01, start(config("pcapng", only_legs=True))
    daemon.wait_joined("a", "b")
    with tutorial_sender(net.peer, A[0]) as first, tutorial_sender(net.peer, B[0]) as second:
        begin = time.monotonic()
        steps = sorted([(n / 1000, first, A, n) for n in range(count)] + [(n / 1000 + skew_s, second, B, n) for n in range(count)],
                       key=lambda step: step[0])
        for due, sock, target, n in steps:
            time.sleep(max(0, begin + due - time.monotonic()))
            sock.sendto(struct.pack(">II", n, 0), target)
    both = settle(daemon, "both", 2 * count)
    for name in ("a", "b"):
        daemon.wait_idle(name)
    wait_until(lambda: len(arrivals(daemon, "b")) == len(arrivals(daemon, "a")) == count, "the recordings")
    a, b = arrivals(daemon, "a"), arrivals(daemon, "b")
    behind = sorted(b[n] - a[n] for n in range(count) if b[n] >= a[n])
    for key, part in ("skewP50", 0.5), ("skewP99", 0.99):
        true, told = behind[int(len(behind) * part + 0.999999) - 1], both["merge"][1][key] * 1e9
        assert true <= told + 1 and told <= true * 9 / 8, (key, true, told)
    assert both["received"] == count


def test_a_leg_that_is_far_behind_is_never_heard_twice(net, start, blast):
    count, daemon = 20_000, start(config("file"))
    daemon.wait_joined("a", "b")
    with tutorial_sender(net.peer, A[0]) as live, tutorial_sender(net.peer, B[0]) as old:
        for n in range(count):
            live.sendto(struct.pack(">II", n, 0), A)
            if n >= count // 2:  # the beginning once more, while the other goes on
                old.sendto(struct.pack(">II", n - count // 2, 0), B)
            if n % 100 == 0:
                wait_until(lambda: daemon.group("a")["received"] == n + 1, f"{n + 1} datagrams")
    both = settle(daemon, "both", count + count // 2)
    assert both["merge"][1]["passed"] == 0
    daemon.wait_idle("both")
    assert list(recorded(daemon, "both")) == list(range(count))


FLOOD = f"""
groups: {{ flood: {{ address = "{A[0]}"; port = {A[1]}; interfaces = ["eth0"]; {BUFFER}; sequence = "u32@0"; }}; }};
"""


@pytest.mark.long
def test_a_million_a_second_with_loss_in_each_batch_is_counted_exactly_and_told_once_a_second(net, start, blast, release):
    count, every, daemon = 5_000_000, 50, start(FLOOD, binary=release)
    daemon.wait_joined("flood")
    left_out = (count - 1) // (every - 1)
    with subscribe(daemon, "events") as control:
        begin = time.monotonic()
        blast(net.peer, *A, count, 64, interface="eth0", bulk=True, rate=1_000_000, word=True, every=every)
        seconds = time.monotonic() - begin
        daemon.wait_arrived("flood", count)
        group = daemon.group("flood")
        sums, events, told = group["sequence"], 0, 0
        while told < sums["lost"]:
            event = json.loads(control.result()["datagram"]["text"])
            if event["event"] == "loss":
                events, told = events + 1, told + event["count"]
        seconds = time.monotonic() - begin
    print(f"{count / seconds:,.0f} a second, {group['kernelDropped']} dropped by the kernel, {events} events in {seconds:.1f} s")
    assert group["received"] == sums["numbered"] == sums["unique"] + sums["late"] == count - group["kernelDropped"]
    assert told == sums["lost"] and events <= seconds + 1
    assert sums["duplicates"] == sums["reordered"] == 0
    # Where the kernel drops a burst that no rate of the stream explains, it has restarted; its first number tells.
    assert sums["restarts"] == sums["late"] and (group["kernelDropped"] or not sums["restarts"])
    unseen = left_out + group["kernelDropped"] - sums["lost"] - sums["open"]
    assert unseen == 0 or 0 < unseen <= group["kernelDropped"]  # at the end, and before a restart
