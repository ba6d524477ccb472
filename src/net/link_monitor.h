/* Tells that the network interfaces may have changed (rtnetlink(7)). It is a wake-up and no more:
 * whoever is told looks at what there is. */
#pragma once

#include <stdbool.h>

struct event_base;
struct link_monitor;

struct link_change {
	const unsigned *gone; /* indexes of interfaces that were deleted, or left the namespace:
				 they may be back already */
	unsigned gone_count;
};

/* Whether the interface of this index may be another one than before, although it is there. */
bool link_change_is_new(const struct link_change *change, unsigned index);

typedef void (*link_changed)(void *argument, const struct link_change *change);

/* Calls changed soon after something has changed, once for many changes. Returns 0 or a negative
 * errno. */
int link_monitor_new(
	struct event_base *base, link_changed changed, void *argument, struct link_monitor **ret);

/* Accepts NULL. */
void link_monitor_free(struct link_monitor *monitor);
