/* The command line of mcastd. */
#pragma once

#include "config/config.h"

struct options {
	const char *configuration; /* path; NULL: only the groups of the command line */
	bool check; /* check it, and do not start */
	char **groups; /* ADDRESS:PORT[%INTERFACE][,source=ADDRESS]..., of argv */
	int group_count;
};

/* Returns 0; or a negative number if the program is to exit, with *ret_status. */
int options_parse(int argc, char **argv, struct options *ret, int *ret_status);

/* Adds the groups of the command line, and the handler that prints them, to a configuration.
 * Returns 0, or a negative errno with lines in errors. */
int options_add_groups(const struct options *options, struct config *config, struct errors *errors);
