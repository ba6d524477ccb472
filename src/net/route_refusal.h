/* Routes by which the kernel refuses to send: blackhole, prohibit and unreachable (ip-route(8));
 * and the one that it lacks, to send to a group of IPv6 by an interface. */
#pragma once

#include "base/errors.h"
#include "net/address.h"

/* Whether r is an error that such a route causes; others may cause it, too. */
bool route_may_refuse(int r);

/* Explains an error of a send by the kernel's route, after asking for the route to the address now.
 * Returns r with the reason in why; or 0 where that is not the cause, and why stays as it is. */
int route_explain_refusal(const struct address *to, int r, char why[static WHY_MAX]);

/* The same of a send by an interface that is named: the kernel adds a multicast route of IPv6 for
 * each interface with the flag MULTICAST, which lo is not. */
int route_explain_missing(
	const struct address *to, const char *interface, int r, char why[static WHY_MAX]);

/* The end of the command that adds such a route, behind "ip -6 route add ". */
#define ROUTE_MULTICAST6 "multicast ff00::/8 table local dev "
