#include "ctl/doctor/route.h"

#include <errno.h>
#include <linux/in_route.h>
#include <string.h>

#include "base/cleanup.h"
#include "net/rtnetlink.h"

/* Where this host routes multicast, the kernel also takes what it has not joined, to forward it. */
static int read_verdict(void *argument, const struct nlmsghdr *message)
{
	const struct rtmsg *route = rtnetlink_fixed(message, sizeof(*route));
	enum route_verdict *verdict = argument;

	if (message->nlmsg_type == RTM_NEWROUTE && route && route->rtm_type == RTN_MULTICAST)
		*verdict = route->rtm_flags & RTCF_LOCAL ? VERDICT_TAKES : VERDICT_REFUSES;
	return 0;
}

enum route_verdict route_verdict(
	const struct address *group, const struct address *source, unsigned ifindex)
{
	struct rtnetlink_route_request request;
	enum route_verdict verdict = VERDICT_UNKNOWN;
	int r;

	if (group->family != AF_INET || source->family != AF_INET)
		return VERDICT_UNKNOWN;
	rtnetlink_route_request(group, 0, &request);
	rtnetlink_route_from(&request, source);
	rtnetlink_route_interface(&request, RTA_IIF, ifindex);
	r = rtnetlink_route_ask(&request, read_verdict, &verdict);
	/* Until Linux 6.12 EXDEV is the reverse path, and EINVAL the rest. */
	return r == -EINVAL || r == -EXDEV ? VERDICT_REFUSES : verdict;
}

static bool is_usable(unsigned char type)
{
	return type == RTN_UNICAST || type == RTN_LOCAL || type == RTN_BROADCAST ||
	       type == RTN_ANYCAST || type == RTN_MULTICAST;
}

static void copy_address(const struct rtattr *attribute, sa_family_t family, struct address *ret)
{
	struct address address = {.family = family};

	if (rtnetlink_copy(attribute, &address.v4,
		    family == AF_INET ? sizeof(address.v4) : sizeof(address.v6)))
		*ret = address;
}

/* An IPv4 route may lead to a router by its IPv6 address (RFC 5549). */
static void copy_via(const struct rtattr *attribute, struct address *ret)
{
	const struct rtvia *via = RTA_DATA(attribute);
	size_t size = RTA_PAYLOAD(attribute);
	struct address address = {.family = AF_INET6};

	if (size < sizeof(*via) + sizeof(address.v6) || via->rtvia_family != AF_INET6)
		return;
	memcpy(&address.v6, via->rtvia_addr, sizeof(address.v6));
	*ret = address;
}

/* For IPv6 the kernel answers with routes that say "unreachable", too. */
static int read_route(void *argument, const struct nlmsghdr *message)
{
	const struct rtmsg *fixed = rtnetlink_fixed(message, sizeof(*fixed));
	const struct rtattr *parts[RTA_VIA + 1];
	struct rta_cacheinfo cache = {0};
	struct route *route = argument;
	unsigned ifindex = 0;

	if (message->nlmsg_type != RTM_NEWROUTE || !fixed)
		return -EIO;
	rtnetlink_attributes(message, sizeof(*fixed), parts, ARRAY_SIZE(parts));
	if (!is_usable(fixed->rtm_type)) {
		rtnetlink_copy(parts[RTA_CACHEINFO], &cache, sizeof(cache));
		return (int)cache.rta_error < 0 ? (int)cache.rta_error : -EHOSTUNREACH;
	}
	rtnetlink_copy(parts[RTA_OIF], &ifindex, sizeof(ifindex));
	if (!if_indextoname(ifindex, route->interface))
		*route->interface = '\0';
	copy_address(parts[RTA_PREFSRC], fixed->rtm_family, &route->source);
	copy_address(parts[RTA_GATEWAY], fixed->rtm_family, &route->gateway);
	if (parts[RTA_VIA])
		copy_via(parts[RTA_VIA], &route->gateway);
	route->has_gateway = route->gateway.family != AF_UNSPEC;
	route->is_local = fixed->rtm_type == RTN_LOCAL;
	return 0;
}

/* ---- Which route refuses ---- */

struct refusal {
	struct address address;
	int length; /* of the longest prefix so far; -1: none */
	bool refuses;
	char route[ROUTE_REFUSING_MAX];
};

static const char *name_type(unsigned char type)
{
	switch (type) {
	case RTN_BLACKHOLE:
		return "blackhole";
	case RTN_UNREACHABLE:
		return "unreachable";
	case RTN_PROHIBIT:
		return "prohibit";
	}
	return NULL;
}

/* Of the main table, which is what people change. */
static int take_refusal(void *argument, const struct nlmsghdr *message)
{
	const struct rtmsg *fixed = rtnetlink_fixed(message, sizeof(*fixed));
	struct refusal *refusal = argument;
	const struct rtattr *parts[RTA_DST + 1];
	struct prefix prefix = {.address = {.family = AF_INET}};
	char string[INET6_ADDRSTRLEN];

	if (message->nlmsg_type != RTM_NEWROUTE || !fixed || fixed->rtm_family != AF_INET ||
		fixed->rtm_table != RT_TABLE_MAIN || fixed->rtm_dst_len < refusal->length)
		return 0;
	rtnetlink_attributes(message, sizeof(*fixed), parts, ARRAY_SIZE(parts));
	copy_address(parts[RTA_DST], AF_INET, &prefix.address);
	prefix.length = fixed->rtm_dst_len;
	if (!prefix_contains(&prefix, &refusal->address))
		return 0;
	refusal->length = fixed->rtm_dst_len;
	refusal->refuses = name_type(fixed->rtm_type);
	if (refusal->refuses)
		snprintf(refusal->route, sizeof(refusal->route), "%s %s/%u",
			name_type(fixed->rtm_type), address_format(&prefix.address, string),
			fixed->rtm_dst_len);
	return 0;
}

static void forget_refusal(void *argument)
{
	struct refusal *refusal = argument;

	refusal->length = -1;
	refusal->refuses = false;
}

static void find_refusal(const struct address *address, struct route *route)
{
	struct refusal refusal = {.address = *address};

	if (address->family == AF_INET &&
		rtnetlink_dump(RTM_GETROUTE, take_refusal, forget_refusal, &refusal) >= 0 &&
		refusal.refuses)
		memcpy(route->refusing, refusal.route, sizeof(route->refusing));
}

void route_find(const struct address *address, unsigned ifindex, struct route *ret)
{
	struct rtnetlink_route_request request;
	int r;

	*ret = (struct route){0};
	rtnetlink_route_request(address, 0, &request);
	if (ifindex)
		rtnetlink_route_interface(&request, RTA_OIF, ifindex);
	r = rtnetlink_route_ask(&request, read_route, ret);
	ret->exists = r >= 0;
	ret->error = r < 0 ? r : 0;
	if (r < 0 && r != -ENETUNREACH)
		find_refusal(address, ret);
}
