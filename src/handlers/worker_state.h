/* What worker.c, the loop's side, and worker_thread.c, the thread's, share; and nobody else. */
#pragma once

#include "data/ring.h"
#include "handlers/worker.h"

struct worker {
	struct worker *next; /* on the ledger */
	struct worker *next_alive;
	struct ledger *ledger; /* its lock guards everything below that the thread shares */
	const struct handler_kind *kind;
	void *object; /* the thread's alone */
	char *file; /* that the kind writes; NULL: none */
	enum drop_policy policy;
	int filled; /* eventfd(2) that wakes the thread */
	struct ring ring;
	bool waiting; /* the thread found the ring empty, and is to be woken */
	bool napping; /* the same, but it comes back by itself, and is to be woken only when the
			 ring fills up */
	bool begin, rotate; /* asked for, and not done yet */
	size_t rotate_after; /* chunks */
	bool retired;
	uint64_t deadline_ns; /* of the retirement */
	bool is_expired; /* that is over, and the ring with it */
	uint64_t expired; /* datagrams that were queued when that was over */
	struct ring_chunk *chunk; /* taken from the ring and not given back */
	uint64_t in_hand, in_hand_bytes; /* taken from the ring and not yet settled */
	uint64_t in_hand_since_ns; /* of the chunk taken last */
};

/* The thread: delivers until the worker is retired, and frees it. argument is the worker. */
void *worker_main(void *argument);

/* Whether an older worker that writes to the same file still has to end: two must not write to it,
 * and the older one's datagrams come first. One that is stuck past its deadline does not count.
 * *ret_until_ns is when it is stuck; 0: it is not retired yet. */
bool worker_has_predecessor(struct worker *worker, uint64_t *ret_until_ns);

/* The thread ends: takes the worker off its ledger, counts what it still holds as dropped, and
 * frees it. */
void worker_end_life(struct worker *worker);
