/* Groups and handlers as the answers show them: each one element of a JSON array. */
#pragma once

#include "groups/groups.h"
#include "handlers/handlers.h"

/* As the reader, who may be NULL, may see it: addresses of senders are for who may receive it. */
void describe_group(struct text *text, struct group *group, const struct peer *reader);
void describe_handler(struct text *text, const struct groups *groups, struct handler *handler);
