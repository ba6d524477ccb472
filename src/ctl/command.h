/* The command line: "mcastctl [OPTION...] COMMAND [ARGUMENT | OPTION]...". A subcommand is one file
 * that ends in a struct command; commands.c lists them all. Parsing, --help, the manual page and
 * the completions follow these tables.
 *
 * Options may stand before and after arguments; "--" ends them. The global ones may stand before
 * and after the command's name, a command's own only after it. Long names may be abbreviated, as
 * getopt_long(3) has it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "ctl/session.h"

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

/* Of commands that print a table. */
#define WIDE_OPTION                                                                         \
	{                                                                                   \
		"wide", 'w', OPTION_FLAG, NULL,                                             \
			"Leave out no column that has a value, also where the terminal is " \
			"narrower"                                                          \
	}

/* What help calls the value of an option that takes one key of a filter (config/where.h). */
#define WHERE_VALUE "KEY=VALUE"

struct option_value {
	bool given;
	const char *string; /* as given, the last one; also of a number or a duration */
	uint64_t number; /* of a number or a duration */
	const char **items; /* of a list */
	size_t count; /* of items */
};

/* The most rows in a table of options. */
#define OPTIONS_MAX 12

enum { GLOBAL_SOCKET, GLOBAL_JSON, GLOBAL_HELP, GLOBAL_VERSION };

extern const struct option_row global_options[];

struct arguments {
	const struct command *command; /* NULL: none was named */
	struct option_value global[OPTIONS_MAX]; /* by the enum above */
	struct option_value options[OPTIONS_MAX]; /* in the order of the command's table */
	const char **words; /* what is not an option, without the command's name */
	size_t word_count;
};

struct command {
	const char *name;
	const char *arguments; /* the synopsis, without options: "GROUP [TEXT]" */
	size_t words_min, words_max; /* the number of arguments */
	const char *help; /* one line */
	const struct option_row *options; /* ends with an empty row; NULL: none */
	/* Returns an exit code. NULL: main() prints help. */
	int (*run)(struct session *session, const struct arguments *arguments);
};

/* In the order of --help, NULL at the end. */
extern const struct command *const commands[];

/* NULL: there is no command of this name. */
const struct command *command_find(const char *name);

/* Appends " (did you mean NAME?)" where a command is spelled nearly so. */
void command_suggest(const char *name, struct text *text);

/* All strings point into argv. Returns 0; -EINVAL with the reason appended to error; -ENOMEM. *ret
 * must be empty before, and be cleared after, also on failure. */
int arguments_parse(int argc, char *argv[], struct arguments *ret, struct text *error);

void arguments_clear(struct arguments *arguments);

/* Appends what --help prints: of a command, or of the program when it is NULL. */
void help_append(struct text *text, const struct command *command);

#define AUTO_ARGUMENTS CLEANUP(arguments_clear)
