/* Looking a name up, which may take long, in a thread of its own. What nobody waits for any longer
 * ends by itself. */
#pragma once

#include <stdint.h>

#include "engines/keys.h"

/* Room for an address as a number, with the interface of a link-local one. */
#define NUMBER_MAX 64

struct lookup;

/* Returns 0 or a negative errno: -EBUSY where too many earlier ones are not answered. A host that
 * is a number is found at once. */
int lookup_start(const char *host, struct lookup **ret);

/* Becomes readable when it is over; not to be read. */
int lookup_fd(const struct lookup *lookup);

/* The next address, once it is over. Returns false after the last one. */
bool lookup_next(struct lookup *lookup, char ret[static NUMBER_MAX]);

/* Why nothing was found; NULL: something was. */
const char *lookup_error(const struct lookup *lookup);

/* Does not wait. Accepts NULL. */
void lookup_free(struct lookup *lookup);
