/* Tells that the network interfaces, the routes or the queueing disciplines may have changed
 * (rtnetlink(7)). It is only a wake-up: the callback reads the current state itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct link_monitor;

struct link_change {
	const unsigned *gone; /* indexes of interfaces that were deleted or left the namespace;
				 they may be back by now */
	size_t gone_count;
	bool links_changed; /* or addresses */
	bool routes_changed; /* or queueing disciplines */
};

typedef void (*link_changed)(void *argument, const struct link_change *change);

/* Calls changed soon after something has changed, once for many changes; for routes and queueing
 * disciplines at most twice a second. Returns 0 or a negative errno. */
int link_monitor_new(
	struct event_base *base, link_changed changed, void *argument, struct link_monitor **ret);

/* Accepts NULL. */
void link_monitor_free(struct link_monitor *monitor);
