"""Packet filters on the host: nf_tables and both iptables, at each hook."""

import contextlib

from harness.faults.table import fault
from harness.lab import GROUP, HOST, RATE, Receiver, drop_at, nft, sh

BOTH = 4, 6


def bridge(lab):
    """The host has a bridge, whose port is eth0, and joins there."""
    lab.pair()
    lab.host.ip("link add br0 type bridge stp_state 0 mcast_snooping 0", "link set eth0 master br0", "link set br0 up",
                f"address del {HOST[4]}/24 dev eth0", f"address add {HOST[4]}/24 dev br0")
    lab.interfaces = ["br0"]
    lab.wait_links((lab.host, "br0"))


@fault("host-firewall", families=BOTH, unnamed="user nobody", pasted=True)
def input_drops_the_port(lab):
    drop_at(lab, "input")


@fault("host-firewall", unnamed="user nobody", pasted=True)
def input_drops_without_a_counter(lab):
    nft(lab.host, "table ip filter { chain input { type filter hook input priority 0; udp dport 5004 drop; }; }")
    lab.repair_with("nft delete table ip filter")


@fault("host-firewall", unnamed="user nobody", pasted=True)
def input_rejects(lab):
    nft(lab.host, "table inet filter { chain input { type filter hook input priority 0; udp dport 5004 counter reject; }; }")
    lab.repair_with("nft delete table inet filter")


@fault("host-firewall", families=BOTH, unnamed="user nobody", pasted=True)
def input_policy_drops(lab):
    nft(lab.host, "table inet filter { chain input { type filter hook input priority 0; policy drop; "
        "ct state established,related accept; tcp dport 22 accept; }; }")
    lab.repair_with("nft delete table inet filter")


@fault("host-firewall", unnamed="user nobody", pasted=True)
def a_chain_that_input_jumps_to_drops(lab):
    nft(lab.host, "table inet filter { chain guard { ip daddr 224.0.0.0/4 jump deeper; }; chain deeper { udp dport 5000-5010 counter drop; }; "
        "chain input { type filter hook input priority 0; policy accept; iifname eth0 jump guard; }; }")
    lab.repair_with("nft delete table inet filter")


@fault("host-firewall", unnamed="user nobody", pasted=True)
def a_verdict_map_drops(lab):
    nft(lab.host, "table inet filter { chain input { type filter hook input priority 0; udp dport vmap { 5004 : drop, 6000 : accept }; }; }")
    lab.repair_with("nft delete table inet filter")


@fault("host-firewall", unnamed="user nobody", pasted=True)
def input_drops_all_multicast(lab):
    drop_at(lab, "input", "meta pkttype multicast")


@fault("host-firewall", unnamed="user nobody", pasted=True)
def input_drops_by_a_set(lab):
    nft(lab.host, "table ip filter { set wanted { type inet_service; elements = { 22, 80 }; }; "
        "chain input { type filter hook input priority 10; udp dport != @wanted drop; }; }")
    lab.repair_with("nft delete table ip filter")


@fault("host-firewall", unnamed="user nobody", pasted=True)
def prerouting_drops_fragments(lab):
    nft(lab.host, "table ip fw { chain p { type filter hook prerouting priority -450; ip frag-off & 0x3fff != 0 drop; }; }")
    lab.options["size"] = 4000
    lab.repair_with("nft delete table ip fw")


@fault("host-firewall", unnamed="user nobody", families=(6,), pasted=True)
def input_drops_fragments(lab):
    nft(lab.host, "table ip6 fw { chain p { type filter hook prerouting priority -450; exthdr frag exists drop; }; }")
    lab.options["size"] = 4000
    lab.repair_with("nft delete table ip6 fw")


@fault("host-firewall", unnamed="user nobody", pasted=True)
def a_rule_changes_the_destination(lab):
    nft(lab.host, "table ip mangle { chain prerouting { type filter hook prerouting priority -150; udp dport 5004 ip daddr set 192.0.2.2; }; }")
    lab.repair_with("nft delete table ip mangle")


@fault("host-firewall", unnamed="target root user nobody")
def a_rule_of_nat_redirects(lab):
    nft(lab.host, "table ip nat { chain prerouting { type nat hook prerouting priority -100; udp dport 5004 counter redirect to :6000; }; }")
    lab.repair_with("nft delete table ip nat")


@fault("host-firewall", base=None, wire=False, unnamed="target root user nobody")
def a_bridge_of_the_host_drops(lab):
    bridge(lab)
    nft(lab.host, "table bridge filter { chain input { type filter hook input priority 0; udp dport 5004 counter drop; }; }")
    lab.repair_with("nft delete table bridge filter")


@fault("host-firewall", families=BOTH, unnamed="user nobody", pasted=True)
def prerouting_drops(lab):
    drop_at(lab, "prerouting", priority=-300)


@fault("host-firewall", unnamed="user nobody", pasted=True)
def prerouting_drops_all_groups(lab):
    drop_at(lab, "prerouting", "ip daddr 224.0.0.0/4 udp dport != 1", family="ip", priority=-150)


@fault("host-firewall", families=BOTH, unnamed="user nobody", pasted=True)
def ingress_of_the_interface_drops(lab):
    drop_at(lab, "ingress", family="netdev", device="eth0")


@fault("host-firewall", unnamed="user nobody", pasted=True)
def ingress_of_several_interfaces_drops(lab):
    lab.host.ip("link add dummy0 type veth peer name dummy1")
    nft(lab.host, "table netdev guard { chain in { type filter hook ingress devices = { dummy0, dummy1, eth0 } priority 0; "
        "udp dport 5004 counter drop; }; }")
    lab.repair_with("nft delete table netdev guard")


@fault("host-firewall", base=None, wire=False, unnamed="target root user nobody")
def ingress_of_a_port_of_the_bridge_drops(lab):
    bridge(lab)
    drop_at(lab, "ingress", family="netdev", device="eth0")


@fault("host-firewall", unnamed="user nobody")
def it_drops_uncounted_beside_a_rule_that_counts_the_other_family(lab):
    """The rule that counts is not the one that drops."""
    nft(lab.host, "table ip filter { chain input { type filter hook input priority 0; udp dport 5004 drop; }; }; "
        "table ip6 filter { chain input { type filter hook input priority 0; udp dport 5005 counter drop; }; }")
    lab.stack.enter_context(contextlib.closing(Receiver(lab.host, GROUP[6], 5005, "eth0")))
    lab.add_stream(lab.peer, GROUP[6], 5005, rate=2 * RATE)
    lab.repair_with("nft delete table ip filter")


@fault("host-firewall", unnamed="user nobody", pasted=True)
def inet_ingress_drops(lab):
    drop_at(lab, "ingress", family="inet", device="eth0")


@fault("host-firewall", unnamed="user nobody", pasted=True)
def the_sender_is_blocked(lab):
    drop_at(lab, "input", "ip saddr 192.0.2.1")


@fault("host-firewall", unnamed="user nobody", arrives="some")
def the_rate_is_limited(lab):
    drop_at(lab, "input", "udp dport 5004 limit rate over 10/second burst 1 packets")


def iptables(lab, program, *rules):
    for rule in rules:
        sh(lab.host, f"{program} -w {rule}")


@fault("host-firewall", families=BOTH, unnamed="user nobody", pasted=True)
def iptables_legacy_input_policy_drops(lab):
    program = "iptables-legacy" if lab.family == 4 else "ip6tables-legacy"
    iptables(lab, program, "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT", "-P INPUT DROP")
    lab.repair_with(f"{program} -P INPUT ACCEPT")


@fault("host-firewall", unnamed="user nobody", pasted=True)
def iptables_legacy_input_drops(lab):
    iptables(lab, "iptables-legacy", "-A INPUT -p udp --dport 5004 -j DROP")
    lab.repair_with("iptables-legacy -F INPUT")


@fault("host-firewall", unnamed="user nobody", pasted=True)
def iptables_legacy_prerouting_drops(lab):
    iptables(lab, "iptables-legacy", "-t raw -A PREROUTING -d 224.0.0.0/4 -j DROP")
    lab.repair_with("iptables-legacy -t raw -F")


@fault("host-firewall", families=BOTH, unnamed="user nobody", pasted=True)
def iptables_nft_input_drops(lab):
    program = "iptables-nft" if lab.family == 4 else "ip6tables-nft"
    iptables(lab, program, "-A INPUT -p udp --dport 5004 -j DROP")
    lab.repair_with(f"{program} -F INPUT")


@fault("host-firewall", unnamed="user nobody", pasted=True)
def iptables_nft_input_policy_drops(lab):
    iptables(lab, "iptables-nft", "-N GUARD", "-A GUARD -p tcp -j ACCEPT", "-A INPUT -j GUARD", "-P INPUT DROP")
    lab.repair_with("iptables-nft -P INPUT ACCEPT")


@fault("host-firewall", unnamed="user nobody", pasted=True)
def iptables_nft_prerouting_drops(lab):
    iptables(lab, "iptables-nft", "-t mangle -A PREROUTING -i eth0 -p udp -j DROP")
    lab.repair_with("iptables-nft -t mangle -F")


# Our own reports: the switch sends a group only to whom asked for it.

@fault("report-blocked", families=BOTH, base="snooping", wire=False, pasted=True, unnamed="user nobody")
def output_drops_reports(lab):
    rule = "ip protocol igmp" if lab.family == 4 else "icmpv6 type mld2-listener-report"
    drop_at(lab, "output", rule)


@fault("report-blocked", base="snooping", wire=False, pasted=True, unnamed="user nobody")
def iptables_legacy_drops_reports(lab):
    iptables(lab, "iptables-legacy", "-A OUTPUT -p igmp -j DROP")
    lab.repair_with("iptables-legacy -F OUTPUT")


@fault("report-blocked", base="snooping", wire=False, pasted=True, unnamed="user nobody")
def output_policy_drops_reports(lab):
    nft(lab.host, "table inet filter { chain output { type filter hook output priority 0; policy drop; meta l4proto { tcp, udp } accept; }; }")
    lab.repair_with("nft delete table inet filter")


@fault("report-blocked", base="snooping", wire=False, unnamed="user nobody", pasted=True)
def egress_drops_reports(lab):
    drop_at(lab, "egress", "ip protocol igmp", family="netdev", device="eth0")


@fault("host-firewall", arrives="some", unnamed="user nobody", pasted=True)
def every_second_datagram_is_dropped(lab):
    drop_at(lab, "input", "udp dport 5004 numgen inc mod 2 == 0")


@fault("host-firewall", "not-on-wire", unnamed="user nobody", wire=False)
def output_drops_what_a_sender_on_this_host_sends(lab):
    lab.options["host"] = lab.host
    drop_at(lab, "output")
