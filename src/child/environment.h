/* The environment of programs that handlers run. Built from scratch: neither the daemon's own
 * variables nor a name that a sender chose gets there. */
#pragma once

#include "formats/fields.h"

/* Members of an event of the daemon. */
#define ENVIRONMENT_EVENT_MAX 16

/* PATH, LANG and CREDENTIALS_DIRECTORY, then the fields of a datagram, and those of an event. */
#define ENVIRONMENT_VARIABLES (3 + FIELDS + ENVIRONMENT_EVENT_MAX)

/* The longest string is CREDENTIALS_DIRECTORY, which has the name of the unit in it, of up to 255
 * bytes. */
#define ENVIRONMENT_STRING_MAX 512

struct child_environment {
	unsigned count;
	char strings[ENVIRONMENT_VARIABLES][ENVIRONMENT_STRING_MAX];
	char *list[ENVIRONMENT_VARIABLES + 1]; /* for execve(2) */
};

/* PATH and LANG; and CREDENTIALS_DIRECTORY where the daemon has one. */
void child_environment_begin(struct child_environment *environment);

/* Adds MCASTD_GROUP and all other fields of the datagram, once. The datagram carries NEED_ALL. Of
 * an event of the daemon, a JSON object, also its members: MCASTD_EVENT, its kind, and
 * MCASTD_EVENT_GROUP and so on. */
void child_environment_describe(struct child_environment *environment, const struct origin *origin,
	const struct datagram *datagram);
