/* What changes from one configuration to another, in words. */
#pragma once

#include "config/config.h"

struct config_changes {
	/* One for each group or handler that is added, removed or changed, with the keys. */
	struct errors lines;
	size_t unchanged_groups, unchanged_handlers;
};

/* Fills in a zeroed struct. before may be NULL: everything is added. */
void config_compare(
	const struct config *before, const struct config *wanted, struct config_changes *ret);
void config_changes_clear(struct config_changes *changes);

#define AUTO_CHANGES CLEANUP(config_changes_clear)
