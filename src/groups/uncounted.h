/* What a run of the daemon had taken from the kernel, and not counted yet, when it was killed: up
 * to 64 datagrams of one group, or more that were coalesced. They are lost, and the next run counts
 * them as received by the group, and as received and dropped by its handlers.
 *
 * Before a read the counters of its group are noted in the arena's memory, which outlives the
 * process; the note is removed when all is counted. In between it does not matter how far the
 * counting came: the sum is known. */
#pragma once

#include <stdatomic.h>

#include "groups/arena.h"
#include "groups/group.h"

/* The memory of the arena, among the counters. Must come before any group takes its counters: those
 * that an earlier run has left are corrected. *ret says what is left to be counted by the group's
 * handlers. NULL without memory. */
struct arena_memory *uncounted_settle(struct counters *counters, struct uncounted *ret);

/* Datagrams that were read, but are not among those that the group has received. */
static inline uint64_t uncounted_others(const struct group_counters *counters)
{
	return counters->refused + counters->echoed + counters->duplicates;
}

/* Around each read of a socket of the group, and the counting of what was read by it and by those
 * that it delivers to. */
static inline void uncounted_begin(struct arena *arena, const struct group_counters *counters)
{
	struct arena_memory *memory = arena->memory;

	memory->count = COUNT_IN_SLOTS;
	memory->read++;
	memory->received = counters->received;
	memory->received_bytes = counters->received_bytes;
	memory->others = uncounted_others(counters);
	/* The next run sees what was written in this order: the compiler is to keep it. */
	atomic_signal_fence(memory_order_seq_cst);
	memory->group = counters_key(counters);
}

static inline void uncounted_end(struct arena *arena)
{
	atomic_signal_fence(memory_order_seq_cst);
	arena->memory->group = 0;
}
