"""What root is told of a fault beside the name of its cause: what is so, and what to do; and nothing that is not so."""

import contextlib
import re
from dataclasses import dataclass

import pytest

from harness.faults import FAULTS, HEALTHY
from harness.strangers import NOBODY
from net.doctor.reader import Reader, begin
from net.doctor.test_recipe import play
from net.doctor.trial import situation

pytestmark = pytest.mark.waits

BY_NAME = {fault.name: fault for fault in FAULTS + HEALTHY}


@dataclass
class Told:
    name: str  # of the situation
    says: tuple  # patterns, in the text without its line breaks
    never: tuple = ()
    alone: bool = False  # without a daemon
    options: str = ""
    status: int = 1

    def __str__(self):
        return self.name + ("-alone" if self.alone else "") + ("-sends" if "--send" in self.options else "")


TOLD = [
    Told("the_sender_is_blocked", ("this host dropped all", r"192\.0\.2\.1, which is in block_sources", r": remove block_sources")),
    Told("the_sender_is_blocked_among_others", (r'block_sources = \["192\.0\.2\.77"\];',)),
    Told("other_source_than_two", (r'sources = \["192\.0\.2\.77", "192\.0\.2\.78", "192\.0\.2\.1"\];',)),
    Told("output_drops_reports_and_an_older_querier_asks", (r"report-blocked: \(likely\)", "ip protocol igmp accept"), ("not-on-wire",)),
    Told("input_drops_queries", ("queries come in on the wire and this host's firewall drops them", "the chain in of the table inet fw",
                                 "nft insert rule inet fw in ip protocol igmp accept"), ("nobody asks", "a querier")),
    Told("input_drops_queries_v6", ("this host's firewall drops them", "nft insert rule inet fw in icmpv6 type mld-listener-query accept"),
         ("nobody asks", "a querier")),
    Told("unicast_sender_is_silent", (r"not-on-wire: \(likely\)", r"mcastctl doctor --send 192\.0\.2\.2:5004$"),
         ("IGMP", "report", "multicast", "NAME", "note")),
    Told("unicast_sender_is_silent", (r"not-on-wire: \(likely\)",), ("IGMP", "report", "multicast", "NAME"), alone=True),
    Told("prerouting_drops_fragments", ("it comes in fragments", r"ip daddr 233\.252\.0\.10 ip frag-off '&' 0x1fff != 0 accept")),
    Told("ingress_of_several_interfaces_drops", ("in the chain in of the table netdev guard",), ("tc", "XDP"), alone=True),
    Told("ingress_of_a_port_of_the_bridge_drops", (r"does not get from there to br0.*chain ingress of the table netdev guard",
                                                   r"nft insert rule netdev guard ingress ip daddr"), ("no rule of", "tc"), alone=True),
    Told("it_drops_uncounted_beside_a_rule_that_counts_the_other_family",
         (r"\(likely\)", "the chain input of the table ip filter", "nft insert rule ip filter input"), ("ip6",), alone=True),
    Told("a_route_refuses_the_way_back", (r"the route 'blackhole 192\.0\.2\.1/32'", r"ip route del blackhole 192\.0\.2\.1/32"), ("route add",)),
    Told("two_hosts_have_one_address", (r"two hosts have 192\.0\.2\.2",), ("firewall", "addr add")),
    Told("what_it_sends_comes_back", (r"what this host sends comes back", r"accept_local=1"), ("firewall", "addr add")),
    Told("ipsec_without_a_key", ("a policy of IPsec drops it", "ip xfrm policy"), ("BPF", "nft", "certain")),
    Told("a_route_prohibits_what_is_sent", ("the route 'prohibit 233.252.0.0/16' refuses it", "ip route del prohibit 233.252.0.0/16"),
         ("firewall", "route add", "IPAddressAllow"), options="--send"),
    Told("a_route_prohibits_what_is_sent", ("the route 'prohibit 233.252.0.0/16' refuses it", "name the interface eth0"),
         ("firewall", "route add"), alone=True, options="--send"),
    Told("a_rule_prohibits_what_is_sent", ("a route or a rule of this host refuses it", r"ip route get 233\.252\.0\.10; ip rule"),
         ("firewall", "route add", "has no route"), alone=True, options="--send"),
    Told("a_policy_of_ipsec_blocks_what_is_sent", ("a policy of IPsec drops what is sent",), ("a firewall of this host", "nft"),
         options="--send"),
    Told("address_is_gone", ("address-gone", r"ip addr add 192\.0\.2\.9/"), ("no-such-interface", "interfaces =")),
    Told("no_interface_has_the_address_that_names_it",
         (r"no interface of this host has the address 203\.0\.113\.9 now", r"ip addr add 203\.0\.113\.9/LENGTH dev NAME", "or name the interface:"),
         ("has no interface 203",)),
    Told("no_interface_has_the_address_that_names_it_v6",
         (r"the address 2001:db8:1234:5678::9 now", r"ip addr add 2001:db8:1234:5678::9/LENGTH dev NAME")),
    Told("the_port_of_the_bridge_is_down", ("the bridge br0 has no carrier: it has no port", "ip link set dev NAME master br0 up",
                                            "ip -d link show master br0"),
         ("cable",), alone=True),
    Told("sending_works_without_loop", ("what was sent left eth0", "on the host that should receive"), ("ttl-one", "cause", "--send"),
         alone=True, options="--send", status=0),
    Told("sending_works_and_nobody_else_sends", ("what was sent left eth0",), ("cause", "--send"), alone=True, options="--send", status=0),
    Told("switch_forgot_and_mcastd_has_the_group", ("mcastd has joined it there", "mcastctl refresh"), ("end the other programs",), alone=True),
    Told("a_program_of_xdp_drops", ("the XDP program that is attached to eth0", "bpftool net show dev eth0"), alone=True),
    Told("a_rule_of_nat_redirects", (r"in the chain prerouting of the table ip nat \(redirect\) sends it to another",
                                     r"nft insert rule ip nat prerouting ip daddr 233\.252\.0\.10 udp dport 5004 accept"), ("tc", "XDP")),
    Told("a_rule_changes_the_destination", (r"of the table ip mangle \(set\)",), ("tc", "XDP")),
    Told("too_many_blocked_sources", (r"sysctl -w net\.ipv4\.igmp_max_msf=64",), ("igmp_max_memberships",)),
]


def ask(office, told):
    with situation(BY_NAME[told.name]) as lab, contextlib.ExitStack() as stack:
        lab.begin()
        reader = Reader(office, lab, None if told.alone else stack.enter_context(begin(lab)))
        for prepare in lab.before_look:
            prepare()
        return reader.run(f"mcastctl doctor {reader.word} --wait {lab.wait} {told.options}")


@pytest.mark.parametrize("told", TOLD, ids=str)
def test_what_is_told(results, office, told):
    status, text = results("told", lambda told: ask(office, told))[str(told)]
    print(text)
    words = " ".join(text.split())
    assert not [pattern for pattern in told.says if not re.search(pattern, words)], "not said"
    assert not [pattern for pattern in told.never if re.search(pattern, words)], "said"
    assert status == told.status


def test_a_target_needs_no_daemon_at_the_socket_that_is_named(office):
    with situation(BY_NAME["plain"]) as lab:
        lab.begin()
        status, text = Reader(office, lab).run(f"mcastctl -s /nonexistent/other.sock doctor {lab.group}:{lab.port}%eth0 --wait 1s")
    assert status == 0 and "received in" in text, text


def test_who_may_not_look_is_told_of_sudo_where_nothing_was_received(office):
    with situation(BY_NAME["switch_forgot_and_another_program_has_the_group"]) as lab, begin(lab) as daemon:
        lab.begin()
        for prepare in lab.before_look:
            prepare()
        _, text = Reader(office, lab, daemon).run("mcastctl doctor news --wait 1s", user=NOBODY)
    assert "sudo mcastctl" in text, text


# Those whose fix is written into the configuration, or ends the fault by a command that others do not have.
ENDED = ["the_sender_is_blocked", "the_sender_is_blocked_among_others", "other_source_than_two"]


@pytest.mark.parametrize("ended", ENDED)
def test_what_is_told_ends_it(results, office, ended):
    assert results("ended", lambda name: play(office, name))[ended]
