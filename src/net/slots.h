/* Who gets a slot where slots are few: the connections of local users at one socket, and the
 * descriptors of the daemon. A user takes at most as many as it leaves free, so that the next user
 * always finds some. The last ones are for root and the daemon's own user, whom nothing else
 * limits, and some descriptors for what the daemon does itself: files, programs, a reload.
 *
 * Who has closed a connection may open another one at once: before one is refused, those of its
 * user whose other side has gone are closed, as the loop may not have read their ends yet. */
#pragma once

#include "net/user.h"

struct slot;

/* Closes the connection of a slot, whose other side has gone, unless it wrote something before that
 * was not read. Returns whether it did. */
typedef bool slot_close_gone(struct slot *slot);

/* The slots at one socket. Must not move. */
struct slots {
	unsigned max, taken;
	struct link shares; /* of the users who have some */
	slot_close_gone *close_gone;
};

/* A connection's slot. Embedded in it; zeroed, it is none. */
struct slot {
	struct link link; /* of the user: the one that was checked last comes last */
	int fd; /* the caller's */
	struct slots *slots;
	struct share *share;
	struct user *user;
};

void slots_init(struct slots *slots, unsigned max, slot_close_gone *close_gone);

/* Takes a slot for a connection of the user. fd is its descriptor, which stays the caller's. May
 * close others. Returns 0; -EUSERS when the user has its share, -EMFILE when descriptors are short,
 * or -ENOMEM. */
int slot_take(struct slot *slot, struct slots *slots, struct users *users, uid_t uid, int fd);

/* The same for a connection of an earlier run, which took a slot there: whether one is free or not.
 * Returns 0 or -ENOMEM. */
int slot_keep(struct slot *slot, struct slots *slots, struct users *users, uid_t uid, int fd);

/* Why slot_take() has returned this, -EUSERS or -EMFILE, and how to fix it: for the log. */
const char *slot_explain(const struct slots *slots, int r);

/* Moves a connection that stays to other slots, whether one is free or not. Returns 0; or -ENOMEM,
 * and then it has none. */
int slot_move(struct slot *slot, struct slots *to);

/* Accepts a slot that was never taken. */
void slot_leave(struct slot *slot);

/* The rule itself. own: slots that the user has. Reserved are for the privileged. */
static inline bool slots_allow(
	unsigned own, unsigned taken, unsigned max, unsigned reserved, bool privileged)
{
	if (privileged)
		return taken < max;
	return taken + reserved < max && own < max - reserved - taken;
}
