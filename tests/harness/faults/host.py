"""What is wrong with the host, its interfaces and the programs on it."""

import os
import socket

from harness.faults.table import fault
from harness.lab import (HOST, IN_A_CGROUP, IP_MULTICAST_ALL, IPV6_MULTICAST_ALL, PEER, PORT, STRANGE, as_user, denying_cgroup, domain,
                         XDP, filter_all, level, load_program, network, set_xdp, sh, sockets_of, stuttering, sysctl)
from harness.strangers import NOBODY

BOTH = 4, 6
WITH_DAEMON = "root", "user", "nobody"


# The way back to the sender

def send_from_elsewhere(lab):
    lab.peer.ip(f"address add {STRANGE[lab.family]}/32 dev eth0")
    lab.options["source"] = STRANGE[lab.family]


@fault("rp-filter", pasted=True)
def rp_filter_strict(lab):
    sysctl(lab.host, "net.ipv4.conf.eth0.rp_filter", 1)
    send_from_elsewhere(lab)
    lab.repair_with("sysctl -qw net.ipv4.conf.eth0.rp_filter=0")


@fault("rp-filter", pasted=True)
def rp_filter_strict_for_all_interfaces(lab):
    sysctl(lab.host, "net.ipv4.conf.all.rp_filter", 1)
    send_from_elsewhere(lab)
    lab.repair_with("sysctl -qw net.ipv4.conf.all.rp_filter=0")


@fault("rp-filter", pasted=True)
def rp_filter_loose_without_a_route(lab):
    sysctl(lab.host, "net.ipv4.conf.eth0.rp_filter", 2)
    send_from_elsewhere(lab)
    lab.repair_with("sysctl -qw net.ipv4.conf.eth0.rp_filter=0")


@fault("rp-filter", pasted=True)
def rp_filter_with_the_sender_known(lab):
    sysctl(lab.host, "net.ipv4.conf.eth0.rp_filter", 1)
    send_from_elsewhere(lab)
    lab.sources = [STRANGE[4]]
    lab.repair_with("sysctl -qw net.ipv4.conf.eth0.rp_filter=0")


@fault("rp-filter", base=None, pasted=True)
def rp_filter_strict_with_another_way_back(lab):
    """Two interfaces, and the default route leads out of the other one."""
    lab.peer, lab.host, other = lab.add_host(), lab.add_host(), lab.add_host()
    lab.link(lab.peer, "eth0", lab.host, "eth0", 1)
    lab.link(other, "eth0", lab.host, "eth1", 2)
    lab.host.ip(f"route add default via {network(4, 2)}1")
    rp_filter_strict(lab)


@fault("rp-filter", pasted=True)
def a_route_refuses_the_way_back(lab):
    sysctl(lab.host, "net.ipv4.conf.eth0.rp_filter", 1)
    lab.host.ip(f"route add blackhole {PEER[4]}/32")
    lab.repair_with(f"ip route del blackhole {PEER[4]}/32")


@fault("rp-filter", pasted=True)
def a_route_to_the_network_refuses(lab):
    sysctl(lab.host, "net.ipv4.conf.eth0.rp_filter", 2)
    lab.host.ip("route add unreachable 192.0.2.0/31")
    lab.repair_with("ip route del unreachable 192.0.2.0/31")


# The sender's address

@fault("sender-address", unnamed="user nobody")
def two_hosts_have_one_address(lab):
    lab.peer.ip(f"address add {HOST[4]}/24 dev eth0")
    lab.options["source"] = HOST[4]
    lab.repair_with(f"ip address del {HOST[4]}/24 dev eth0", f"ip address add 192.0.2.3/24 dev eth0")


@fault("sender-address", base=None, unnamed="user nobody", plain=False, pasted=True)
def what_it_sends_comes_back(lab):
    """A cable from one interface to another."""
    lab.peer = lab.host = lab.add_host()
    lab.host.ip("link add eth1 type veth peer name eth0", f"address add {HOST[4]}/24 dev eth1", "address add 198.51.100.2/24 dev eth0",
                "link set eth0 up", "link set eth1 up")
    lab.wait_links((lab.host, "eth0"), (lab.host, "eth1"))
    lab.options |= {"interface": "eth1", "loop": False}


# IPsec

@fault("host-firewall", unnamed="user nobody")
def ipsec_without_a_key(lab):
    policy = "dir in src 192.0.2.0/24 dst 0.0.0.0/0"
    lab.host.ip(f"xfrm policy add {policy} tmpl proto esp mode transport level required")
    lab.repair_with(f"ip xfrm policy del {policy}")


# The interface

@fault("address-gone", base=None, wire=None, plain=False, ways=("root", "target"), unnamed="")
def address_is_gone(lab):
    lab.pair()
    lab.group, lab.interfaces = "192.0.2.9", []


@fault("no-ipv4-address", "rp-filter", base=None)
def no_ipv4_address_and_loose_rp_filter(lab):
    lab.pair()
    lab.host.ip(f"address del {HOST[4]}/24 dev eth0")
    sysctl(lab.host, "net.ipv4.conf.eth0.rp_filter", 2)
    lab.repair_with(f"ip address add {HOST[4]}/24 dev eth0")


@fault("no-such-interface", base=None, wire=None, plain=False)
def no_such_interface(lab):
    lab.pair()
    lab.interfaces = ["eth7"]


@fault("no-such-interface", base=None, wire=None, plain=False, families=BOTH, ways=("root", "target"))
def no_interface_has_the_address_that_names_it(lab):
    lab.pair()
    lab.interfaces = ["203.0.113.9" if lab.family == 4 else "2001:db8:1234:5678::9"]


@fault("interface-down", base=None, wire=None, plain=False, pasted=True, families=BOTH, also=("no-carrier",))
def interface_down(lab):
    lab.pair()
    lab.host.ip("link set eth0 down")
    # An interface that goes down loses its IPv6 addresses, and IPv4 ones stay.
    lab.repair_with("ip link set eth0 up")


@fault("no-carrier", base=None, wire=None, plain=False)
def the_port_of_the_bridge_is_down(lab):
    lab.pair()
    lab.host.ip("link add br0 type bridge", "link set eth0 master br0", "link set br0 up", "link set eth0 down",
                "address add 198.51.100.2/24 dev br0")
    lab.interfaces = ["br0"]


@fault("no-carrier", base=None, wire=None, plain=False)
def no_carrier(lab):
    lab.pair()
    lab.peer.ip("link set eth0 down")
    lab.is_silent = True
    lab.repair_with("ip link set eth0 up", host=lab.peer)


@fault("enslaved", base=None)
def interface_is_a_port_of_a_bridge(lab):
    lab.pair()
    lab.host.ip("link add br0 type bridge stp_state 0 mcast_snooping 0", "link set eth0 master br0", "link set br0 up",
                f"address del {HOST[4]}/24 dev eth0", f"address add {HOST[4]}/24 dev br0")
    lab.repair_with("ip link set eth0 nomaster", f"ip address del {HOST[4]}/24 dev br0", f"ip address add {HOST[4]}/24 dev eth0")


@fault("ipv6-disabled", families=(6,), wire=None, plain=False, pasted=True)
def ipv6_disabled(lab):
    sysctl(lab.host, "net.ipv6.conf.eth0.disable_ipv6", 1)


@fault("ipv6-disabled", families=(6,), wire=None, plain=False, pasted=True)
def ipv6_disabled_for_all(lab):
    sysctl(lab.host, "net.ipv6.conf.all.disable_ipv6", 1)


@fault("interface-drops", families=BOTH, wire=False, pasted=True)
def frames_over_the_mtu(lab):
    mtu = 600 if lab.family == 4 else 1290
    lab.host.ip(f"link set eth0 mtu {mtu}")
    lab.options["size"] = 1300
    lab.repair_with("ip link set eth0 mtu 1500")


# Other programs, the port, the limits

def hold_port(lab):
    with lab.host:
        sock = lab.stack.enter_context(socket.socket(domain(lab.family), socket.SOCK_DGRAM))
        if lab.family == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(("", PORT))
    lab.repairs.append(sock.close)


@fault("port-taken", families=BOTH, plain=False)
def port_held_exclusively(lab):
    hold_port(lab)


@fault("port-taken", plain=False)
def port_held_by_another_user(lab):
    with as_user(NOBODY):
        hold_port(lab)


@fault("too-many-memberships", "cannot-join", plain=False, pasted=True)
def too_many_memberships(lab):
    sysctl(lab.host, "net.ipv4.igmp_max_memberships", 0)


@fault("too-many-memberships", "cannot-join", plain=False)
def too_many_sources(lab):
    sysctl(lab.host, "net.ipv4.igmp_max_msf", 1)
    lab.sources = [PEER[4], "192.0.2.77"]


@fault("shared-port", plain=False, arrives="some", ways=WITH_DAEMON, unnamed="user nobody")
def port_shared_by_another_program(lab):
    """A program of the same user in the same SO_REUSEPORT group, which has not joined: the kernel hands it a half."""
    family = lab.family
    with lab.host:
        sock = lab.stack.enter_context(socket.socket(domain(family), socket.SOCK_DGRAM))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        sock.setsockopt(level(family), IP_MULTICAST_ALL if family == 4 else IPV6_MULTICAST_ALL, 0)
        sock.bind((lab.group, PORT))
    lab.options["sockets"] = 16
    lab.repairs.append(sock.close)


# The service: its cgroup, its socket, its time

@fault("service-firewall", families=BOTH, plain=False)
def cgroup_denies_what_comes_in(lab):
    path, end = lab.stack.enter_context(denying_cgroup())
    lab.wrapper = *IN_A_CGROUP, path
    lab.repairs.append(end)


@fault("service-firewall", plain=False, ways=WITH_DAEMON)
def filter_at_the_socket(lab):
    def attach(daemon):
        found = sockets_of(daemon.process.pid, lab.group)
        assert found
        for sock in found:
            with sock:
                filter_all(sock)

    lab.on_start.append(attach)


@fault("receive-buffer", plain=False, ways=WITH_DAEMON, arrives="some", families=BOTH)
def daemon_is_given_no_time(lab):
    lab.settings = 'receive_buffer = "4K";'
    lab.on_start.append(lambda daemon: lab.stack.enter_context(stuttering(daemon.process)))


@fault("receive-buffer", plain=False, ways=WITH_DAEMON, arrives="some")
def bursts_over_the_receive_buffer(lab):
    lab.settings = 'receive_buffer = "4K";'
    lab.options.update(size=1400, burst=100, rate=250)


@fault("all-filtered", plain=False, ways=WITH_DAEMON, arrives="all", unnamed="nobody")
def handler_filters_all(lab):
    lab.settings = 'handlers = ["out"];'
    lab.handlers = 'out: { type = "file"; path = "$DIR/out"; filter: { sources = ["203.0.113.7"]; }; };'


@fault("handler-limits", plain=False, ways=WITH_DAEMON, arrives="all", unnamed="nobody")
def handler_limits(lab):
    lab.settings = 'handlers = ["out"];'
    lab.handlers = 'out: { type = "file"; path = "$DIR/out"; rate = "1/s"; };'


@fault("handler-drops", plain=False, ways=WITH_DAEMON, arrives="all", unnamed="nobody")
def the_queue_is_full(lab):
    lab.settings = 'handlers = ["out"];'
    lab.handlers = 'out: { type = "exec"; command = ["/bin/sleep", "1"]; max_running = 1; queue_datagrams = 1; };'


@fault("handler-fails", plain=False, ways=WITH_DAEMON, arrives="all", unnamed="nobody")
def the_disk_is_full(lab):
    lab.settings = 'handlers = ["out"];'
    lab.handlers = 'out: { type = "file"; path = "/dev/full"; };'


@fault("no-such-interface", plain=False, ways=WITH_DAEMON, wire=None)
def interface_renamed_after_the_join(lab):
    lab.on_start.append(lambda daemon: lab.host.ip("link set eth0 down", "link set eth0 name lan0", "link set lan0 up"))


# What was asked for

@fault("other-port", families=BOTH)
def other_port(lab):
    lab.options["port"] = PORT + 1
    lab.repairs.append(lambda: setattr(lab, "port", PORT + 1))


@fault("other-source", families=BOTH, unnamed="nobody")
def other_source(lab):
    lab.sources = ["192.0.2.77" if lab.family == 4 else "2001:db8:1::77"]
    lab.repairs.append(lambda: setattr(lab, "sources", [PEER[lab.family]]))


@fault("other-source", ways=WITH_DAEMON, plain=False, unnamed="nobody")
def the_sender_is_blocked(lab):
    lab.settings = f'block_sources = ["{PEER[4]}"];'


@fault("other-source", ways=WITH_DAEMON, plain=False, unnamed="nobody")
def the_sender_is_blocked_among_others(lab):
    lab.settings = f'block_sources = ["192.0.2.77", "{PEER[4]}"];'


@fault("other-source", unnamed="nobody")
def other_source_than_two(lab):
    lab.sources = ["192.0.2.77", "192.0.2.78"]
    lab.repairs.append(lambda: setattr(lab, "sources", [PEER[4]]))


@fault("too-many-memberships", "cannot-join", ways=WITH_DAEMON, plain=False)
def too_many_blocked_sources(lab):
    sysctl(lab.host, "net.ipv4.igmp_max_msf", 1)
    lab.settings = 'block_sources = ["192.0.2.77", "192.0.2.78"];'


@fault("forced-igmp-version", arrives="all", unnamed="nobody", pasted=True)
def igmp_version_2_forced_with_sources(lab):
    sysctl(lab.host, "net.ipv4.conf.all.force_igmp_version", 2)
    lab.sources = [PEER[4]]


@fault("forced-igmp-version", arrives="all", unnamed="nobody", pasted=True)
def igmp_version_1_forced_with_sources(lab):
    sysctl(lab.host, "net.ipv4.conf.eth0.force_igmp_version", 1)
    lab.sources = [PEER[4]]


@fault("forced-igmp-version", families=(6,), arrives="all", unnamed="nobody", pasted=True)
def mld_version_1_forced_with_sources(lab):
    sysctl(lab.host, "net.ipv6.conf.all.force_mld_version", 1)
    lab.sources = [PEER[6]]


@fault("local-sender-no-loop", families=BOTH, wire=False, unnamed="user nobody")
def sender_on_this_host_without_loop(lab):
    lab.options.update(host=lab.host, loop=False)
    lab.repairs.append(lambda: lab.add_stream(lab.host, lab.group, PORT))


@fault("other-interface", families=BOTH, base=None, wire=False)
def other_interface(lab):
    lab.pair()
    other = lab.add_host()
    lab.link(other, "eth0", lab.host, "eth1", 2)
    lab.options["host"] = other
    lab.repairs.append(lambda: setattr(lab, "interfaces", ["eth1"]))


@fault("other-interface", base=None, wire=False, unnamed="user nobody")
def sender_on_this_host_sends_elsewhere(lab):
    lab.pair()
    lab.link(lab.add_host(), "eth0", lab.host, "eth1", 2)
    lab.options.update(host=lab.host, interface="eth1")
    lab.repairs.append(lambda: setattr(lab, "interfaces", ["eth1"]))


@fault("same-network-twice", families=BOTH, base=None, arrives="twice")
def two_interfaces_on_one_segment(lab):
    lab.switched(("eth0", "eth1"))
    lab.interfaces = ["eth0", "eth1"]


@fault("other-namespace", wire=False, ways=WITH_DAEMON)
def daemon_is_in_another_namespace(lab):
    lab.viewer = lab.peer
    lab.is_silent = True
    lab.repairs.append(lambda: lab.add_stream(lab.peer, lab.group, PORT))


@fault("other-namespace", ways=WITH_DAEMON, arrives="all", unnamed="root user nobody")
def daemon_in_another_namespace_receives(lab):
    lab.viewer = lab.peer


@fault("not-on-wire", "other-interface", base=None, wire=False, unnamed="user nobody")
def macvlan_parent_to_child(lab):
    """A parent and its child do not hear each other."""
    parent = lab.add_host()
    lab.peer, lab.host = parent, lab.add_host()
    lab.link(lab.add_host(), "eth0", parent, "eth0")
    parent.ip(f"link add link eth0 name mac0 netns {lab.host.path} type macvlan mode private")
    lab.host.ip("link set mac0 name eth0", f"address add {network(4)}9/24 dev eth0", "link set eth0 up")
    lab.wait_links((lab.host, "eth0"))
    lab.options.update(host=parent, source=HOST[4])


@fault("other-interface", wire=False, unnamed="user nobody")
def joined_on_the_loopback_interface(lab):
    lab.interfaces = ["lo"]
    lab.repairs.append(lambda: setattr(lab, "interfaces", ["eth0"]))


@fault("rp-filter")
def a_route_refuses_the_sender(lab):
    sysctl(lab.host, "net.ipv4.conf.eth0.rp_filter", 1)
    lab.host.ip(f"route add blackhole {PEER[4]}/32")
    lab.repair_with(f"ip route del blackhole {PEER[4]}/32")


@fault("other-interface", "host-firewall", base=None, wire=False, unnamed="user nobody")
def macvlan_lets_nobody_through(lab):
    """The mode "source", without any source."""
    lab.pair()
    lab.host.ip("link add link eth0 name mac0 type macvlan mode source", f"address add {network(4)}9/24 dev mac0", "link set mac0 up")
    lab.interfaces = ["mac0"]


# Not in the table of causes: only a wrong certainty is a failure.

@fault(unnamed="target root user nobody")
def sender_has_the_address_of_this_host(lab):
    lab.host.ip(f"address add {PEER[4]}/32 dev lo")
    lab.repair_with(f"ip address del {PEER[4]}/32 dev lo")


@fault(unnamed="target root user nobody", arrives="all", also=("no-ipv4-address",))
def no_ipv4_address_but_it_arrives(lab):
    lab.host.ip(f"address del {HOST[4]}/24 dev eth0")


@fault("interface-drops", "host-firewall", unnamed="target root user nobody", wire=False)
def a_program_of_xdp_drops(lab):
    program = load_program(XDP)
    with lab.host:
        set_xdp("eth0", program)
    os.close(program)
    lab.repair_with("ip link set eth0 xdpgeneric off")


@fault("fragments-missing", "interface-drops", unnamed="target root user nobody")
def there_is_no_memory_for_fragments(lab):
    sysctl(lab.host, "net.ipv4.ipfrag_low_thresh", 0)
    sysctl(lab.host, "net.ipv4.ipfrag_high_thresh", 1)
    lab.options["size"] = 4000
    lab.repair_with("sysctl -qw net.ipv4.ipfrag_high_thresh=4194304")


@fault("host-firewall", unnamed="target root user nobody")
def a_policy_of_ipsec_blocks(lab):
    sh(lab.host, f"ip xfrm policy add dir in dst {lab.group}/32 action block")
    lab.repair_with("ip xfrm policy flush")
