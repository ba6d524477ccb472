/* Datagrams as records of a stream, framed so that the reader knows where each ends, and written to
 * a pipe or socket as far as it takes them. A datagram is settled when the last byte of its record
 * is written. */
#pragma once

#include "base/text.h"
#include "data/account.h"
#include "data/datagram.h"

enum framing {
	FRAMING_LINES, /* the payload escaped (base/escape.h), which is reversible, and a line feed
			*/
	FRAMING_JSON, /* the object of format_json() and a line feed */
	FRAMING_LENGTH, /* the payload's length, 32 bits in network byte order, and the payload */
	FRAMING_NUL, /* the payload and a NUL byte: without escapes, it carries no NUL */
	FRAMING_RAW, /* the payload alone: its own format tells where it ends, if anything does */
};

/* The names in the order of the enum, NULL at the end. */
extern const char *const framing_names[];

/* What a framing shows beyond the payload, of enum need. */
unsigned framing_needs(enum framing framing);

struct records {
	struct text bytes;
	size_t written;
	uint32_t ends[BATCH_MAX]; /* of each record, in bytes */
	unsigned count, done; /* records, and those that are settled */
};

static inline bool records_left(const struct records *records)
{
	return records->done < records->count;
}

/* Takes a whole batch; no records may be left. Returns the number of datagrams that are refused:
 * their framing cannot carry them, or memory ran out. */
unsigned records_fill(struct records *records, enum framing framing, const struct batch *batch);

/* Writes as much as the non-blocking fd takes, and counts what is delivered. Returns 0 when no
 * records are left, -EAGAIN when there is no room, or another negative errno: nobody reads there
 * any more. */
int records_write(struct records *records, int fd, struct outcome *outcome);

/* Sends each record that is left as one message, to a non-blocking socket that keeps their bounds
 * (SOCK_DGRAM, SOCK_SEQPACKET). Returns 0, -EAGAIN or another negative errno, as above; -EMSGSIZE
 * is about the first one that is left. */
int records_send(struct records *records, int fd, struct outcome *outcome);

/* Drops the first of those that are left, or all of them. */
void records_drop_first(struct records *records, enum drop_reason reason, struct outcome *outcome);
void records_drop_all(struct records *records, enum drop_reason reason, struct outcome *outcome);

/* The reader has gone: drops a record of which a part was written, as the next reader would take
 * the rest of it for a record. */
void records_drop_torn(struct records *records, struct outcome *outcome);

void records_clear(struct records *records);
