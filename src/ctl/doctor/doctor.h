/* "mcastctl doctor": why nothing arrives. Three looks at the same seconds: what the wire brings,
 * what what the socket gets, and the kernel's counters between them. The rest is in the folder
 * doctor/.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ctl/session.h"

struct doctor_options {
	const char *word; /* a GROUP or a TARGET; NULL: all groups of the daemon */
	uint64_t wait_ns; /* how long to listen */
	bool sends; /* really send a datagram */
};

/* Looks, and writes what was found. Returns an exit code: EXIT_DONE where all is healthy,
 * EXIT_REFUSED where something was found. */
int doctor_run(struct session *session, const struct doctor_options *options);
