"""What is wrong with sending. The stream of the peer arrives."""

from harness.faults.table import fault, healthy
from harness.lab import HOST, IN_A_CGROUP, denying_cgroup, drop_at

BOTH = 4, 6
SENDS = {"send": True, "arrives": "all"}


@fault("send-firewall", families=BOTH, **SENDS)
def output_drops_what_is_sent(lab):
    drop_at(lab, "output")


@fault("send-firewall", **SENDS)
def cgroup_denies_what_is_sent(lab):
    path, end = lab.stack.enter_context(denying_cgroup(egress=True))
    lab.wrapper = *IN_A_CGROUP, path
    lab.repairs.append(end)


@fault("send-firewall", **SENDS)
def a_policy_of_ipsec_blocks_what_is_sent(lab):
    lab.host.ip("xfrm policy add dir out src 0.0.0.0/0 dst 233.252.0.10/32 action block")


@fault("send-dropped", families=BOTH, unnamed="user nobody", **SENDS)
def egress_drops_what_is_sent(lab):
    drop_at(lab, "egress", family="netdev", device="eth0")


@fault("send-no-address", "no-ipv4-address", **SENDS)
def no_address_to_send_from(lab):
    lab.host.ip(f"address del {HOST[4]}/24 dev eth0")


@fault("send-no-route", **SENDS)
def no_route_and_no_interface_named(lab):
    lab.interfaces = []


@fault("send-no-route", pasted=True, **SENDS)
def a_route_prohibits_what_is_sent(lab):
    lab.interfaces = []
    lab.host.ip("route add 224.0.0.0/4 dev eth0", "route add prohibit 233.252.0.0/16")
    lab.repair_with("ip route del prohibit 233.252.0.0/16")


@fault("send-no-route", **SENDS)
def a_rule_prohibits_what_is_sent(lab):
    lab.interfaces = []
    lab.host.ip("rule add to 233.252.0.0/16 prohibit")


@fault("send-ttl", ways=("root", "user", "nobody"), **SENDS)
def ttl_is_zero(lab):
    lab.settings = "ttl = 0;"


@fault("send-other-interface", base=None, ways=("root", "user", "nobody"), **SENDS)
def it_leaves_by_another_interface(lab):
    lab.pair()
    lab.link(lab.add_host(), "eth0", lab.host, "eth1", 2)
    lab.settings = 'send_interface = "eth1";'


@fault("send-refused", ways=("nobody",), **SENDS)
def the_user_may_not_send(lab):
    lab.senders = "user:root"


@healthy(families=BOTH, send=True)
def sending_works(lab):
    pass


@healthy(send=True, base=None, plain=False, ways=("target", "root"))
def sending_works_without_loop(lab):
    """The program is on this host, sends with a larger TTL, and is received elsewhere only."""
    lab.pair()
    lab.peer = lab.host
    lab.options |= {"loop": False, "ttl": 8}


@healthy(send=True, plain=False)
def sending_works_and_nobody_else_sends(lab):
    lab.is_silent = True


@healthy(send=True)
def sending_works_beside_a_firewall_for_others(lab):
    drop_at(lab, "output", "udp dport 6000")
    lab.add_stream(lab.host, lab.group, 6000)
