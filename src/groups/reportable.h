/* Whether a membership can be reported again: the kernel reports nothing while another program has
 * the group on the interface, too, or where it is not asked to by a change. The files that tell are
 * read in the background. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/errors.h"
#include "net/joined.h"
#include "net/udp_sockets.h"

struct group_context;
struct membership;

/* Zeroed at first. */
struct reportable {
	const struct group_context *context;
	struct joined joined; /* empty where it cannot be read */
	bool has_joined;
	struct udp_sockets holders; /* sorted by address */
	bool wants_holders;
	uint32_t changes; /* of same_groups, when reading began */
};

enum reportable_state {
	REPORTABLE,
	REPORTABLE_BY_JOINING, /* nothing but joining is reported there */
	REPORTABLE_SHARED, /* by another program */
	REPORTABLE_TO_NOBODY, /* it is not joined, there is no network, or the kernel answers a
			    querier anyway */
};

/* In the loop; then reportable_read() in the background, and reportable_clear() in the end. The
 * holders of ports tell which program it is: there may be many thousands, so they are read only
 * where that is new. */
void reportable_begin(
	struct reportable *reportable, const struct group_context *context, bool wants_holders);
void reportable_read(struct reportable *reportable);
void reportable_clear(struct reportable *reportable);

/* In the loop: whether the holders are wanted for the membership, and were not read. */
bool reportable_is_unclear(
	const struct reportable *reportable, const struct membership *membership);

/* In the loop: what can be done with the membership, with the reason in why for the last two. */
enum reportable_state reportable_examine(const struct reportable *reportable,
	const struct membership *membership, char why[static WHY_MAX]);
