/* What checks of a configuration have in common, and the checks of a group that are in files of
 * their own. */
#pragma once

#include "base/errors.h"
#include "config/config.h"
#include "config/report.h"
#include "net/interface.h"

/* One check at a time: of a group, or of a handler. */
struct check {
	const struct config *config;
	struct errors *errors;
	const struct config_group *group; /* NULL: a handler is checked */
	struct subject subject;
	struct config_part parts[HANDLER_PARTS]; /* of the group or handler */
	size_t part_count;
	size_t found;
	bool is_partial;
	bool has_no_import_port; /* was reported */
	struct interface_list interfaces; /* those of now, read when first needed */
	bool has_interfaces;
};

/* The mark of a key; all zero where the group or handler does not come from a file. What a list
 * took is sound even where some of its items were refused. */
struct key_mark mark_of(const struct check *check, const char *name);

/* Reports about a key (NULL: about the whole), unless its value was refused already. */
void complain(struct check *check, const char *key, const char *format, ...) PRINTF_LIKE(3, 4);

/* Whether any value of a part was refused. */
bool any_failed(const struct config_part *part);

void check_name(struct check *check);

/* ---- Of a group ---- */

void check_group(struct check *check, const struct config_group *group);
void check_events(struct check *check, const struct config_group *group);

/* Its handlers, and those of events. */
void check_handlers(struct check *check);
void check_handlers_of_events(struct check *check);

/* What comes in from handlers. */
void check_inputs(struct check *check);
