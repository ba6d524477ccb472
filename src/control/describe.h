/* Groups and handlers as the answers show them: each one element of a JSON array, unless it is
 * said. */
#pragma once

#include "groups/groups.h"
#include "handlers/handlers.h"

struct group_shows {
	bool sources; /* else they are null: addresses are for who may receive the group */
	bool senders; /* else they are null */
};

void describe_group(struct text *text, struct group *group, struct group_shows shows);

/* The member "memberships" of a group. */
void describe_memberships(struct text *text, const struct group *group);

void describe_handler(struct text *text, const struct groups *groups, struct handler *handler);
