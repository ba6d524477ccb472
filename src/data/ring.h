/* The bounded queue of a handler that may block: chunks of equal size, each filled with datagrams
 * from the front and with their payloads from the back.
 *
 * The writer appends to the newest chunk; the reader takes the whole oldest chunk, reads it in
 * place, and returns it. A chunk that the reader has is not in the queue, so that the oldest
 * datagrams can be dropped while the reader is stuck. All memory is mapped at the start, and
 * returned chunks are used first, so that a queue that never fills does not become resident. Not
 * thread-safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "data/datagram.h"

/* Consecutive datagrams of one origin in a chunk. */
struct run {
	struct origin *origin; /* a reference */
	uint16_t first, count;
	uint32_t lost; /* datagrams dropped before these */
};

#define RING_CHUNK_RUNS 512
#define RING_CHUNK_DATA (68 * 1024) /* room for the largest datagram and its struct datagram */

struct ring_chunk {
	struct link link;
	uint16_t first_run, run_count; /* the runs before first_run were dropped */
	uint16_t appended; /* datagrams, with those dropped since */
	uint16_t count; /* datagrams, without those */
	uint32_t payload_start; /* payloads are in data[payload_start..] */
	uint64_t payload_bytes;
	uint64_t since_ns; /* arrival of its first datagram, CLOCK_MONOTONIC_COARSE */
	struct run runs[RING_CHUNK_RUNS];
	_Alignas(struct datagram) uint8_t data[RING_CHUNK_DATA];
};

struct ring {
	struct ring_chunk *chunks; /* all of them, one mapping */
	size_t chunk_count;
	size_t chunks_used; /* the rest was never used */
	size_t chunks_queued;
	struct link queue; /* the oldest chunk first */
	struct link free;
	uint64_t queued, queued_bytes; /* datagrams in the queue, and their payload */
	uint32_t lost; /* datagrams dropped since the last one that was queued */
	uint64_t most; /* maximum number of datagrams in the queue */
};

/* Maps at least bytes, in whole chunks, and at least four of them. The queue never holds more than
 * most datagrams. Returns 0 or -ENOMEM. The ring must not move. */
int ring_init(struct ring *ring, uint64_t bytes, uint64_t most);

/* Unmaps it, with what is queued. Accepts a zeroed ring. */
void ring_destroy(struct ring *ring);

/* Copies as many datagrams of the batch as there is room for, starting at index from. Returns their
 * number. */
unsigned ring_push(struct ring *ring, const struct batch *batch, unsigned from);

/* Counts datagrams that were dropped, for the reader (struct batch). */
void ring_lose(struct ring *ring, uint64_t count);

/* Whether half of the chunks or half of the maximum number of datagrams is queued. */
bool ring_is_half_full(const struct ring *ring);

/* How full the queue is, in percent: of the chunks, or of the maximum number of datagrams where
 * that is more. */
unsigned ring_fill(const struct ring *ring);

/* When the oldest datagram arrived, CLOCK_MONOTONIC_COARSE; 0: the queue is empty. */
uint64_t ring_since_ns(const struct ring *ring);

/* Drops the oldest to make room: one datagram if there are too many, or one chunk if all are in
 * use. Returns the number of datagrams; 0: the queue is empty. */
unsigned ring_drop_oldest(struct ring *ring);

/* Empties the queue. Returns the number of datagrams dropped. */
uint64_t ring_drop_all(struct ring *ring);

/* Empties the queue for good, and returns its memory to the system, except for the chunk that the
 * reader has (or NULL). Returns the number of datagrams dropped. */
uint64_t ring_retire(struct ring *ring, const struct ring_chunk *in_hand);

/* Removes the oldest chunk from the queue; NULL if it is empty. */
struct ring_chunk *ring_take(struct ring *ring);

/* Returns a chunk of ring_take() to the ring. */
void ring_return(struct ring *ring, struct ring_chunk *chunk);

/* One run of a chunk, from first_run to run_count, as a batch; valid until the chunk is returned.
 */
struct batch ring_chunk_batch(const struct ring_chunk *chunk, unsigned run);
