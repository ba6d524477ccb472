/* Groups and handlers as the answers show them: each one element of a JSON array, unless it is
 * said. */
#pragma once

#include "groups/groups.h"
#include "handlers/handlers.h"

/* Addresses of senders are null unless shows_senders. */
void describe_group(struct text *text, struct group *group, bool shows_senders);

/* The member "memberships" of a group. */
void describe_memberships(struct text *text, const struct group *group);

void describe_handler(struct text *text, const struct groups *groups, struct handler *handler);
