/* A datagram as Subscribe tells it, in the formats that the daemon's own recorders write:
 * data/format.h is their definition, and the tests hold the two together. */
#pragma once

#include <jansson.h>

#include "base/text.h"

enum record_format { RECORD_LINE, RECORD_JSON, RECORD_HEX, RECORD_RAW };

/* The format of this name. Returns 0 or -EINVAL. */
int record_format_parse(const char *name, enum record_format *ret);

/* Appends one whole record. Returns 0, or -EBADMSG when that is not a datagram: then nothing is
 * appended. */
int record_append(struct text *text, enum record_format format, const json_t *datagram);
