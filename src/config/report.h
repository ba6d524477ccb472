/* Errors about one key, and where it stands. */
#pragma once

#include "config/config.h"

struct subject {
	struct place place; /* of the whole; without a file it did not come from one */
	const char *section; /* "groups", "handlers", "control"; NULL: the top level */
	const char *name; /* of the group or handler; NULL: the section itself */
};

/* Adds "FILE:LINE: groups.news.port: WHY", or "group news: port: WHY" when it did not come from a
 * file. line 0: the place's own; key NULL: it is about the whole. */
void report(struct errors *errors, const struct subject *subject, unsigned line, const char *key,
	const char *why);
