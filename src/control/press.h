/* The datagrams of one batch as subscribers get them: formatted once, written to each of them from
 * the same bytes. */
#pragma once

#include "base/text.h"
#include "control/block.h"
#include "control/outbox.h"
#include "data/datagram.h"

/* Where a datagram's bytes are kept for those who did not take them at once. */
struct kept {
	struct block *block;
	size_t start;
};

struct press {
	struct text text; /* all answers, one after the other */
	unsigned count; /* of answers; 0 when there was no memory for them */
	size_t ends[BATCH_MAX]; /* in text */
	struct kept kept[BATCH_MAX];
	unsigned kept_count; /* these from the first on are kept */
};

/* Formats the batch. */
void press_print(struct press *press, const struct batch *batch, char terminator);

/* The answer that the byte at this place is of. */
unsigned press_find(const struct press *press, size_t place);

static inline size_t press_start(const struct press *press, unsigned i)
{
	return i ? press->ends[i - 1] : 0;
}

/* Adds an answer, but for its first skipped bytes, to what waits for a client. *block, the
 * caller's, is where those of the same user and terminator are kept, NULL for nowhere yet. Returns
 * 0 or -ENOMEM. */
int press_keep(struct press *press, struct block **block, unsigned i, size_t skipped,
	struct outbox *output);

/* Ends the batch: what was kept belongs to those who wait for it, and what a batch of large
 * datagrams took is given back. */
void press_clear(struct press *press);
