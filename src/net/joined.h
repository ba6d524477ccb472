/* Which groups are joined on which interfaces, by any program, as /proc/net/igmp and
 * /proc/net/igmp6 list it. The kernel does not tell a socket that its membership was removed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "net/address.h"

struct joined_group {
	struct address group;
	unsigned ifindex;
};

struct joined {
	struct joined_group *items;
	size_t count;
	uint32_t *slots; /* a hash table of indexes of items, plus 1; 0: free */
	size_t slot_count; /* a power of two */
	struct {
		unsigned *items;
		size_t count;
	} version2; /* indexes of interfaces that do IGMPv1 or IGMPv2 */
};

/* Fills in a zeroed list. Returns 0 or a negative errno; the list is empty then. */
int joined_read(struct joined *joined);
void joined_clear(struct joined *joined);

/* Whether the interface does IGMPv1 or IGMPv2: a querier of that version was heard, or a sysctl
 * demands it. */
bool joined_is_version2(const struct joined *joined, unsigned ifindex);

bool joined_contains(const struct joined *joined, const struct address *group, unsigned ifindex);
