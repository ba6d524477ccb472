/* What the kernel tells of one interface, to everybody: rtnetlink(7), and the sysctls of
 * /proc/sys/net that decide whether a group is received. Statistics come by netlink, too, as /sys
 * shows those of the namespace that it was mounted in. */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/interface.h"

struct link_statistics {
	uint64_t received, received_errors, received_dropped, received_otherhost, received_missed;
	uint64_t received_crc_errors, received_fifo_errors, received_length_errors, multicast;
	uint64_t sent, sent_errors, sent_dropped, carrier_errors;
};

struct link {
	bool exists;
	char name[IF_NAMESIZE];
	unsigned ifindex;
	unsigned flags; /* netdevice(7), and INTERFACE_LOWER_UP */
	uint8_t operstate; /* IF_OPER_ of linux/if.h */
	unsigned mtu; /* bytes */
	char kind[16]; /* "veth", "macvlan", ...; empty for hardware */
	char master[IF_NAMESIZE]; /* of what it is a port, or the VRF that it is in; empty: none */
	char master_kind[16]; /* "bridge", "bond", "team", "vrf", "openvswitch", ... */
	char lower[IF_NAMESIZE]; /* the link below it, as ip-link(8) writes it behind @; empty:
				    none, in another namespace, or the other end of a veth pair */
	unsigned vlan; /* its VLAN, where it is one; 0: it is none */
	bool has_xdp; /* an XDP program looks at its frames first */
	bool has_ipv4; /* an IPv4 address */
	bool has_ipv6; /* an IPv6 address that can be used */
	struct link_statistics statistics;
	struct {
		int rp_filter; /* as it works: the larger one of "all" and its own */
		int force_igmp_version, force_mld_version; /* as they work; 0: none is forced */
		bool disable_ipv6;
		bool bridge_calls_iptables; /* net.bridge.bridge-nf-call-iptables, of the host */
	} sysctl;
	uint64_t receive_buffer_max; /* net.core.rmem_max, in bytes; 0: not shown in this namespace
				      */
};

/* Reads the one of this name, alternative name or address in the list, which names its master and
 * the link below. When there is none any more, exists is false and the rest 0. Returns 0, or a
 * negative errno. */
int link_read(const char *name, const struct interface_list *interfaces, struct link *ret);

/* The name of a VLAN interface on the link, in this namespace; NULL: there is none. buffer has
 * its storage. */
const char *link_find_vlan(const char *name, unsigned vlan, char buffer[static IF_NAMESIZE]);
