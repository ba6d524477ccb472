"""A membership gets its own datagrams and nobody else's: by group, port, interface and source, exactly."""

import socket

import pytest

from harness.peers import packed, receive, receiver_on, send, tutorial_receiver, udp_socket
from harness.records import lines_of
from harness.waiting import wait_until

ETH_P_ALL = 3

COUNT = 3000  # of each stream; 100,000 in test_long.py

CONFIG = """
groups: {
  join4:   { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["lines"];
             receive_buffer = "8M"; };
  join6:   { address = "ff15::1";     port = 5004; interfaces = ["eth0"]; handlers = ["lines"];
             receive_buffer = "8M"; };
  near4:   { address = "233.252.0.3"; port = 5005; interfaces = ["eth0"]; handlers = ["lines"];
             receive_buffer = "8M"; };
  near6:   { address = "ff15::3";     port = 5005; interfaces = ["eth0"]; handlers = ["lines"];
             receive_buffer = "8M"; };
  both4:   { address = "233.252.0.4"; port = 5006; interfaces = ["eth0", "eth1"]; handlers = ["lines"]; };
  both6:   { address = "ff15::4";     port = 5006; interfaces = ["eth0", "eth1"]; handlers = ["lines"]; };
  one4:    { address = "233.252.0.5"; port = 5007; interfaces = ["eth0"]; handlers = ["lines"]; };
  one6:    { address = "ff15::5";     port = 5007; interfaces = ["eth0"]; handlers = ["lines"]; };
  two4:    { address = "233.252.0.6"; port = 5007; interfaces = ["eth0"]; handlers = ["lines"]; };
  two6:    { address = "ff15::6";     port = 5007; interfaces = ["eth0"]; handlers = ["lines"]; };
  port4:   { address = "233.252.0.5"; port = 5008; interfaces = ["eth0"]; handlers = ["lines"]; };
  port6:   { address = "ff15::5";     port = 5008; interfaces = ["eth0"]; handlers = ["lines"]; };
  ssm4:    { address = "232.1.1.1";   port = 5009; interfaces = ["eth0"]; handlers = ["lines"];
             sources = ["192.0.2.2"]; receive_buffer = "8M"; };
  ssm6:    { address = "ff35::1";     port = 5009; interfaces = ["eth0"]; handlers = ["lines"];
             sources = ["2001:db8:1::2"]; receive_buffer = "8M"; };
  block4:  { address = "233.252.0.7"; port = 5010; interfaces = ["eth0"]; handlers = ["lines"];
             block_sources = ["192.0.2.3"]; receive_buffer = "8M"; };
  block6:  { address = "ff15::7";     port = 5010; interfaces = ["eth0"]; handlers = ["lines"];
             block_sources = ["2001:db8:1::3"]; receive_buffer = "8M"; };
  pair4:   { address = "232.1.1.2";   port = 5011; interfaces = ["eth0"]; handlers = ["lines"];
             sources = ["192.0.2.2", "192.0.2.3"]; };
  pair6:   { address = "ff35::2";     port = 5011; interfaces = ["eth0"]; handlers = ["lines"];
             sources = ["2001:db8:1::2", "2001:db8:1::3"]; };
  lo:      { address = "233.252.0.8"; port = 5012; interfaces = ["lo"]; handlers = ["lines"]; };
};
handlers: { lines: { type = "file"; path = "$DIR/lines"; format = "line"; queue = "64M"; }; };
"""

FAMILIES = pytest.mark.parametrize("family", ["4", "6"], ids=["v4", "v6"])


def assert_only_own(daemon, group, count=None, interface=b"eth0"):
    """All datagrams tagged "own" arrived, and no other: what the kernel dropped is counted among them."""
    daemon.wait_arrived(group, count or COUNT)
    daemon.wait_idle("lines")
    lines = lines_of(daemon, "lines", group)
    assert len(lines) == daemon.group(group)["received"]
    assert {line["payload"].split()[0] for line in lines} == {b"own"}
    assert {line["interface"] for line in lines} == {interface}


@FAMILIES
def test_groups_that_another_program_joined_on_the_port_stay_out(daemon, net, blast, family):
    own, foreign = ("233.252.0.1", "233.252.0.2") if family == "4" else ("ff15::1", "ff15::2")
    with tutorial_receiver(net.host, foreign, 5004) as other_program:
        blast(net.peer, foreign, 5004, COUNT, tag="foreign")
        blast(net.peer, own, 5004, COUNT, tag="own")
        blast(net.peer, foreign, 5004, COUNT, tag="foreign")
        assert receive(other_program)[0].startswith(b"foreign")
        assert_only_own(daemon, f"join{family}")


@FAMILIES
def test_the_same_group_on_another_interface_stays_out(daemon, net, blast, family):
    address = "233.252.0.3" if family == "4" else "ff15::3"
    with receiver_on(net.host, address, 5005, "eth1") as other_program:
        blast(net.side, address, 5005, COUNT, tag="foreign", interface="eth0")
        assert receive(other_program)[0].startswith(b"foreign")
        blast(net.peer, address, 5005, COUNT, tag="own")
        assert_only_own(daemon, f"near{family}")


@FAMILIES
def test_a_group_on_two_interfaces_gets_each_datagram_once_and_names_its_interface(daemon, net, family):
    address = "233.252.0.4" if family == "4" else "ff15::4"
    for number in range(10):
        send(net.peer, b"from eth0 %d" % number, address, 5006)
        send(net.side, b"from eth1 %d" % number, address, 5006, interface="eth0")
    daemon.wait_arrived(f"both{family}", 20)
    wait_until(lambda: len(lines_of(daemon, "lines", f"both{family}")) == 20, "the file")
    lines = lines_of(daemon, "lines", f"both{family}")
    assert all(line["payload"].split()[1] == line["interface"] for line in lines)
    assert len({line["payload"] for line in lines}) == 20


@FAMILIES
def test_two_interfaces_are_told_apart_where_another_program_shares_the_port_by_reuseport_only(start, net, family):
    """The program receives nothing itself: the kernel then looks up the one socket that does."""
    address = "233.252.0.9" if family == "4" else "ff15::9"
    multicast_all = (socket.IPPROTO_IP, 49) if family == "4" else (socket.IPPROTO_IPV6, 29)
    with net.host, udp_socket(address) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.setsockopt(*multicast_all, 0)
        holder.bind(("", 5013))
        daemon = start(f'''groups: {{
            both: {{ address = "{address}"; port = 5013; interfaces = ["eth0", "eth1"]; handlers = ["lines"]; }}; }};
        handlers: {{ lines: {{ type = "file"; path = "$DIR/lines"; format = "line"; }}; }};''')
        for number in range(10):
            send(net.peer, b"from eth0 %d" % number, address, 5013)
            send(net.side, b"from eth1 %d" % number, address, 5013, interface="eth0")
        daemon.wait_arrived("both", 20)
        wait_until(lambda: len(lines_of(daemon, "lines", "both")) == 20, "the file")
    lines = lines_of(daemon, "lines", "both")
    assert all(line["payload"].split()[1] == line["interface"] for line in lines)
    assert len({line["payload"] for line in lines}) == 20


@FAMILIES
def test_groups_of_one_port_and_ports_of_one_group_are_told_apart(daemon, net, family):
    targets = {f"one{family}": ("5", 5007), f"two{family}": ("6", 5007), f"port{family}": ("5", 5008)}
    prefix = "233.252.0." if family == "4" else "ff15::"
    for name, (last, port) in targets.items():
        send(net.peer, name.encode(), prefix + last, port)
    for name in targets:
        daemon.wait_arrived(name, 1)
        wait_until(lambda: lines_of(daemon, "lines", name), "the file")
        assert [line["payload"] for line in lines_of(daemon, "lines", name)] == [name.encode()]


@FAMILIES
def test_source_specific_groups_get_nothing_from_another_source(daemon, net, blast, family):
    address = "232.1.1.1" if family == "4" else "ff35::1"
    with tutorial_receiver(net.host, address, 5009) as any_source:
        blast(net.other, address, 5009, COUNT, tag="foreign")
        assert receive(any_source)[0].startswith(b"foreign")
        blast(net.peer, address, 5009, COUNT, tag="own")
        blast(net.other, address, 5009, COUNT, tag="foreign")
        assert_only_own(daemon, f"ssm{family}")


@FAMILIES
def test_blocked_sources_stay_out(daemon, net, blast, family):
    address = "233.252.0.7" if family == "4" else "ff15::7"
    with tutorial_receiver(net.host, address, 5010) as any_source:
        blast(net.other, address, 5010, COUNT, tag="foreign")
        assert receive(any_source)[0].startswith(b"foreign")
        blast(net.peer, address, 5010, COUNT, tag="own")
        blast(net.other, address, 5010, COUNT, tag="foreign")
        assert_only_own(daemon, f"block{family}")


@FAMILIES
def test_a_group_may_have_several_sources(daemon, net, family):
    address = "232.1.1.2" if family == "4" else "ff35::2"
    send(net.peer, b"first", address, 5011)
    send(net.other, b"second", address, 5011)
    send(net.host, b"foreign", address, 5011)
    send(net.peer, b"third", address, 5011)
    daemon.wait_arrived(f"pair{family}", 3)
    wait_until(lambda: len(lines_of(daemon, "lines", f"pair{family}")) == 3, "the file")
    assert [line["payload"] for line in lines_of(daemon, "lines", f"pair{family}")] == [b"first", b"second", b"third"]


def test_loopback_and_the_network_are_told_apart(daemon, net):
    with receiver_on(net.host, "233.252.0.8", 5012, "eth0") as other_program:
        send(net.peer, b"foreign", "233.252.0.8", 5012)
        assert receive(other_program) == [b"foreign"]
        send(net.host, b"own", "233.252.0.8", 5012, interface="lo")
        assert_only_own(daemon, "lo", 1, b"lo")


def test_routers_are_told_of_the_sources(start, net):
    """IGMPv3 and MLDv2 reports, in which a record is type, auxiliary length, number of sources, group, sources."""
    allow, to_exclude = 5, 4  # RFC 3376, 4.2.12

    def record(record_type, group, source):
        return bytes([record_type, 0, 0, 1]) + packed(group) + packed(source)

    with net.peer, socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as wire:
        wire.bind(("eth0", ETH_P_ALL))
        wire.settimeout(15)
        start("""groups: {
          ssm4:   { address = "232.9.9.1";   port = 5004; interfaces = ["eth0"]; sources = ["192.0.2.77"]; };
          ssm6:   { address = "ff35::99";    port = 5004; interfaces = ["eth0"]; sources = ["2001:db8:1::77"]; };
          block4: { address = "233.252.9.9"; port = 5004; interfaces = ["eth0"]; block_sources = ["192.0.2.66"]; };
          block6: { address = "ff15::99";    port = 5004; interfaces = ["eth0"]; block_sources = ["2001:db8:1::66"]; };
        };""")
        wanted = {record(allow, "232.9.9.1", "192.0.2.77"), record(allow, "ff35::99", "2001:db8:1::77"),
                  record(to_exclude, "233.252.9.9", "192.0.2.66"),
                  record(to_exclude, "ff15::99", "2001:db8:1::66")}
        while wanted:
            packet = wire.recv(2000)
            wanted -= {record for record in wanted if record in packet}
