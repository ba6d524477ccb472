/* The command line of mcastd. */
#pragma once

#include "config/config.h"

struct options {
	const char *configuration; /* NULL: none, the groups on the command line are all */
	bool check; /* only check it */
	char **groups; /* ADDRESS:PORT[%INTERFACE][,source=ADDRESS]..., of argv */
	int group_count;
};

/* Returns 0; or a negative number when the program is to end, with *ret_status as its exit status.
 */
int options_parse(int argc, char **argv, struct options *ret, int *ret_status);

/* Adds the groups of the command line to a configuration, and the handler that prints them. Returns
 * 0, or -EINVAL with lines in errors. */
int options_add_groups(const struct options *options, struct config *config, struct errors *errors);
