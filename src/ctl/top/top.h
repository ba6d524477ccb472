/* The numbers of groups and handlers, live: in a terminal, once, or as lines of JSON. */
#pragma once

#include "ctl/session.h"

struct top_options {
	const char *const *names; /* of groups */
	size_t name_count; /* 0: all */
	uint64_t interval_ns;
	bool is_once;
};

/* Returns an exit code. */
int top_run(struct session *session, const struct top_options *options);
