/* The addresses of this host and the networks that they are on: where a sender belongs. */
#pragma once

#include <stddef.h>

#include "net/address.h"

struct interface_list;

/* Zeroed while no interfaces are known: then all addresses are other hosts'. */
struct own_addresses {
	struct interface_address *items; /* sorted by address */
	size_t count;
	unsigned loopback; /* the index of lo */
};

/* Whose an address is. */
enum owner {
	OWNER_OTHER, /* another host's */
	OWNER_THIS, /* this host's, where it may come from: the interface's, or on lo any */
	OWNER_ELSEWHERE, /* another interface's of this host */
	OWNER_ELSEWHERE_ON_LINK, /* a host's on the network of another interface, unless a route
				    tells that it is here */
};

/* Makes the addresses those of the list. Without memory some are missing. */
void own_addresses_update(struct own_addresses *own, const struct interface_list *interfaces);
void own_addresses_clear(struct own_addresses *own);

/* Whose the source of what arrived on an interface is; ifindex 0: at a socket of all of them. A
 * host on the network of another interface sends there: a copy that comes in elsewhere was brought
 * by a router, or by a relay that keeps sources. Not so where the networks overlap, which routes
 * tell; and an interface without addresses may be that of any network: a macvlan on it, or a
 * neighbour by proxy ARP, may have its addresses. */
enum owner own_addresses_find(
	const struct own_addresses *own, const struct address *source, unsigned ifindex);
