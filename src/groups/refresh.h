/* Reports memberships to the network again before a snooping switch forgets them, where nobody
 * asks: regularly those of groups with "refresh", and any on request.
 *
 * Groups with "refresh" are due at times that are spread over their periods; one timer is for all
 * of them. Whether other programs have joined, too, is read in the background, once for all that
 * are due. They are then asked for in portions, and net/report does the rest. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/deadlines.h"
#include "base/errors.h"
#include "base/list.h"

struct group;
struct group_context;
struct membership;
struct refreshes;

/* Embedded in the group; zeroed at first. */
struct refresh {
	struct deadline deadline; /* CLOCK_MONOTONIC */
	bool is_watched; /* the deadline is in use */
	struct link asked; /* in the round that is under way */
};

/* Embedded in the membership; zeroed at first. */
struct refreshed {
	uint64_t at_ns; /* when it was last refreshed, CLOCK_REALTIME; 0: never */
	char *impossible; /* why not, the last time; NULL: it was */
	bool is_shared; /* another program has the group */
	bool is_asked; /* the report that is under way is to refresh it */
	bool rejoins; /* the last time it was left and joined instead */
};

struct refresh_obstacle {
	char *group, *interface, *why;
};

/* Embedded in whoever asks, and zeroed before. */
struct refresh_request {
	struct link link;
	const char *group; /* NULL: all; must live until done() */
	void (*done)(struct refresh_request *request); /* called once, from the loop or at the end
							*/
	size_t sent; /* memberships that are being reported */
	struct {
		struct refresh_obstacle *items;
		size_t count;
	} impossible; /* the others; free them with refresh_request_clear() */
};

/* When the turn of a request has come, choose() is called, and calls refresh_choose() for each
 * group that it means. context must live longer. Returns NULL without memory or descriptors. */
struct refreshes *refreshes_new(struct group_context *context,
	void (*choose)(void *argument, const struct refresh_request *request), void *argument);

/* No group may be watched any more. Accepts NULL. */
void refreshes_free(struct refreshes *refreshes);

/* Asks for a refresh: done() is called once it is decided, in some milliseconds. */
void refresh_ask(struct refreshes *refreshes, struct refresh_request *request);
void refresh_choose(struct group *group);
void refresh_request_clear(struct refresh_request *request);

/* Refreshes the group from now on, if its configuration wants that. Does nothing where it is
 * watched already. */
void refresh_watch(struct group *group);

/* Refreshes it no more. */
void refresh_cancel(struct group *group);

/* The report of a membership has ended: why is NULL, or why it was not sent. */
void refresh_reported(struct membership *membership, const char *why);

/* The membership's group is not to be refreshed any more. */
void refresh_forget(struct membership *membership);
