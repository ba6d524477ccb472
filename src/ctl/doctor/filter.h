/* The filter of the socket that looks at the wire (classic BPF: packet(7), and linux/filter.h for
 * its extensions). Pure. What it lets through that is not wanted is left out later; what is wanted,
 * it must let through. Offsets are from the network header, so that it does for links without
 * Ethernet's. */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

#include "ctl/doctor/wire.h"
#include "net/address.h"

struct filter {
	struct sock_filter *items;
	size_t count;
};

/* How many bytes of a frame are let through: whole of each, or of one in sixteen, and some of the
 * others. */
struct filter_snap {
	unsigned whole, some;
	bool samples;
};

/* Lets through the start of each frame of: IGMP, MLD, UDP to the groups and to what has their MAC
 * addresses; without samples, UDP to their ports; and what has two tags, to multicast addresses. Of
 * more groups than it can compare at this speed, all multicast. Returns 0 or -ENOMEM. Released with
 * free(ret->items). */
int filter_build(const struct wire_group *groups, size_t count, const struct filter_snap *snap,
	struct filter *ret);
