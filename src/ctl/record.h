/* A datagram as Subscribe sends it, in the formats of formats/format.h. */
#pragma once

#include <jansson.h>

#include "formats/format.h"

/* Appends one whole record. Returns 0, or -EBADMSG when the value is not a datagram: then nothing
 * is appended. */
int record_append(struct text *text, enum format format, const json_t *datagram);
