/* The subscribers of one user who want the same groups, in the same framing: what comes in is
 * formatted once for all of them, and what some have not read yet is kept once. */
#pragma once

#include "control/client.h"
#include "control/press.h"

struct audience;

/* A subscriber's place in it. Embedded in the subscription. */
struct seat {
	struct seat *next, **link;
	struct audience *audience;
	void (*deliver)(struct seat *seat, struct press *press, const struct batch *batch);
};

/* Who an audience is. names are sorted, each stands there once; none for all groups. */
struct audience_key {
	struct user *user;
	char terminator;
	char **names;
	size_t count;
	uint64_t hash; /* of the names, set by audience_enter() */
};

/* Takes a seat in the audience of this key, whose names are taken over on success. deliver() gets
 * each batch, and frees nothing. Returns 0 or -ENOMEM. */
int audience_enter(struct client_set *set, const struct audience_key *key, struct seat *seat);

/* The last one to leave ends the audience. */
void audience_leave(struct seat *seat);

/* Keeps an answer for a seat's client, see press_keep(). */
int audience_keep(
	struct seat *seat, struct press *press, unsigned i, size_t skipped, struct outbox *output);

/* Tells that the seat's client has read some of what was kept. */
void audience_has_read(struct seat *seat);

void audience_free_names(char **names, size_t count);
