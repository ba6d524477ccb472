/* The kernel's own verdicts, for everybody (RTM_GETROUTE, rtnetlink(7)). */
#pragma once

#include <net/if.h>
#include <stdbool.h>

#include "net/address.h"

/* Whether the kernel would take a datagram of this source for the group that comes in on the
 * interface. */
enum route_verdict {
	VERDICT_TAKES,
	VERDICT_REFUSES, /* not joined there, a source that is filtered, its way back, or an address
			    of this host */
	VERDICT_UNKNOWN, /* the kernel gave no answer; always for IPv6, which does not check */
};

/* Where a program of this host routes multicast, it hears of the question as of a datagram. */
enum route_verdict route_verdict(
	const struct address *group, const struct address *source, unsigned ifindex);

#define ROUTE_REFUSING_MAX 64

struct route {
	bool exists;
	int error; /* negative errno where it does not exist */
	char interface[IF_NAMESIZE]; /* that it leads out of */
	struct address source; /* that the kernel would send from; family AF_UNSPEC: none */
	bool has_gateway;
	struct address gateway;
	char refusing[ROUTE_REFUSING_MAX]; /* of IPv4, where it does not exist: the route that says
					      so, as ip-route(8) has it; empty: none does */
	bool is_local; /* the address is one of this host */
};

/* The way to an address as any program would be given it; with an ifindex, when it names that
 * interface. */
void route_find(const struct address *address, unsigned ifindex, struct route *ret);
