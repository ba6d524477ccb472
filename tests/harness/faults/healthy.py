"""Hosts with which nothing is wrong, though it may look so."""

import contextlib

from harness.faults.network import add_damage, add_noise
from harness.faults.table import healthy
from harness.lab import HOST, PEER, PORT, Frames, Receiver, network, nft, set_sysctl, sysctl, tagged
from harness.tunnels import Tunnel, checksum, frame, packet
from harness.waiting import wait_until

BOTH = 4, 6


@healthy(families=BOTH)
def plain(lab):
    pass


@healthy(families=BOTH)
def with_sources(lab):
    lab.sources = [PEER[lab.family]]


@healthy(base="snooping", families=BOTH)
def behind_a_snooping_switch(lab):
    pass


@healthy(ways=("root", "nobody"), plain=False)
def rarely_sent_as_expected(lab):
    lab.settings = 'expect_within = "1h";'
    lab.on_start.append(lambda daemon: silence_after_one(lab, daemon))


def silence_after_one(lab, daemon):
    wait_until(lambda: daemon.group("g")["received"], "the first one")
    nft(lab.peer, "table ip guard { chain output { type filter hook output priority 0; udp dport 5004 drop; }; }")


@healthy(base=None, ways=("root", "nobody"))
def copies_are_dropped(lab):
    two_on_one_network(lab)
    lab.settings = 'duplicates = "drop";'


@healthy(base=None, plain=False)
def two_interfaces_on_one_network_with_a_strict_check(lab):
    """The kernel takes it on one of them only."""
    two_on_one_network(lab)
    for name in lab.interfaces:
        sysctl(lab.host, f"net.ipv4.conf.{name}.rp_filter", 1)


def two_on_one_network(lab):
    lab.switched(("eth0", "eth1"))
    lab.interfaces = ["eth0", "eth1"]


@healthy(base=None)
def behind_a_switch_with_a_querier(lab):
    lab.switched(bridge="mcast_snooping 1 mcast_query_interval 200 mcast_query_response_interval 100 mcast_startup_query_interval 100 "
                 "mcast_querier 1")
    lab.switch.ip(f"address add {network(4)}250/24 dev switch")


@healthy()
def among_noise(lab):
    """Other groups are refused by a firewall, by the reverse path, and as nobody has the port."""
    add_noise(lab)


@healthy(base=None, families=BOTH)
def two_interfaces_with_streams_of_their_own(lab):
    lab.pair()
    other = lab.add_host()
    lab.link(other, "eth0", lab.host, "eth1", 2)
    lab.interfaces = ["eth0", "eth1"]
    lab.add_stream(other, lab.group, PORT, size=40)


@healthy(base=None)
def macvlan_child(lab):
    lab.pair()
    lab.host.ip(f"address del {HOST[4]}/24 dev eth0", "link add link eth0 name mac0 type macvlan mode bridge",
                f"address add {HOST[4]}/24 dev mac0", "link set mac0 up")
    lab.interfaces = ["mac0"]
    lab.wait_links((lab.host, "mac0"))


@healthy()
def one_datagram_a_second(lab):
    lab.options["rate"] = 1
    lab.wait = "3s"


@healthy(base=None, families=BOTH)
def tun(lab):
    lab.peer = lab.host = lab.add_host()
    tunnel = lab.stack.enter_context(contextlib.closing(Tunnel(lab.host, "tun0")))
    lab.host.ip("link set tun0 up", f"address add {HOST[4]}/24 dev tun0", f"address add {HOST[6]}/64 dev tun0 nodad")
    lab.interfaces = ["tun0"]
    lab.tunnel = tunnel


@healthy(base=None)
def loopback(lab):
    lab.peer = lab.host = lab.add_host()
    lab.interfaces = ["lo"]
    lab.options["interface"] = "lo"


@healthy(families=BOTH)
def sender_on_this_host(lab):
    lab.options["host"] = lab.host


@healthy(families=BOTH)
def firewall_that_accepts_it(lab):
    nft(lab.host, "table inet filter { chain input { type filter hook input priority 0; policy drop; ip protocol igmp accept; "
        "meta l4proto ipv6-icmp accept; udp dport 5004 counter accept; counter drop; }; }")
    other = "233.252.0.97" if lab.family == 4 else "ff15::97"
    lab.stack.enter_context(contextlib.closing(Receiver(lab.host, other, 6009, "eth0")))
    lab.add_stream(lab.peer, other, 6009)


@healthy(families=BOTH)
def fragments_that_fit(lab):
    lab.options["size"] = 4000


@healthy(families=BOTH)
def another_program_has_the_group_too(lab):
    lab.stack.enter_context(contextlib.closing(Receiver(lab.host, lab.group, PORT, "eth0")))
    lab.stack.enter_context(contextlib.closing(Receiver(lab.host, lab.group, PORT, "eth0", loose=True)))


@healthy()
def priority_tags(lab):
    """VLAN 0 is no VLAN (IEEE 802.1Q, 6.9)."""
    lab.change = lambda data, number: [tagged(frame(data), 0)]


@healthy(base="routed")
def behind_a_router(lab):
    pass


@healthy()
def strict_rp_filter_and_a_sender_nearby(lab):
    with lab.host:
        set_sysctl("net.ipv4.conf.all.rp_filter", 1)


@healthy()
def igmp_version_2_forced_without_sources(lab):
    with lab.host:
        set_sysctl("net.ipv4.conf.all.force_igmp_version", 2)


@healthy()
def other_ports_of_the_group_come_too(lab):
    lab.add_stream(lab.peer, lab.group, PORT + 1)


@healthy()
def other_senders_than_the_wanted_come_too(lab):
    lab.sources = [PEER[4]]
    lab.peer.ip("address add 192.0.2.77/24 dev eth0")
    lab.add_stream(lab.peer, lab.group, PORT, source="192.0.2.77")


@healthy()
def a_thousand_a_second(lab):
    lab.options.update(rate=1000, burst=10, sockets=4)


@healthy()
def two_senders_of_the_same_payloads(lab):
    lab.peer.ip("address add 192.0.2.77/24 dev eth0")
    lab.add_stream(lab.peer, lab.group, PORT, source="192.0.2.77")




@healthy()
def among_damage(lab):
    """Frames of another group are broken, and another program loses for want of a buffer."""
    add_damage(lab)


@healthy()
def the_group_comes_in_a_vlan_too(lab):
    lab.keep(Frames(lab.peer, lambda number: [tagged(frame(packet(PEER[4], lab.group, PORT, b"x")), 100)]))


@healthy()
def no_udp_checksum(lab):
    """Zero: the sender made none (RFC 768)."""
    lab.change = lambda data, number: [frame(data[:26] + bytes(2) + data[28:])]


@healthy()
def ip_options(lab):
    """The option Router Alert (RFC 2113)."""
    def change(data, number):
        head = b"\x46" + data[1:2] + (len(data) + 4).to_bytes(2, "big") + data[4:10] + bytes(2) + data[12:20] + b"\x94\x04\0\0"
        return [frame(head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + data[20:])]

    lab.change = change


@healthy(base=None)
def joined_on_a_bridge(lab):
    lab.pair()
    lab.host.ip("link add br0 type bridge stp_state 0", "link set eth0 master br0", "link set br0 up",
                f"address del {HOST[4]}/24 dev eth0", f"address add {HOST[4]}/24 dev br0")
    lab.interfaces = ["br0"]
    lab.wait_links((lab.host, "br0"))


@healthy(base=None, families=BOTH)
def firewall_that_drops_other_multicast(lab):
    lab.pair()
    word = "ip" if lab.family == 4 else "ip6"
    nft(lab.host, f"table inet filter {{ chain prerouting {{ type filter hook prerouting priority -300; {word} daddr {lab.group} accept; "
        "meta pkttype multicast udp dport 5000-6000 counter drop; }; }")
    lab.add_stream(lab.peer, "233.252.0.77", PORT)
