/* Lines of the log that name "mcastctl doctor" before anyone asks: for multicast groups that
 * receive nothing where that is strange. All memberships are checked once a minute, in portions;
 * nothing is done for datagrams. A membership is hinted at once while it is quiet, and again only
 * for a better reason; a group at most once an hour. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "data/quiet.h"

struct event_base;
struct group_set;
struct hints;
struct transitions;

/* In the order of what they are worth: a later one is told although an earlier one was. */
enum hint {
	HINT_NONE,
	HINT_ALONE, /* nothing has ever come, and nothing comes to other groups either */
	HINT_NEVER, /* nothing has ever come, but to other groups on this interface */
	HINT_STOPPED, /* nothing comes any more, but to other groups on this interface */
	HINT_RP_FILTER, /* nothing comes, while the kernel drops something for its source address */
};

/* What is known of a membership. */
struct hint_facts {
	enum quiet_state state;
	bool others_receive; /* on its interface, since the last check */
	bool rp_filter_drops; /* since the last check; for IPv4 */
	bool group_receives; /* it does by another interface: this one was not asked for by name */
	bool is_told_otherwise; /* of silence, by expect_within */
	enum hint told; /* since it last received */
	bool was_lately; /* a hint of its group */
};

/* What to tell. Pure. */
enum hint hint_choose(const struct hint_facts *facts);

/* Embedded in the membership; zeroed at first. */
struct hint_member {
	struct quiet quiet;
	uint32_t heard; /* the check that last found that it had received */
	enum hint told;
};

/* The membership was joined. */
void hint_begin(struct hint_member *member, uint64_t received);

/* For the groups of the set. Both must live longer. Returns NULL without memory. */
struct hints *hints_new(
	struct event_base *base, const struct group_set *set, struct transitions *transitions);

/* Checks all groups. Called once a minute. */
void hints_check(struct hints *hints);

/* Accepts NULL. */
void hints_free(struct hints *hints);
