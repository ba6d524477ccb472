/* Records on their way into a pipe: written as far as it takes them, and settled one by one as
 * their last byte is in. */
#pragma once

#include "data/account.h"
#include "child/framing.h"

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

/* Takes a whole batch; no records are left. Returns how many datagrams the framing could not carry,
 * or memory ran out for: they are no records. */
unsigned records_fill(struct records *records, enum framing framing, const struct batch *batch);

/* Writes as much as the non-blocking fd takes, and counts what is delivered. Returns 0 when no
 * records are left, -EAGAIN when there is no room, or another negative errno: nobody reads there
 * any more. */
int records_write(struct records *records, int fd, struct outcome *outcome);

/* Whoever read is gone: drops the record that was begun, as the next reader would take the rest of
 * it for something else. */
void records_drop_torn(struct records *records, struct outcome *outcome);

void records_clear(struct records *records);
