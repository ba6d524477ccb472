/* A datagram as Subscribe sends it: read, filtered and printed as one that was received here. */
#pragma once

#include <jansson.h>

#include "formats/printer.h"

struct record {
	const json_t *value; /* must live longer */
	struct fields fields; /* an older daemon may lack some */
	struct text payload;
	struct datagram datagram; /* of the fields; its timestamp is 0 where that is not readable */
};

/* Returns 0, or -EBADMSG when the value is not a datagram. *ret must be zeroed before, and be
 * cleared after, also on failure. */
int record_read(const json_t *value, struct record *ret);
void record_clear(struct record *record);

/* Appends one whole record. Returns 0; -EBADMSG when the fields lack what the format shows, or
 * -ENOMEM: then nothing is appended. */
int record_append(struct text *text, struct printer *printer, const struct record *record);

#define AUTO_RECORD CLEANUP(record_clear)
