/* The addresses of this host, and which interfaces have them: whose a sender is. */
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
};

/* Makes the addresses those of the list. Without memory some are missing. */
void own_addresses_update(struct own_addresses *own, const struct interface_list *interfaces);
void own_addresses_clear(struct own_addresses *own);

/* Whose the source of what arrived on an interface is; ifindex 0: at a socket of all of them. Takes
 * log n. */
enum owner own_addresses_find(
	const struct own_addresses *own, const struct address *source, unsigned ifindex);
