/* The command line of mcastd. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "formats/format.h"

struct options {
	const char *configuration; /* path; NULL: only the targets of the command line */
	bool check; /* check it, and do not start */
	char **targets; /* of argv, see net/target.h */
	int target_count;
	enum format format; /* the rest is for the targets */
	uint64_t count; /* datagrams to print; 0: no limit */
	int done_fd; /* eventfd(2): the count is reached; -1: there is none */
	uint64_t timeout_ns; /* 0: none */
};

/* Returns 0; or a negative number if the program is to exit, with *ret_status. */
int options_parse(int argc, char **argv, struct options *ret, int *ret_status);
