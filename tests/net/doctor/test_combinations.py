"""Two faults at a time: root is told at least one of them, and nobody is told with certainty what is not so."""

import itertools

import pytest

from harness.faults import FAULTS, HEALTHY
from net.doctor.trial import try_one

pytestmark = [pytest.mark.long, pytest.mark.waits]

# Faults that a host can have together with others, with what of the stream or the host each needs for itself.
NEEDS = {
    "rp_filter_strict": "source",
    "rp_filter_loose_without_a_route": "source",
    "input_drops_the_port": "table",
    "input_policy_drops": "filter",
    "prerouting_drops_all_groups": "table",
    "ingress_of_the_interface_drops": "table",
    "iptables_legacy_input_drops": "iptables",
    "iptables_nft_input_policy_drops": "iptables",
    "a_verdict_map_drops": "filter",
    "udp_checksum_is_wrong": "frames",
    "ip_checksum_is_wrong": "frames",
    "udp_length_is_more_than_there_is": "frames",
    "tagged_and_no_vlan_interface": "frames",
    "later_fragments_are_lost": "frames size",
    "first_fragments_are_lost": "frames size",
    "frames_over_the_mtu": "size",
    "other_port": "port",
    "other_source": "sources source",
    "sender_on_this_host_without_loop": "frames source",
    "sender_is_silent": "frames source size port",
    "port_held_exclusively": "socket",
    "cgroup_denies_what_comes_in": "wrapper",
    "filter_at_the_socket": "socket",
    "too_many_memberships": "socket",
    "igmp_version_2_forced_with_sources": "sources source",
    "another_group_on_the_same_mac_address": "noise",
    "ipv6_disabled_v6": "socket",
    "input_drops_the_port_v6": "table",
    "other_port_v6": "port",
    "other_source_v6": "sources source",
    "udp_checksum_is_wrong_v6": "frames",
    "tagged_and_no_vlan_interface_v6": "frames",
    "frames_over_the_mtu_v6": "size",
}
BY_NAME = {fault.name: fault for fault in FAULTS}


def pairs():
    for one, other in itertools.combinations(NEEDS, 2):
        if BY_NAME[one].family == BY_NAME[other].family and not set(NEEDS[one].split()) & set(NEEDS[other].split()):
            yield BY_NAME[one], BY_NAME[other]


def beside_a_firewall():
    """Any fault that starts from a plain pair, on a host with a usual firewall: it drops all but what is wanted, and accepts ours."""
    firewall = {setting.family: setting for setting in HEALTHY if setting.make.__name__ == "firewall_that_accepts_it"}
    for fault in FAULTS:
        if fault.base == "pair" and not fault.send and fault.causes != {"host-firewall"}:
            yield firewall[fault.family], fault


class Pair(tuple):
    def __str__(self):
        return f"{self[0]}+{self[1]}"


@pytest.fixture(scope="session")
def trials(results, office):
    return results("pair", lambda pair: try_one(office, *pair, ways=("target", "root", "nobody"), paste=False))


@pytest.mark.parametrize("pair", list(map(Pair, pairs())), ids=str)
def test_one_of_two_causes_is_named(trials, pair):
    trial = trials[pair]
    for way, answer in trial.answers.items():
        print(f"{way}: exit {answer.status} after {answer.seconds:.1f} s\n{answer.text}{answer.stderr}")
        assert answer.report, "no answer"
        assert not trial.wrong(way), "certain and wrong"
        assert way == "nobody" or answer.status == 1 and trial.named(way), "not named"


@pytest.mark.parametrize("guarded", list(map(Pair, beside_a_firewall())), ids=str)
def test_a_firewall_that_accepts_it_is_not_blamed(results, office, guarded):
    fault = guarded[1]
    trial = results("guarded", lambda pair: try_one(office, *pair, ways=("target", "root", "nobody"), paste=False))[guarded]
    for way, answer in trial.answers.items():
        print(f"{way}: exit {answer.status} after {answer.seconds:.1f} s\n{answer.text}{answer.stderr}")
        assert answer.report, "no answer"
        assert not trial.wrong(way), "certain and wrong"
        assert way == "nobody" or way not in fault.named_by or not fault.causes or trial.named(way), "not named"
