"""What stands in front of every handler: filter, sample, rate. Each is counted in its own number."""

from harness.peers import send
from harness.records import lines_of
from harness.waiting import wait_until

CONFIG = """
groups: {
  from:   { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["from", "all"]; };
  from6:  { address = "ff15::1"; port = 5004; interfaces = ["eth0"]; handlers = ["from6"]; };
  size:   { address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; handlers = ["size"]; };
  prefix: { address = "233.252.0.3"; port = 5004; interfaces = ["eth0"]; handlers = ["text", "hex"]; };
  sample: { address = "233.252.0.4"; port = 5004; interfaces = ["eth0"]; handlers = ["sample"]; };
  rate:   { address = "233.252.0.5"; port = 5004; interfaces = ["eth0"]; handlers = ["rate"]; };
  relay:  { address = "233.252.0.6"; port = 5004; interfaces = ["eth0"]; handlers = ["relay"]; };
};
handlers: {
  all:   { type = "file"; path = "$DIR/all"; };
  from:  { type = "file"; path = "$DIR/from";
           filter: { sources = ["192.0.2.0/24"]; block_sources = ["192.0.2.3"]; }; };
  from6: { type = "file"; path = "$DIR/from6"; filter: { sources = "2001:db8:1::2"; }; };
  size:  { type = "file"; path = "$DIR/size"; filter: { min_size = 2; max_size = 3; }; };
  text:  { type = "file"; path = "$DIR/text"; filter: { prefix = "MC"; }; };
  hex:   { type = "file"; path = "$DIR/hex"; filter: { prefix = "0x4d00"; }; };
  sample: { type = "file"; path = "$DIR/sample"; sample = 10; };
  rate:  { type = "file"; path = "$DIR/rate"; rate = "1/h"; burst = 5; };
  relay: { type = "udp"; address = "127.0.0.1"; port = 9; filter: { prefix = "no"; }; };
};
"""


def payloads(daemon, name, group):
    return [line["payload"] for line in lines_of(daemon, name, group)]


def settled(daemon, name, received):
    """The numbers of a handler that has received so many and has nothing left to do."""
    wait_until(lambda: daemon.handler(name)["received"] == received, f"{received} datagrams for {name}")
    return daemon.wait_idle(name)


def test_only_listed_sources_get_to_the_handler(net, daemon):
    send(net.peer, b"peer", "233.252.0.1", 5004)
    send(net.other, b"other", "233.252.0.1", 5004)
    numbers = settled(daemon, "from", 2)
    assert (numbers["filtered"], numbers["delivered"]) == (1, 1)
    assert payloads(daemon, "from", "from") == [b"peer"]
    assert settled(daemon, "all", 2)["filtered"] == 0


def test_sources_are_filtered_by_ipv6_address(net, daemon):
    send(net.peer, b"peer", "ff15::1", 5004)
    send(net.other, b"other", "ff15::1", 5004)
    settled(daemon, "from6", 2)
    assert payloads(daemon, "from6", "from6") == [b"peer"]


def test_only_these_sizes_get_to_the_handler(net, daemon):
    for payload in (b"", b"1", b"12", b"123", b"1234"):
        send(net.peer, payload, "233.252.0.2", 5004)
    assert settled(daemon, "size", 5)["filtered"] == 3
    assert payloads(daemon, "size", "size") == [b"12", b"123"]


def test_only_payloads_that_begin_so_get_to_the_handler(net, daemon):
    for payload in (b"MCAST", b"M\x00", b"other"):
        send(net.peer, payload, "233.252.0.3", 5004)
    assert settled(daemon, "text", 3)["filtered"] == 2
    assert settled(daemon, "hex", 3)["filtered"] == 2
    assert payloads(daemon, "text", "prefix") == [b"MCAST"]
    assert payloads(daemon, "hex", "prefix") == [rb"M\x00"]


def test_one_in_ten_is_sampled(net, daemon, blast):
    sent = blast(net.peer, "233.252.0.4", 5004, 1000)
    numbers = settled(daemon, "sample", sent)
    assert (numbers["delivered"], numbers["filtered"]) == (sent / 10, sent * 9 / 10)


def test_what_is_over_the_rate_is_dropped_and_not_filtered(net, daemon, blast):
    sent = blast(net.peer, "233.252.0.5", 5004, 1000)
    numbers = settled(daemon, "rate", sent)
    assert (numbers["delivered"], numbers["filtered"]) == (5, 0)
    assert numbers["dropped"]["rate"] == sent - 5
    assert numbers["dropped"]["queue"] == 0


def test_handlers_that_run_in_the_loop_are_filtered_too(net, daemon):
    send(net.peer, b"yes", "233.252.0.6", 5004)
    send(net.peer, b"no", "233.252.0.6", 5004)
    numbers = settled(daemon, "relay", 2)
    assert (numbers["filtered"], numbers["delivered"]) == (1, 1)
