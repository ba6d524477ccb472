/* A subcommand of mcastctl: one file each, ending in one of these descriptors. commands.c lists
 * them all; dispatch, --help, and whatever documents the commands go by that list. */
#pragma once

#include <stddef.h>

#include "ctl/options.h"
#include "ctl/session.h"

/* What mcastctl exits with, and what run() returns. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1, /* the daemon refused or failed, or something on this side did */
	EXIT_MISUSED = 2, /* the command line is wrong */
	EXIT_NO_DAEMON = 3, /* nobody answers at the socket */
};

struct command {
	const char *name;
	const char *arguments; /* the synopsis, without options: "GROUP [TEXT]" */
	size_t words_min, words_max; /* how many arguments that is */
	const char *help; /* one line */
	const struct option_row *options; /* ends with an empty row; NULL: none */
	int (*run)(struct session *session, const struct arguments *arguments);
};
