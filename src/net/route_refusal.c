#include "net/route_refusal.h"

#include <errno.h>
#include <net/if.h>
#include <stddef.h>

#include "net/interface.h"
#include "net/rtnetlink.h"

/* What the kernel says for each type of such a route (fib_props[] in its net/ipv4/fib_semantics.c,
 * ip6_rt_type_to_error() in net/ipv6/route.c); NULL: for none. */
static const char *name_refusal(int r)
{
	switch (-r) {
	case EINVAL:
		return "a blackhole";
	case EACCES:
		return "prohibited";
	case EHOSTUNREACH:
		return "unreachable";
	default:
		return NULL;
	}
}

bool route_may_refuse(int r)
{
	return name_refusal(r);
}

int route_explain_refusal(const struct address *to, int r, char why[static WHY_MAX])
{
	const char *refusal = name_refusal(r);
	char string[INET6_ADDRSTRLEN];

	if (!refusal || rtnetlink_route_type(to) != r)
		return 0;
	address_format(to, string);
	return because(why, r,
		"the route to %s is %s: ip route get %s; delete it with ip route del, or name the "
		"interface to send on",
		string, refusal, string);
}

int route_explain_missing(
	const struct address *to, const char *interface, int r, char why[static WHY_MAX])
{
	/* Of one that is down, all routes have gone. */
	if (r != -ENETUNREACH || to->family != AF_INET6 || !address_is_multicast(to) ||
		!interface_has_carrier(if_nametoindex(interface)))
		return 0;
	return because(why, r,
		"%s has no multicast route of IPv6: ip -6 route add " ROUTE_MULTICAST6 "%s",
		interface, interface);
}
