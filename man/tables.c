/* The directives of the second pass over a page:
 *
 *   @KEYS NAME@        the keys of groups, handlers, filter, control, http, top, a block of groups,
 * or a type of handler
 *   @COMMAND NAME@     a command of mcastctl: its synopsis and options
 *   @OPTIONS@          the options of all commands
 *   @TYPES@, @METHODS@, @ERRORS@   those of the interface io.mcastd
 *   @CAUSES@           what mcastctl doctor finds */
#include "tables.h"

const struct directive directives[] = {
	{"KEYS", put_keys},
	{"COMMAND", put_command},
	{"OPTIONS", put_options},
	{"TYPES", put_types},
	{"METHODS", put_methods},
	{"ERRORS", put_errors},
	{"CAUSES", put_causes},
	{NULL, NULL},
};

const bool directives_are_some = false;
