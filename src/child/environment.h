/* The environment of programs that handlers run: made from nothing, so that neither the daemon's
 * own variables nor a name that a sender chose gets there. */
#pragma once

#include "data/datagram.h"

/* The longest string is CREDENTIALS_DIRECTORY, which has the name of the unit in it, of up to 255
 * bytes. */
#define ENVIRONMENT_VARIABLES 12
#define ENVIRONMENT_STRING_MAX 512

struct child_environment {
	unsigned count;
	char strings[ENVIRONMENT_VARIABLES][ENVIRONMENT_STRING_MAX];
	char *list[ENVIRONMENT_VARIABLES + 1]; /* for execve(2) */
};

/* PATH and LANG. */
void child_environment_begin(struct child_environment *environment);

/* Adds MCASTD_GROUP, MCASTD_ADDRESS, MCASTD_PORT, MCASTD_SOURCE, MCASTD_SOURCE_PORT,
 * MCASTD_INTERFACE, MCASTD_TTL, MCASTD_TIMESTAMP and MCASTD_SIZE. The datagram carries NEED_ALL. */
void child_environment_describe(struct child_environment *environment, const struct origin *origin,
	const struct datagram *datagram);
