/* Datagrams in a stream of bytes, so that whoever reads it knows where each ends. */
#pragma once

#include <stdbool.h>

#include "base/text.h"
#include "data/datagram.h"

/* lines:  the payload escaped (base/escape.h) and a line feed: one datagram is one line, and all of
 * its bytes can be had back; json:   the object of format_json() and a line feed; length: the
 * payload's length, 32 bits in network byte order, and the payload; nul:    the payload and a NUL
 * byte. */
enum framing { FRAMING_LINES, FRAMING_JSON, FRAMING_LENGTH, FRAMING_NUL };

/* The names in the order of the enum, NULL at the end. */
extern const char *const framing_names[];

/* What a framing shows beyond the payload, of enum need. */
unsigned framing_needs(enum framing framing);

/* Whether the framing can carry the payload: nul cannot where a NUL is in it, for it has no escape.
 */
bool framing_carries(enum framing framing, const struct datagram *datagram);

/* Appends one whole record. */
void framing_append(struct text *text, enum framing framing, const struct origin *origin,
	const struct datagram *datagram);
