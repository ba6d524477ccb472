/* What a group expects beyond not to be silent (groups/silence.h): a rate, certain senders, one
 * sender at a time. What is not so is told as an event.
 *
 * One timer a second is for all groups that expect a rate, or in which senders are in conflict. A
 * bound of a rate is judged once its period is over, in which enough datagrams are expected. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "net/address.h"

struct config_group;
struct datagram;
struct event_base;
struct expectations;
struct group;
struct origin;

/* Senders are in conflict once another one than the last was heard this often, each time within the
 * time from the time before: one that takes over is not. The conflict ends when nothing like it
 * happens for that time. */
#define CONFLICT_CHANGES 3
#define CONFLICT_WITHIN_S 10

/* A bound with fewer datagrams a second than this is judged over the shortest whole number of
 * seconds in which it allows that many; others each second. One datagram more or less may be of the
 * period before or after: it decides nothing there. */
#define SLOW_RATE 2
#define SLOW_DATAGRAMS 10

/* The least or the most that is expected, and when it was judged last. */
struct rate_bound {
	uint64_t counted, counted_ns; /* datagrams then, CLOCK_MONOTONIC */
	bool is_off; /* the last period was */
};

/* Of a group that expects something, or is merged. */
struct expected {
	struct group *group;
	struct link watched; /* each second */
	/* expect_rate */
	struct rate_bound least, most;
	bool is_off; /* as it was told */
	/* expect_senders: one that was last found to be in it */
	union endpoint known;
	/* expect_one_sender: the one that was heard last, and the one before it */
	struct address sender, other;
	uint32_t changed_s; /* when that changed, CLOCK_MONOTONIC_COARSE */
	unsigned changes; /* in a row */
	bool is_conflict;
	struct address rivals[2]; /* as it was told */
};

/* Returns NULL without memory. */
struct expectations *expectations_new(struct event_base *base);

/* No group may be watched any more. Accepts NULL. */
void expectations_free(struct expectations *expectations);

/* What its datagrams must carry, of enum need. */
unsigned expected_needs(const struct config_group *config);

/* For a new group, which has its merged: makes its expected, where its configuration wants one.
 * Returns 0 or -ENOMEM. */
int expected_new(struct group *group);

/* A membership of the group is joined: what its configuration expects, silence included, is watched
 * from now on, of those that are merged of it as well. Does nothing where that is so already. */
void expected_watch(struct group *group);

/* What was told to have begun is told to have ended. Accepts a group without. */
void expected_free(struct group *group);

/* Goes on for the group that replaces another one, where the same is expected of both. */
void expected_inherit(struct group *group, struct group *from);

/* Datagrams of the group were received. For one with expected_needs(). */
void expected_note(struct group *group, const struct origin *origin,
	const struct datagram *datagrams, unsigned count);
