/* The command line of mcastd. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of --where on one command line. */
#define WHERE_MAX 64

struct options {
	const char *configuration; /* path; NULL: only the targets of the command line */
	bool check; /* check it, and do not start */
	char **targets; /* of argv, see net/target.h */
	int target_count;
	const char *format; /* of printer_set_format(); the rest is for the targets */
	bool local_time;
	const char *where[WHERE_MAX]; /* of where_read() */
	size_t where_count;
	uint64_t count; /* datagrams to print; 0: no limit */
	int done_fd; /* eventfd(2): the count is reached; -1: there is none */
	uint64_t timeout_ns; /* 0: none */
};

/* Returns 0; or a negative number if the program is to exit, with *ret_status. */
int options_parse(int argc, char **argv, struct options *ret, int *ret_status);
