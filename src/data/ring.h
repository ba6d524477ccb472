/* The bounded queue of a handler that may block: chunks of equal size, each filled with datagrams
 * from the front and with their payloads from the back.
 *
 * The writer appends to the newest chunk. The reader takes the whole oldest chunk, gets its
 * datagrams batch by batch, reads them in place, and returns the chunk. Datagrams wait in the queue
 * until the reader gets them: they count against the limits, and the oldest of them can be dropped,
 * also out of the reader's chunk and while the reader is stuck. All memory is mapped at the start,
 * and returned chunks are used first, so that a queue that never fills does not become resident. A
 * ring that grows maps what it lacks beside that, as the reader's chunk must stay where it is.
 * Not thread-safe, but a batch may be read without the lock that guards the rest. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "data/datagram.h"

/* Consecutive datagrams of one origin in a chunk. */
struct run {
	struct origin
		*origin; /* a reference, until the chunk is cleared: a batch may point to it */
	uint16_t first, count; /* of those that wait */
	uint32_t lost; /* datagrams dropped before these */
};

#define RING_CHUNK_RUNS 512
#define RING_CHUNK_DATA (68 * 1024) /* room for the largest datagram and its struct datagram */

struct ring_chunk {
	struct link link;
	uint16_t first_run, run_count; /* of the runs before first_run, no datagram waits */
	uint16_t appended; /* datagrams in all */
	uint16_t count; /* datagrams that wait */
	uint32_t payload_start; /* payloads are in data[payload_start..] */
	uint64_t payload_bytes; /* of those that wait */
	uint64_t since_ns; /* arrival of its first datagram, CLOCK_MONOTONIC_COARSE */
	struct run runs[RING_CHUNK_RUNS];
	_Alignas(struct datagram) uint8_t data[RING_CHUNK_DATA];
};

struct ring_segment {
	struct ring_segment *next;
	struct ring_chunk *chunks; /* one mapping */
	size_t count, used; /* the rest was never used */
};

struct ring {
	struct ring_segment *segments;
	size_t chunk_count; /* that may be in use; after the ring has shrunk, more are mapped */
	size_t chunks_queued;
	struct link queue; /* the oldest chunk first */
	struct link free;
	struct ring_chunk *taken; /* the reader's; NULL: it has none */
	uint64_t queued, queued_bytes; /* datagrams in the queue, and their payload */
	uint32_t lost; /* datagrams dropped since the last one that was queued */
	uint64_t most; /* maximum number of datagrams in the queue */
};

/* Maps at least bytes, in whole chunks, and at least four of them. The queue never holds more than
 * most datagrams. Returns 0 or -ENOMEM. The ring must not move. */
int ring_init(struct ring *ring, uint64_t bytes, uint64_t most);

/* Maps what the ring lacks for other limits; *ret is NULL where it lacks nothing. Returns 0 or
 * -ENOMEM. */
int ring_prepare(const struct ring *ring, uint64_t bytes, struct ring_segment **ret);

/* Has the ring these limits from now on, with what was prepared for them. What is queued beyond
 * them stays until it is read, or dropped for what comes. */
void ring_resize(struct ring *ring, uint64_t bytes, uint64_t most, struct ring_segment *segment);

/* Accepts NULL. */
void ring_segment_free(struct ring_segment *segment);

/* Unmaps it, with what is queued. Accepts a zeroed ring. */
void ring_destroy(struct ring *ring);

/* Copies as many datagrams of the batch as there is room for, starting at index from. Returns their
 * number. */
unsigned ring_push(struct ring *ring, const struct batch *batch, unsigned from);

/* Counts datagrams that were dropped, for the reader (struct batch). */
void ring_lose(struct ring *ring, uint64_t count);

/* Whether half of the chunks or half of the maximum number of datagrams is queued. */
bool ring_is_half_full(const struct ring *ring);

/* How full the queue is, in percent: of the chunks, the reader's among them, or of the maximum
 * number of datagrams where that is more. 100 also where more is queued than the limits allow. */
unsigned ring_fill(const struct ring *ring);

/* When the oldest datagram arrived, CLOCK_MONOTONIC_COARSE; 0: the queue is empty. */
uint64_t ring_since_ns(const struct ring *ring);

/* Drops the oldest to make room: one datagram if there are too many, or all of the oldest chunk
 * where that is still not enough; or one chunk if all are in use, but not the reader's, which would
 * make no room. Returns the number of datagrams; 0: the queue is empty. */
unsigned ring_drop_oldest(struct ring *ring);

/* Empties the queue. Returns the number of datagrams dropped. */
uint64_t ring_drop_all(struct ring *ring);

/* Empties the queue for good, and returns its memory to the system, except for the reader's chunk.
 * Returns the number of datagrams dropped. */
uint64_t ring_retire(struct ring *ring);

/* Gives the oldest chunk to the reader, who has none. Returns whether there is one. */
bool ring_take(struct ring *ring);

/* Whether datagrams wait in the reader's chunk. */
static inline bool ring_has_next(const struct ring *ring)
{
	return ring->taken->count;
}

/* Takes datagrams of one run, at most this many, out of the queue; some wait in the reader's chunk.
 * The batch is valid until the chunk is returned. */
struct batch ring_next(struct ring *ring, unsigned most);

/* Returns the reader's chunk, in which none wait. */
void ring_return(struct ring *ring);
