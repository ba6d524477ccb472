/* The command line: options from tables, words, and the subcommand. Options may stand before and
 * after words; "--" ends them. The options that every command has may also follow its name, because
 * that is where people type them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

enum option_kind {
	OPTION_FLAG,
	OPTION_STRING,
	OPTION_LIST, /* may be repeated */
	OPTION_NUMBER,
	OPTION_DURATION, /* "250ms", in nanoseconds */
};

struct option_row {
	const char *name; /* without the dashes; NULL ends a table */
	char letter; /* of the short form, or 0 */
	enum option_kind kind;
	const char *value; /* what --help calls the value */
	const char *help;
	uint64_t min, max; /* of a number */
};

struct option_value {
	bool given;
	const char *string; /* as it was given, the last one; for a duration and a number too */
	uint64_t number; /* of a number or a duration */
	const char **list; /* of a repeatable option */
	size_t count; /* of the list */
};

/* The rows of the longest table, and those of global_options. */
#define OPTIONS_MAX 12

enum { GLOBAL_SOCKET, GLOBAL_JSON, GLOBAL_HELP, GLOBAL_VERSION };

extern const struct option_row global_options[];

struct command;

struct arguments {
	const struct command *command; /* NULL: none was named */
	struct option_value global[OPTIONS_MAX]; /* by the enum above */
	struct option_value options[OPTIONS_MAX]; /* in the order of the command's table */
	const char **words; /* what is not an option, without the command's name */
	size_t word_count;
};

/* Everything points into argv. Returns 0; -EINVAL with what is wrong appended to error; -ENOMEM.
 * *ret must be empty before, and be cleared after, also when it failed. */
int arguments_parse(int argc, char *argv[], struct arguments *ret, struct text *error);

void arguments_clear(struct arguments *arguments);

#define AUTO_ARGUMENTS CLEANUP(arguments_clear)
