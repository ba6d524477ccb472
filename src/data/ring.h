/* The bounded queue in front of a handler that may block: a ring of equal chunks, each filled with
 * datagrams from the front and with their payloads from the back.
 *
 * The writer appends to the newest chunk; the reader takes the oldest one whole, reads it in place,
 * and gives it back. A chunk in the reader's hands is no part of the queue, so that the oldest
 * datagrams can be thrown away while the reader is stuck. All memory is mapped at the start, and
 * given-back chunks are used first, so that a queue that never fills never becomes resident. Not
 * safe for threads by itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/datagram.h"

/* One origin's datagrams in a chunk. */
struct run {
	struct origin *origin; /* a reference */
	uint16_t first, count;
	uint32_t lost; /* datagrams that did not fit, before these */
};

#define RING_CHUNK_RUNS 512
#define RING_CHUNK_DATA (68 * 1024) /* the largest datagram and its description fit */

struct ring_chunk {
	struct ring_chunk *next;
	uint16_t first_run, run_count; /* the runs before first_run were thrown away */
	uint16_t appended; /* datagrams that it was filled with */
	uint16_t count; /* of them, those that it still holds */
	uint32_t payload_start; /* payloads lie in data[payload_start..] */
	uint64_t payload_bytes;
	uint64_t since_ns; /* when its first datagram came, CLOCK_MONOTONIC_COARSE */
	struct run runs[RING_CHUNK_RUNS];
	_Alignas(struct datagram) uint8_t data[RING_CHUNK_DATA];
};

struct ring {
	struct ring_chunk *chunks; /* all of them, one mapping */
	size_t chunk_count;
	size_t chunks_used; /* the rest has never been touched */
	size_t chunks_queued;
	struct ring_chunk *oldest, *newest; /* the queue */
	struct ring_chunk *free;
	uint64_t queued, queued_bytes; /* datagrams in the queue, and their payload */
	uint32_t lost; /* datagrams that did not fit since the last that did */
	uint64_t most; /* datagrams that may be in the queue */
};

/* Maps at least bytes, in whole chunks, four at least. The queue never holds more than most
 * datagrams. Returns 0 or -ENOMEM. */
int ring_init(struct ring *ring, uint64_t bytes, uint64_t most);

/* Unmaps it; what is queued is forgotten. Accepts a zeroed ring. */
void ring_destroy(struct ring *ring);

/* Copies as many datagrams of the batch as there is room for, beginning with the one at index from,
 * and returns how many. The reader is told of those that ring_lose() was told of. */
unsigned ring_push(struct ring *ring, const struct batch *batch, unsigned from);

/* Counts datagrams that were not, or are not any more, queued. */
void ring_lose(struct ring *ring, uint64_t count);

/* Whether half of the chunks are in use, or half of the datagrams that may be queued are. */
bool ring_is_half_full(const struct ring *ring);

/* Throws the oldest away to make room: one datagram where there are too many, or a chunk of them
 * where the memory is full. Returns how many datagrams; 0: the queue is empty. */
unsigned ring_drop_oldest(struct ring *ring);

/* Throws all of the queue away. Returns how many datagrams. */
uint64_t ring_drop_all(struct ring *ring);

/* Throws all of the queue away and gives its memory back to the system, but for a chunk that
 * somebody has in hand (or NULL): nothing is pushed any more. Returns how many datagrams. */
uint64_t ring_retire(struct ring *ring, const struct ring_chunk *in_hand);

/* Takes the oldest chunk out of the queue, or returns NULL when it is empty. */
struct ring_chunk *ring_take(struct ring *ring);

/* Gives a chunk back that ring_take() handed out. */
void ring_give_back(struct ring *ring, struct ring_chunk *chunk);

/* One run of a chunk, from first_run to run_count, as a batch; valid until the chunk is given back.
 */
struct batch ring_chunk_batch(const struct ring_chunk *chunk, unsigned run);
