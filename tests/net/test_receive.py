"""What comes in: from any sender, through the daemon, to whoever asked for it."""

import json
import os
import subprocess
import time

from harness.daemon import MCASTD, subscribe
from harness.peers import LARGEST, has_membership, process, send, tutorial_sender
from harness.records import objects_of, parse_line, payload_of, wait_objects
from harness.waiting import wait_until
from net import FAMILIES

CONFIG = """
groups: {
  news4:   { address = "224.1.1.1";  port = 5004; interfaces = ["eth0"]; handlers = ["objects", "log"]; };
  news6:   { address = "ff15::1";    port = 5004; interfaces = ["eth0"]; handlers = ["objects", "log"]; };
  local6:  { address = "ff12::1";    port = 5005; interfaces = ["eth0"]; handlers = ["objects"]; };
  shell4:  { address = "233.252.0.2"; port = 5006; interfaces = ["eth0"]; handlers = ["objects"]; };
  shell6:  { address = "ff15::2";    port = 5006; interfaces = ["eth0"]; handlers = ["objects"]; };
  syslog4: { address = "239.1.1.2";  port = 5140; interfaces = ["eth0"]; handlers = ["objects"]; };
  syslog6: { address = "ff15::3";    port = 5140; interfaces = ["eth0"]; handlers = ["objects"]; };
  empty4:  { address = "233.252.0.4"; port = 5007; interfaces = ["eth0"]; handlers = ["objects"]; };
  empty6:  { address = "ff15::4";    port = 5007; interfaces = ["eth0"]; handlers = ["objects"]; };
  large4:  { address = "233.252.0.5"; port = 5008; interfaces = ["eth0"]; handlers = ["objects"]; };
  large6:  { address = "ff15::5";    port = 5008; interfaces = ["eth0"]; handlers = ["objects"]; };
  order4:  { address = "233.252.0.6"; port = 5009; interfaces = ["eth0"]; handlers = ["objects"]; };
  order6:  { address = "ff15::6";    port = 5009; interfaces = ["eth0"]; handlers = ["objects"]; };
  jumbo6:  { address = "ff15::7";    port = 5010; interfaces = ["eth0"]; handlers = ["objects"]; };
  counted: { address = "233.252.0.8"; port = 5011; interfaces = ["eth0"]; };
  none:    { address = "233.252.0.9"; port = 5012; interfaces = ["eth0"]; };
};
handlers: {
  objects: { type = "file"; path = "$DIR/objects"; format = "json"; };
};
"""



def send_to(daemon, net, name, payload, host=None):
    """Sends one datagram from the peer to the group of that name. Returns the sender's port."""
    group = daemon.group(name)
    return send(host or net.peer, payload, group["address"], group["port"])


@FAMILIES
def test_tutorial_sender_shows_in_tail(daemon, net, family):
    with daemon.start_tail(f"news{family}", "--count", "1") as tail:
        port = send_to(daemon, net, f"news{family}", b"to tail")
        output, _ = tail.communicate(timeout=20)
    line = parse_line(output.rstrip(b"\n"))
    source = net.peer.v4 if family == "4" else f"[{net.peer.v6}]"
    assert (line["group"], line["source"], line["port"]) == \
        (f"news{family}".encode(), source.encode(), str(port).encode())
    assert line["payload"] == b"to tail"
    assert tail.returncode == 0


@FAMILIES
def test_tutorial_sender_shows_in_a_json_file(daemon, net, family):
    before = time.time()
    port = send_to(daemon, net, f"news{family}", b"to a file")
    record = wait_until(
        lambda: [r for r in objects_of(daemon, "objects", f"news{family}") if r["sourcePort"] == port],
        "the record")[0]
    timestamp = record.pop("timestamp")
    assert record == {
        "group": f"news{family}", "address": "224.1.1.1" if family == "4" else "ff15::1", "port": 5004,
        "source": net.peer.v4 if family == "4" else net.peer.v6, "sourcePort": port, "interface": "eth0",
        "ttl": 2, "size": 9, "text": "to a file"}
    assert timestamp[-1] == "Z" and len(timestamp) == len("2026-11-24T19:33:19.123456789Z")
    assert abs(time.mktime(time.strptime(timestamp[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone - before) < 60


@FAMILIES
def test_tutorial_sender_shows_in_the_log_handler(daemon, net, family):
    port = send_to(daemon, net, f"news{family}", b"to the log\x1b[31m")
    wanted = f":{port} eth0 15 to the log\\x1b[31m\n"
    wait_until(lambda: wanted in daemon.log(), "the line in the log")


@FAMILIES
def test_a_subscriber_gets_every_field(daemon, net, family):
    with subscribe(daemon, f"news{family}") as subscription:
        port = send_to(daemon, net, f"news{family}", "Grüße".encode())
        reply = subscription.reply()
    assert reply["continues"] is True
    datagram = reply["parameters"]["datagram"]
    timestamp = datagram.pop("timestamp")
    assert timestamp.endswith("Z")
    assert datagram == {
        "group": f"news{family}", "address": "224.1.1.1" if family == "4" else "ff15::1", "port": 5004,
        "source": net.peer.v4 if family == "4" else net.peer.v6, "sourcePort": port, "interface": "eth0",
        "ttl": 2, "size": 7, "text": "Grüße"}


def test_link_local_v6_groups_are_received(daemon, net):
    send(net.peer, b"link-local", "ff12::1", 5005, interface="eth0")
    record, = wait_objects(daemon, "objects", "local6")
    assert record["source"].startswith("fe80::")
    assert payload_of(record) == b"link-local"


@FAMILIES
def test_socat_sends(daemon, net, family):
    target = "UDP4-DATAGRAM:233.252.0.2:5006" if family == "4" else "UDP6-DATAGRAM:[ff15::2]:5006"
    net.peer.run("socat", "-u", "-", target, input="from socat")
    record, = wait_objects(daemon, "objects", f"shell{family}")
    assert record["text"] == "from socat"


@FAMILIES
def test_logger_sends_syslog_messages(daemon, net, family):
    address = "239.1.1.2" if family == "4" else "ff15::3"
    net.peer.run("logger", "-n", address, "-P", "5140", "-d", "--rfc3164", "from logger")
    record, = wait_objects(daemon, "objects", f"syslog{family}")
    assert "from logger" in record["text"]


@FAMILIES
def test_datagrams_without_payload_are_received(daemon, net, family):
    send_to(daemon, net, f"empty{family}", b"")
    record, = wait_objects(daemon, "objects", f"empty{family}")
    assert (record["size"], record["text"]) == (0, "")


@FAMILIES
def test_largest_datagrams_come_through_whole(daemon, net, family):
    payload = os.urandom(LARGEST)
    send_to(daemon, net, f"large{family}", payload)
    record, = wait_objects(daemon, "objects", f"large{family}")
    assert payload_of(record) == payload
    assert daemon.group(f"large{family}")["truncated"] == 0


def test_v6_datagrams_over_v4s_limit_come_through_whole(daemon, net):
    payload = os.urandom(LARGEST + 20)
    send_to(daemon, net, "jumbo6", payload)
    record, = wait_objects(daemon, "objects", "jumbo6")
    assert payload_of(record) == payload
    assert daemon.group("jumbo6")["truncated"] == 0


@FAMILIES
def test_the_order_of_a_sender_is_returned(daemon, net, family):
    group = daemon.group(f"order{family}")
    with tutorial_sender(net.peer, group["address"]) as sock:
        for number in range(500):
            sock.sendto(b"%d" % number, (group["address"], group["port"]))
    records = wait_objects(daemon, "objects", group["name"], 500)
    assert [int(record["text"]) for record in records] == list(range(500))


def test_a_group_counts_datagrams_and_bytes(daemon, net):
    assert daemon.group("counted")["lastReceived"] is None
    for payload in (b"", b"four", b"sixsix"):
        send_to(daemon, net, "counted", payload)
    daemon.wait_arrived("counted", 3)
    group = daemon.group("counted")
    assert (group["received"], group["receivedBytes"]) == (3, 10)
    assert (group["truncated"], group["kernelDropped"], group["sent"]) == (0, 0, 0)
    assert group["lastReceived"].endswith("Z")


def test_all_that_is_queued_is_read_though_nothing_more_comes(net, start):
    """More than one turn of reading takes, of a group that is read in rounds. The largest fill a quarter of the buffer."""
    daemon = start('groups: { counted: { address = "233.252.0.8"; port = 5011; interfaces = ["eth0"]; }; };')
    daemon.wait_joined("counted")
    for count, size in (3000, 10), (40, LARGEST), (1, 1):
        before = daemon.group("counted")["received"]
        daemon.pause()
        with tutorial_sender(net.peer, "233.252.0.8") as sock:
            for _ in range(count):
                sock.sendto(bytes(size), ("233.252.0.8", 5011))
        daemon.resume()
        wait_until(lambda: daemon.group("counted")["received"] == before + count, f"{count} datagrams of {size} bytes")
    assert daemon.group("counted")["kernelDropped"] == 0


def test_a_group_without_handlers_can_be_read_by_subscribers(daemon, net):
    with subscribe(daemon, "none") as subscription:
        send_to(daemon, net, "none", b"for the subscriber")
        assert subscription.result()["datagram"]["text"] == "for the subscriber"


def test_a_running_tail_in_json_is_one_object_a_line(daemon, net):
    with daemon.start_tail("none", "--format", "json", "--count", "2") as tail:
        send_to(daemon, net, "none", b"one\ntwo")
        send_to(daemon, net, "none", b"\xff")
        output, _ = tail.communicate(timeout=20)
    first, second = map(json.loads, output.splitlines())
    assert (first["text"], second["base64"]) == ("one\ntwo", "/w==")
    assert tail.returncode == 0


def test_ad_hoc_groups_are_printed_without_a_file(net):
    with process(net.host, MCASTD, "233.252.0.10:5020%eth0", "[ff15::10]:5020%eth0", "233.252.0.11:5021%lo",
                 stderr=subprocess.PIPE) as mcastd:
        wait_until(lambda: has_membership(net.host, "233.252.0.10") and has_membership(net.host, "ff15::10")
                   and has_membership(net.host, "233.252.0.11", "lo"), "the memberships")
        send(net.peer, b"four\n", "233.252.0.10", 5020)
        first = parse_line(mcastd.stdout.readline().rstrip(b"\n"))
        send(net.peer, b"six", "ff15::10", 5020)
        second = parse_line(mcastd.stdout.readline().rstrip(b"\n"))
        send(net.host, b"lo", "233.252.0.11", 5021, interface="lo")
        third = parse_line(mcastd.stdout.readline().rstrip(b"\n"))
        mcastd.terminate()
        assert mcastd.wait(20) == 0
    assert [line["payload"] for line in (first, second, third)] == [b"four\\n", b"six", b"lo"]
    assert [line["interface"] for line in (first, second, third)] == [b"eth0", b"eth0", b"lo"]


def test_ad_hoc_sources_are_the_only_ones(net):
    with process(net.host, MCASTD, f"232.1.1.1:5022%eth0,source={net.peer.v4}", stderr=subprocess.PIPE) as mcastd:
        wait_until(lambda: has_membership(net.host, "232.1.1.1"), "the membership")
        send(net.other, b"foreign", "232.1.1.1", 5022)
        send(net.peer, b"wanted", "232.1.1.1", 5022)
        assert parse_line(mcastd.stdout.readline().rstrip(b"\n"))["payload"] == b"wanted"
        mcastd.terminate()
        assert mcastd.wait(20) == 0
