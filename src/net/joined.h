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
	struct joined_group *items; /* sorted */
	size_t count;
};

/* Fills in a zeroed list. Returns 0 or a negative errno; the list is empty then. */
int joined_read(struct joined *joined);
void joined_clear(struct joined *joined);

bool joined_contains(const struct joined *joined, const struct address *group, unsigned ifindex);
