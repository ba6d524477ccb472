/* Errors about a group, a handler or one of their keys, with its place. */
#pragma once

#include "config/config.h"

struct subject {
	struct place place; /* of the whole; without a file it did not come from one */
	const char *section; /* "groups", "handlers", "control", "http", "events"; NULL: the top
				level */
	const char *name; /* of the group or handler ("GROUP.KIND" for a block of a group); NULL:
			     the section itself */
};

static inline struct subject group_subject(const struct config_group *group)
{
	return group->is_events ? (struct subject){group->place, EVENTS_GROUP, NULL}
				: (struct subject){group->place, "groups", group->name};
}

static inline struct subject handler_subject(const struct config_handler *handler)
{
	bool is_block = handler->kind && handler->kind->block.count;

	return (struct subject){handler->place, is_block ? "groups" : "handlers", handler->name};
}

/* Adds "FILE:LINE: groups.news.port: WHY", or "group news: port: WHY" when it did not come from a
 * file. line 0: the place's own; key NULL: it is about the whole. */
void config_report(struct errors *errors, const struct subject *subject, unsigned line,
	const char *key, const char *format, ...) PRINTF_LIKE(5, 6);
