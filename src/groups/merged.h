/* Groups that are made of others (the key merge): each datagram of these legs is taken from where
 * the leg is delivered, and what is no copy (data/merge) is a datagram of the merged group, in the
 * order in which it came, without delay.
 *
 * A leg is connected to the group of its name while there is one: legs are in that group's list of
 * feeds. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "config/config.h"
#include "data/counters.h"
#include "data/merge.h"

struct counters;
struct datagram;
struct group;
struct group_set;
struct merged;
struct origin;

/* taken = passed + duplicates + apart */
COUNTERS_RECORD(merge_leg_counters, {
	uint64_t taken; /* datagrams */
	uint64_t passed;
	uint64_t duplicates;
	uint64_t apart; /* their numbers were far from those of the other legs */
	uint64_t unique, lost, reordered, repeated, late, restarts; /* numbers, of the leg alone */
});

struct merge_leg {
	struct merged *merged;
	struct group *from; /* NULL: there is no such group now */
	struct link link; /* in the feeds of that */
	unsigned number; /* of the configuration's */
	struct merge_leg_counters *counters;
	struct sequence_counts known; /* in the counters already */
	uint64_t heard_ns; /* CLOCK_MONOTONIC_COARSE; at first, when it was connected */
	uint64_t missed, missed_ns; /* datagrams that others have brought since, and when the last
				       one was */
	bool is_silent;
	struct {
		struct origin *from, *own; /* references */
	} origins[MERGE_LEGS_MAX]; /* the last ones that its datagrams had */
	unsigned next_origin;
};

struct merged {
	struct group *group; /* that is merged */
	struct link link; /* in those of all groups, once it is in its place */
	struct merge *merge;
	struct sequence_counts known; /* in the group's numbers already */
	unsigned leg_count;
	struct merge_leg legs[];
};

/* The name of the leg's group. A reload may replace the configuration that it is from. */
const char *merge_leg_name(const struct merge_leg *leg);

/* For a new group, whose configuration has merge. replaced is of the group that it will replace, or
 * NULL. Returns 0 or -ENOMEM. */
int merged_new(struct group *group, const struct merged *replaced, struct merged **ret);

/* Accepts NULL. */
void merged_free(struct merged *merged);

/* The group of this name; NULL: there is none. */
typedef struct group *merged_find(const struct group_set *set, const char *name);

/* A group is in its place among the running ones, of which it may replace one: connects legs from
 * it, and its own. */
void merged_place(struct group *group, struct group *replaced, merged_find *find,
	const struct group_set *running);

/* The group is freed: legs from it are not connected any more. */
void merged_disconnect(struct group *group);

/* What the datagrams of a leg must carry, of enum need. */
unsigned merged_needs(const struct merge_leg *leg);

/* The needs of the merged group have changed. */
void merged_apply_needs(struct merged *merged);

/* Datagrams of a group with feeds have come. */
void merged_feed(struct group *from, struct origin *origin, const struct datagram *datagrams,
	unsigned count);

/* Once a second: finds legs that are silent. */
void merged_examine(struct merged *merged);
