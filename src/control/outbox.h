/* What waits to be written to one connection: answers, and behind them pieces of blocks. Whoever
 * adds to it looks at the limits first; what the user holds is counted here. */
#pragma once

#include <stdbool.h>

#include "base/text.h"
#include "control/block.h"

struct extent;

struct outbox {
	struct user *user;
	struct text text; /* answers */
	size_t written; /* of text */
	size_t begun; /* where in text the answer at hand begins */
	struct extent *first, *last; /* after text */
	size_t size; /* bytes that wait */
	bool broken; /* nobody will read it: it stays empty */
};

void outbox_init(struct outbox *output, struct user *user);
void outbox_clear(struct outbox *output);

/* Where to append an answer, all of which outbox_end() counts, or takes back when memory ran out.
 * Returns 0 or -ENOMEM. Not after pieces of blocks. */
struct text *outbox_begin(struct outbox *output);
int outbox_end(struct outbox *output);

/* Adds bytes of a block, which gets a reference. Returns 0 or -ENOMEM. */
int outbox_add_block(struct outbox *output, struct block *block, size_t start, size_t end);

/* From now on nobody will read it. */
void outbox_break(struct outbox *output);

/* Writes as much as the socket takes. Returns 0 when nothing is left, also when the output is found
 * broken; or -EAGAIN. */
int outbox_write(struct outbox *output, int fd);

/* Writes to a connection for which nothing waits, without keeping what it does not take. Returns
 * how many bytes it took. */
size_t outbox_try(struct outbox *output, int fd, const char *data, size_t size);
