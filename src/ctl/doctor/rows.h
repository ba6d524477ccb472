/* The table of causes, in the order of telling: ROW(id, name, stage, verdict, meaning, remedy). The
 * functions of a row are is_ID(), tell_ID() and fix_ID(), in causes_*.c. Meaning and remedy are for
 * the manual page. */
#pragma once

#include "ctl/doctor/causes.h"

/* clang-format off */
#define CAUSES(ROW)                                                                                \
	ROW(other_namespace, "other-namespace", STAGE_VIEW, VERDICT_OPEN,                          \
		"mcastd is in another network namespace than mcastctl, as in a container",         \
		"run mcastctl there, with nsenter(1)")                                             \
	ROW(address_gone, "address-gone", STAGE_JOIN, VERDICT_NOT_JOINED,                          \
		"The address is none of this host's, or has gone",                                 \
		"ip addr add ADDRESS/LENGTH dev NAME, or another address")                         \
	ROW(no_such_interface, "no-such-interface", STAGE_JOIN, VERDICT_NOT_JOINED,                \
		"The interface is not there",                                                      \
		"name another in interfaces; mcastd joins as soon as it is there")                 \
	ROW(port_taken, "port-taken", STAGE_JOIN, VERDICT_NOT_JOINED,                              \
		"Another program has the port and does not share it",                              \
		"SO_REUSEADDR in the other program")                                               \
	ROW(too_many_memberships, "too-many-memberships", STAGE_JOIN, VERDICT_NOT_JOINED,          \
		"A limit of the kernel on memberships or sources is reached",                      \
		"the sysctl that the message names")                                               \
	ROW(cannot_join, "cannot-join", STAGE_JOIN, VERDICT_NOT_JOINED,                            \
		"It cannot be joined for another reason, which mcastd or the kernel gives",        \
		"as the reason says")                                                              \
	ROW(interface_down, "interface-down", STAGE_JOIN, VERDICT_NOT_JOINED,                      \
		"The interface is down", "ip link set NAME up")                                    \
	ROW(ipv6_disabled, "ipv6-disabled", STAGE_JOIN, VERDICT_NOT_JOINED,                        \
		"IPv6 is disabled on the interface",                                               \
		"sysctl -w net.ipv6.conf.NAME.disable_ipv6=0")                                     \
	ROW(no_carrier, "no-carrier", STAGE_LINK, VERDICT_NETWORK,                                 \
		"The interface has no carrier", "the cable, the other end, or a bridge's port")    \
	ROW(enslaved, "enslaved", STAGE_LINK, VERDICT_HOST,                                        \
		"The interface is a port of a bridge, bond or team, which takes its frames",       \
		"join on the bridge, bond or team")                                                \
	ROW(no_ipv4_address, "no-ipv4-address", STAGE_LINK, VERDICT_HOST,                          \
		"The interface has no IPv4 address, and rp_filter refuses what comes in there",    \
		"ip addr add ADDRESS/LENGTH dev NAME")                                             \
	ROW(vrf, "vrf", STAGE_LINK, VERDICT_HOST,                                                  \
		"The interface is in a VRF, and the socket is not",                                \
		"sysctl -w net.ipv4.udp_l3mdev_accept=1")                                          \
	ROW(rp_filter, "rp-filter", STAGE_HOST, VERDICT_HOST,                                      \
		"The kernel's reverse path filter drops the datagrams: the route to the sender "   \
		"does not lead out of the interface (strict, 1), or there is none (loose, 2)",     \
		"a route to the sender by the interface, or the sysctl rp_filter")                 \
	ROW(service_firewall, "service-firewall", STAGE_HOST, VERDICT_HOST,                        \
		"A BPF program at the service's cgroup or at the socket drops it, such as that "   \
		"of systemd's IPAddressDeny=",                                                     \
		"IPAddressAllow= in the service's unit")                                           \
	ROW(receive_buffer, "receive-buffer", STAGE_HOST, VERDICT_HOST,                            \
		"The socket's receive buffer was full", "receive_buffer, net.core.rmem_max")       \
	ROW(bad_udp_checksum, "bad-udp-checksum", STAGE_HOST, VERDICT_HOST,                        \
		"The UDP checksum is wrong", "ethtool -K NAME tx off on the sender's host")        \
	ROW(bad_ip_checksum, "bad-ip-checksum", STAGE_HOST, VERDICT_HOST,                          \
		"The checksum of the IP header is wrong",                                          \
		"ethtool -K NAME tx off on the sender's host")                                     \
	ROW(bad_length, "bad-length", STAGE_HOST, VERDICT_HOST,                                    \
		"A header claims more bytes than there are", "the sender, or a device between")    \
	ROW(fragments_missing, "fragments-missing", STAGE_HOST, VERDICT_NETWORK,                   \
		"The datagrams are sent in fragments, and not all of them arrive",                 \
		"a payload that fits the MTU; a firewall that lets fragments through")             \
	ROW(shared_port, "shared-port", STAGE_HOST, VERDICT_HOST,                                  \
		"Another socket of the same user on the same port (SO_REUSEPORT) gets them",       \
		"end the other program, or have it use SO_REUSEADDR only")                         \
	ROW(sender_address, "sender-address", STAGE_HOST, VERDICT_HOST,                            \
		"The kernel refuses the sender's address: it is one of this host, which another "  \
		"host has, too, or which comes back to it; or it is of no host",                   \
		"another address for one of the two; accept_local; an address for the sender")     \
	ROW(host_firewall, "host-firewall", STAGE_HOST, VERDICT_HOST,                              \
		"A firewall of this host drops it: nftables or iptables",                          \
		"a rule that accepts it, as a command for each chain that may drop it")            \
	ROW(other_source, "other-source", STAGE_ASKED, VERDICT_HOST,                               \
		"The sender is not one of sources, or it is one of block_sources",                 \
		"the sender, in sources; or without it in block_sources")                         \
	ROW(other_port, "other-port", STAGE_ASKED, VERDICT_HOST,                                   \
		"The group is sent to another port", "that port, in port")                         \
	ROW(vlan_tagged, "vlan-tagged", STAGE_ASKED, VERDICT_HOST,                                 \
		"It comes with a VLAN tag, and the group is joined on the interface below",        \
		"ip link add link NAME name NAME.N type vlan id N, and join there")                \
	ROW(local_sender_no_loop, "local-sender-no-loop", STAGE_ASKED, VERDICT_HOST,               \
		"The sender is on this host, and has disabled multicast loopback",                 \
		"IP_MULTICAST_LOOP (loop = true) at the sender")                                   \
	ROW(other_interface, "other-interface", STAGE_ASKED, VERDICT_HOST,                         \
		"It comes in on another interface", "that interface, in interfaces")               \
	ROW(rp_filter_counted, "rp-filter", STAGE_COUNTERS, VERDICT_HOST,                          \
		NULL, NULL)                                                                        \
	ROW(fragments_counted, "fragments-missing", STAGE_COUNTERS, VERDICT_NETWORK,               \
		NULL, NULL)                                                                        \
	ROW(udp_checksum_counted, "bad-udp-checksum", STAGE_COUNTERS, VERDICT_HOST,                \
		NULL, NULL)                                                                        \
	ROW(ip_checksum_counted, "bad-ip-checksum", STAGE_COUNTERS, VERDICT_HOST,                  \
		NULL, NULL)                                                                        \
	ROW(length_counted, "bad-length", STAGE_COUNTERS, VERDICT_HOST,                            \
		NULL, NULL)                                                                        \
	ROW(shared_port_counted, "shared-port", STAGE_COUNTERS, VERDICT_HOST,                      \
		NULL, NULL)                                                                        \
	ROW(source_counted, "other-source", STAGE_COUNTERS, VERDICT_HOST,                          \
		NULL, NULL)                                                                        \
	ROW(port_counted, "other-port", STAGE_COUNTERS, VERDICT_HOST,                              \
		NULL, NULL)                                                                        \
	ROW(firewall_counted, "host-firewall", STAGE_COUNTERS, VERDICT_HOST,                       \
		NULL, NULL)                                                                        \
	ROW(vlan_counted, "vlan-tagged", STAGE_COUNTERS, VERDICT_HOST,                             \
		NULL, NULL)                                                                        \
	ROW(interface_drops, "interface-drops", STAGE_COUNTERS, VERDICT_HOST,                      \
		"The interface drops frames: larger than its MTU, damaged, or faster than it is "  \
		"emptied",                                                                         \
		"ip link set NAME mtu N; ethtool -S NAME tells more")                              \
	ROW(queries_blocked, "queries-blocked", STAGE_NETWORK, VERDICT_HOST,                       \
		"Queries of IGMP or MLD come in, and this host's firewall drops them, so that a "  \
		"snooping switch forgets it",                                                      \
		"a rule that accepts them in the firewall's input")                                \
	ROW(switch_forgot, "switch-forgot", STAGE_NETWORK, VERDICT_NETWORK,                        \
		"It comes once the group is reported again: a snooping switch has forgotten this " \
		"host",                                                                            \
		"refresh = \"60s\", or a querier in the network")                                  \
	ROW(report_blocked, "report-blocked", STAGE_NETWORK, VERDICT_HOST,                         \
		"Our own IGMP or MLD reports do not leave this host",                              \
		"a rule that accepts them in the firewall's output")                               \
	ROW(refresh_impossible, "refresh-impossible", STAGE_NETWORK, VERDICT_NETWORK,              \
		"Nothing comes, and the group cannot be reported again: another program has "      \
		"joined it, too",                                                                  \
		"end the other program for a moment")                                              \
	ROW(not_on_wire, "not-on-wire", STAGE_NETWORK, VERDICT_NETWORK,                            \
		"Nothing comes in on the wire, and nothing on this host drops it: no sender, a "   \
		"TTL too small, no multicast router, or a firewall elsewhere",                     \
		"mcastctl doctor --send on the sender's host")                                     \
	ROW(host_or_network, "host-or-network", STAGE_NETWORK, VERDICT_OPEN,                       \
		"Nothing comes, and only root can see whether it is on the wire",                  \
		"sudo mcastctl doctor")                                                            \
	ROW(forced_version, "forced-igmp-version", STAGE_BESIDE, VERDICT_DELIVERED,                \
		"A sysctl forces a version of IGMP or MLD that cannot report sources",             \
		"sysctl -w net.ipv4.conf.all.force_igmp_version=0")                                \
	ROW(same_network_twice, "same-network-twice", STAGE_BESIDE, VERDICT_DELIVERED,             \
		"Two interfaces of the group are on one network: everything comes twice",          \
		"duplicates = \"drop\", or, without a relay, one of them in interfaces")            \
	ROW(mac_collision, "mac-collision", STAGE_BESIDE, VERDICT_DELIVERED,                       \
		"On the wire, another group has the same MAC address: the host gets its frames, "  \
		"too",                                                                             \
		"another address for one of the groups")                                           \
	ROW(handler_fails, "handler-fails", STAGE_BESIDE, VERDICT_DELIVERED,                       \
		"The group receives, and handlers of it deliver nothing now",                      \
		"as the reason says; mcastctl handlers")                                           \
	ROW(handler_drops, "handler-drops", STAGE_BESIDE, VERDICT_DELIVERED,                       \
		"The group receives, and its handlers lose datagrams",                             \
		"a larger queue of the handler, as the reason says")                               \
	ROW(handler_limits, "handler-limits", STAGE_BESIDE, VERDICT_DELIVERED,                     \
		"The group receives, and its handlers drop what they are told to",                 \
		"a larger rate of the handler, as the reason says")                                \
	ROW(all_filtered, "all-filtered", STAGE_BESIDE, VERDICT_DELIVERED,                         \
		"The group receives, and the filters of its handlers let nothing through",         \
		"what filter of the handler lets through")                                         \
	ROW(send_no_route, "send-no-route", STAGE_SENDING, VERDICT_DELIVERED,                      \
		"To send: no interface is named, and the kernel has no route to the group, or "    \
		"one that refuses it (prohibit, blackhole, unreachable)",                          \
		"name the interface, ip route add 224.0.0.0/4 dev NAME, or ip route del")          \
	ROW(send_firewall, "send-firewall", STAGE_SENDING, VERDICT_DELIVERED,                      \
		"To send: a firewall of this host refuses it",                                     \
		"a rule that accepts it in the firewall's output")                                 \
	ROW(send_no_address, "send-no-address", STAGE_SENDING, VERDICT_DELIVERED,                  \
		"To send: the interface has no address, so that it leaves from another's or from " \
		"0.0.0.0",                                                                         \
		"ip addr add ADDRESS/LENGTH dev NAME")                                             \
	ROW(send_too_large, "send-too-large", STAGE_SENDING, VERDICT_DELIVERED,                    \
		"To send: the datagram is larger than the MTU and may not be fragmented",          \
		"a smaller payload")                                                               \
	ROW(send_refused, "send-refused", STAGE_SENDING, VERDICT_DELIVERED,                        \
		"To send: mcastd or the kernel refuses it, and says why", "as the reason says")    \
	ROW(send_ttl, "send-ttl", STAGE_SENDING, VERDICT_DELIVERED,                                \
		"To send: with a TTL of 0 nothing leaves this host", "a ttl of 1 or more")         \
	ROW(send_other_interface, "send-other-interface", STAGE_SENDING, VERDICT_DELIVERED,        \
		"To send: it leaves by another interface than it is received on",                  \
		"name the interface to send on")                                                   \
	ROW(send_dropped, "send-dropped", STAGE_SENDING, VERDICT_DELIVERED,                        \
		"To send: the kernel takes it, and it is dropped before it leaves",                \
		"nft list ruleset shows the hooks egress and postrouting; tc -s qdisc")            \
	ROW(ssm_without_sources, "ssm-without-sources", STAGE_NOTE, VERDICT_DELIVERED,             \
		"Note: the address is for source-specific multicast, and no source is named: "     \
		"routers do not forward it",                                                       \
		"sources")                                                                         \
	ROW(local_block, "local-block", STAGE_NOTE, VERDICT_DELIVERED,                             \
		"Note: the address is of the local control block, which no router forwards and "   \
		"switches send everywhere, or has interface-local scope and never leaves a host, " \
		"or the reserved scope 0, of which hosts drop all",                                \
		"an address of 239.0.0.0/8, or ff15::/16")                                         \
	ROW(shared_mac, "shared-mac", STAGE_NOTE, VERDICT_DELIVERED,                               \
		"Note: two groups of the configuration have the same MAC address",                 \
		"another address for one of the groups")                                           \
	ROW(sent, "sent", STAGE_NOTE, VERDICT_DELIVERED,                                           \
		"Note: what was sent left this host",                                              \
		"mcastctl doctor on the receiver's host")                                          \
	ROW(other_address, "other-address", STAGE_NOTE, VERDICT_DELIVERED,                         \
		"Note: nothing came, but to the same port something is sent to another address: "  \
		"of another group, of this host, or of all hosts",                                 \
		"the group's address, at the sender; or that address, in address")                 \
	ROW(ttl_one, "ttl-one", STAGE_NOTE, VERDICT_DELIVERED,                                     \
		"Note: it is sent with a TTL of 1, and no router forwards it",                     \
		"a larger TTL at the sender")                                                      \
	ROW(cannot_send, "cannot-send", STAGE_NOTE, VERDICT_DELIVERED,                             \
		"Note: mcastd says why the group cannot send now", "as the reason says; --send")   \
	ROW(rarely_sent, "rarely-sent", STAGE_NOTE, VERDICT_DELIVERED,                             \
		"Note: nothing came now, but not for longer than expect_within, or than its "      \
		"sender usually pauses",                                                           \
		"mcastctl doctor --wait TIME")                                                     \
	ROW(no_querier, "no-querier", STAGE_NOTE, VERDICT_DELIVERED,                               \
		"Note: nobody has asked for groups in 125 s and more: snooping switches forget",   \
		"refresh = \"60s\", or a querier in the network")
/* clang-format on */

#define DECLARE_CAUSE(id, ...)                                                    \
	enum certainty is_##id(const struct evidence *evidence);                  \
	void tell_##id(const struct evidence *evidence, struct finding *finding); \
	void fix_##id(const struct evidence *evidence, struct finding *finding);
CAUSES(DECLARE_CAUSE)
