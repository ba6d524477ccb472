#include "ctl/doctor/link.h"

#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "net/joined.h"
#include "net/rtnetlink.h"

/* What an answer says, with indexes instead of names. */
struct answer {
	struct link link;
	unsigned master, lower; /* 0: none */
};

/* Older kernels have fewer counters: those that are missing are 0. */
static void read_statistics(const struct rtattr *attribute, struct link_statistics *ret)
{
	struct rtnl_link_stats64 from = {0};
	size_t size = RTA_PAYLOAD(attribute);

	memcpy(&from, RTA_DATA(attribute), size < sizeof(from) ? size : sizeof(from));
	*ret = (struct link_statistics){
		.received = from.rx_packets,
		.received_errors = from.rx_errors,
		.received_dropped = from.rx_dropped,
		.received_otherhost = from.rx_otherhost_dropped,
		.received_missed = from.rx_missed_errors,
		.received_crc_errors = from.rx_crc_errors,
		.received_fifo_errors = from.rx_fifo_errors,
		.received_length_errors = from.rx_length_errors,
		.multicast = from.multicast,
		.sent = from.tx_packets,
		.sent_errors = from.tx_errors,
		.sent_dropped = from.tx_dropped,
		.carrier_errors = from.tx_carrier_errors,
	};
}

static unsigned read_vlan(const struct rtattr *data)
{
	const struct rtattr *parts[IFLA_VLAN_ID + 1];
	uint16_t id = 0;

	rtnetlink_nested(data, parts, ARRAY_SIZE(parts));
	rtnetlink_copy(parts[IFLA_VLAN_ID], &id, sizeof(id));
	return id;
}

static void read_kinds(const struct rtattr *info, struct link *link)
{
	const struct rtattr *parts[IFLA_INFO_SLAVE_KIND + 1];

	rtnetlink_nested(info, parts, ARRAY_SIZE(parts));
	if (parts[IFLA_INFO_KIND])
		rtnetlink_copy_string(parts[IFLA_INFO_KIND], link->kind, sizeof(link->kind));
	if (parts[IFLA_INFO_SLAVE_KIND])
		rtnetlink_copy_string(
			parts[IFLA_INFO_SLAVE_KIND], link->master_kind, sizeof(link->master_kind));
	if (parts[IFLA_INFO_DATA] && !strcmp(link->kind, "vlan"))
		link->vlan = read_vlan(parts[IFLA_INFO_DATA]);
}

static bool has_xdp(const struct rtattr *xdp)
{
	const struct rtattr *parts[IFLA_XDP_ATTACHED + 1];
	uint8_t attached = XDP_ATTACHED_NONE;

	rtnetlink_nested(xdp, parts, ARRAY_SIZE(parts));
	rtnetlink_copy(parts[IFLA_XDP_ATTACHED], &attached, sizeof(attached));
	return attached != XDP_ATTACHED_NONE;
}

static int read_link(void *argument, const struct nlmsghdr *message)
{
	const struct ifinfomsg *fixed = rtnetlink_fixed(message, sizeof(*fixed));
	const struct rtattr *parts[IFLA_XDP + 1];
	struct answer *answer = argument;
	struct link *link = &answer->link;

	if (message->nlmsg_type != RTM_NEWLINK || !fixed)
		return 0;
	rtnetlink_attributes(message, sizeof(*fixed), parts, ARRAY_SIZE(parts));
	*answer = (struct answer){
		.link = {.ifindex = (unsigned)fixed->ifi_index, .flags = fixed->ifi_flags}};
	if (parts[IFLA_IFNAME])
		rtnetlink_copy_string(parts[IFLA_IFNAME], link->name, sizeof(link->name));
	link->exists = *link->name;
	rtnetlink_copy(parts[IFLA_OPERSTATE], &link->operstate, sizeof(link->operstate));
	rtnetlink_copy(parts[IFLA_MTU], &link->mtu, sizeof(link->mtu));
	rtnetlink_copy(parts[IFLA_MASTER], &answer->master, sizeof(answer->master));
	/* The other end of a veth pair is not below it. */
	if (parts[IFLA_LINKINFO])
		read_kinds(parts[IFLA_LINKINFO], link);
	if (!parts[IFLA_LINK_NETNSID] && strcmp(link->kind, "veth") != 0)
		rtnetlink_copy(parts[IFLA_LINK], &answer->lower, sizeof(answer->lower));
	if (parts[IFLA_XDP])
		link->has_xdp = has_xdp(parts[IFLA_XDP]);
	if (parts[IFLA_STATS64])
		read_statistics(parts[IFLA_STATS64], &link->statistics);
	return 0;
}

static void name_of(
	const struct interface_list *interfaces, unsigned index, char ret[static IF_NAMESIZE])
{
	const struct interface *interface = index ? interface_by_index(interfaces, index) : NULL;

	if (interface)
		strcpy(ret, interface->name);
}

/* Of the two values of rp_filter the kernel takes the larger one (ip-sysctl.rst). */
static void read_sysctls(struct link *link)
{
	int all = interface_sysctl("ipv4", "all", "rp_filter");
	int own = interface_sysctl("ipv4", link->name, "rp_filter");

	link->sysctl.rp_filter = all > own ? all : own;
	link->sysctl.force_igmp_version = joined_forced_igmp(link->name);
	link->sysctl.force_mld_version = joined_forced_mld(link->name);
	link->sysctl.disable_ipv6 = interface_sysctl("ipv6", link->name, "disable_ipv6");
	link->sysctl.bridge_calls_iptables = read_number(
		"/proc/sys/net/bridge/bridge-nf-call-iptables", 0);
	link->receive_buffer_max = (uint64_t)read_number("/proc/sys/net/core/rmem_max", 0);
}

int link_read(const char *name, const struct interface_list *interfaces, struct link *ret)
{
	const struct interface *interface = interface_find(interfaces, name);
	struct answer answer = {0};
	struct link *link = &answer.link;
	int r = interface ? rtnetlink_link(interface->index, 0, read_link, &answer) : -ENODEV;

	if (r < 0 && r != -ENODEV)
		return r;
	if (link->exists) {
		name_of(interfaces, answer.master, link->master);
		name_of(interfaces, answer.lower, link->lower);
		link->has_ipv4 = interface->has_ipv4;
		link->has_ipv6 = interface_address(interfaces, interface, AF_INET6);
		read_sysctls(link);
	}
	*ret = *link;
	return 0;
}

struct vlan_search {
	unsigned lower, vlan;
	char *name;
};

static int compare_vlan(void *argument, const struct nlmsghdr *message)
{
	struct vlan_search *search = argument;
	struct answer answer = {0};

	read_link(&answer, message);
	if (answer.link.exists && !strcmp(answer.link.kind, "vlan") &&
		answer.lower == search->lower && answer.link.vlan == search->vlan)
		strcpy(search->name, answer.link.name);
	return 0;
}

static void forget_vlan(void *argument)
{
	*((struct vlan_search *)argument)->name = '\0';
}

const char *link_find_vlan(const char *name, unsigned vlan, char buffer[static IF_NAMESIZE])
{
	struct vlan_search search = {if_nametoindex(name), vlan, buffer};

	if (!search.lower || rtnetlink_dump(RTM_GETLINK, compare_vlan, forget_vlan, &search) < 0 ||
		!*buffer)
		return NULL;
	return buffer;
}
