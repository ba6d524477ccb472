#include "data/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"

/* One is in the reader's hands, one is filled, and of the others the oldest can be thrown away
 * without losing all. */
#define CHUNKS_MIN 4

int ring_init(struct ring *ring, uint64_t bytes, uint64_t most)
{
	size_t count = (size_t)((bytes + sizeof(struct ring_chunk) - 1) /
				sizeof(struct ring_chunk));

	if (count < CHUNKS_MIN)
		count = CHUNKS_MIN;
	*ring = (struct ring){.chunk_count = count, .most = most};
	ring->chunks = mmap(NULL, count * sizeof(struct ring_chunk), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ring->chunks == MAP_FAILED) {
		ring->chunks = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* Forgets what a chunk holds. */
static void chunk_clear(struct ring_chunk *chunk)
{
	for (unsigned i = chunk->first_run; i < chunk->run_count; i++)
		origin_unref(chunk->runs[i].origin);
	chunk->first_run = chunk->run_count = 0;
}

void ring_destroy(struct ring *ring)
{
	ring_drop_all(ring);
	if (ring->chunks)
		munmap(ring->chunks, ring->chunk_count * sizeof(struct ring_chunk));
	*ring = (struct ring){0};
}

/* Adds an empty chunk at the end of the queue. Returns NULL when all are in use. The chunks are
 * linked into the free list one by one, as they are first needed: linking them all would touch all
 * pages. */
static struct ring_chunk *append_chunk(struct ring *ring)
{
	struct ring_chunk *chunk = ring->free;

	if (chunk)
		ring->free = chunk->next;
	else if (ring->chunks_used < ring->chunk_count)
		chunk = &ring->chunks[ring->chunks_used++];
	else
		return NULL;
	chunk->next = NULL;
	chunk->first_run = chunk->run_count = chunk->appended = chunk->count = 0;
	chunk->payload_start = RING_CHUNK_DATA;
	chunk->payload_bytes = 0;
	chunk->since_ns = clock_ns(CLOCK_MONOTONIC_COARSE);
	if (ring->newest)
		ring->newest->next = chunk;
	else
		ring->oldest = chunk;
	ring->newest = chunk;
	ring->chunks_queued++;
	return chunk;
}

static bool chunk_has_room(const struct ring *ring, const struct ring_chunk *chunk,
	const struct batch *batch, uint32_t size)
{
	const struct run *last = chunk->run_count ? &chunk->runs[chunk->run_count - 1] : NULL;
	size_t used = (chunk->appended + 1) * sizeof(struct datagram) +
		      (RING_CHUNK_DATA - chunk->payload_start);

	if (RING_CHUNK_DATA - used < size || used > RING_CHUNK_DATA)
		return false;
	return chunk->run_count < RING_CHUNK_RUNS ||
	       (last->origin == batch->origin && last->count < BATCH_MAX && !ring->lost);
}

/* Appends one datagram to a chunk that has room for it. */
static void chunk_append(struct ring *ring, struct ring_chunk *chunk, const struct batch *batch,
	const struct datagram *datagram)
{
	struct run *run = chunk->run_count ? &chunk->runs[chunk->run_count - 1] : NULL;
	struct datagram *copy = (struct datagram *)chunk->data + chunk->appended;

	if (!run || run->origin != batch->origin || run->count == BATCH_MAX || ring->lost) {
		run = &chunk->runs[chunk->run_count++];
		*run = (struct run){.origin = origin_ref(batch->origin),
			.first = chunk->appended,
			.lost = ring->lost};
		ring->lost = 0;
	}
	chunk->payload_start -= datagram->size;
	chunk->payload_bytes += datagram->size;
	*copy = *datagram;
	copy->payload = chunk->data + chunk->payload_start;
	memcpy(chunk->data + chunk->payload_start, datagram->payload, datagram->size);
	run->count++;
	chunk->appended++;
	chunk->count++;
}

unsigned ring_push(struct ring *ring, const struct batch *batch, unsigned from)
{
	unsigned i;

	for (i = from; i < batch->count && ring->queued < ring->most; i++) {
		const struct datagram *datagram = &batch->datagrams[i];
		struct ring_chunk *chunk = ring->newest;

		if (!chunk || !chunk_has_room(ring, chunk, batch, datagram->size))
			chunk = append_chunk(ring);
		if (!chunk)
			break;
		chunk_append(ring, chunk, batch, datagram);
		ring->queued++;
		ring->queued_bytes += datagram->size;
	}
	return i - from;
}

struct ring_chunk *ring_take(struct ring *ring)
{
	struct ring_chunk *chunk = ring->oldest;

	if (!chunk)
		return NULL;
	ring->oldest = chunk->next;
	if (!ring->oldest)
		ring->newest = NULL;
	ring->chunks_queued--;
	ring->queued -= chunk->count;
	ring->queued_bytes -= chunk->payload_bytes;
	return chunk;
}

void ring_lose(struct ring *ring, uint64_t count)
{
	ring->lost = count < UINT32_MAX - ring->lost ? ring->lost + (uint32_t)count : UINT32_MAX;
}

bool ring_is_half_full(const struct ring *ring)
{
	return ring->chunks_queued * 2 >= ring->chunk_count || ring->queued >= ring->most / 2;
}

void ring_give_back(struct ring *ring, struct ring_chunk *chunk)
{
	chunk_clear(chunk);
	chunk->next = ring->free;
	ring->free = chunk;
}

static unsigned drop_chunk(struct ring *ring)
{
	struct ring_chunk *chunk = ring_take(ring);
	unsigned count = chunk ? chunk->count : 0;

	if (!chunk)
		return 0;
	for (unsigned i = chunk->first_run; i < chunk->run_count; i++)
		ring_lose(ring, chunk->runs[i].lost);
	ring_give_back(ring, chunk);
	return count;
}

/* The oldest chunk holds more than one datagram. */
static void drop_datagram(struct ring *ring)
{
	struct ring_chunk *chunk = ring->oldest;
	struct run *run = &chunk->runs[chunk->first_run];
	uint32_t size = ((const struct datagram *)chunk->data)[run->first].size;

	run->first++;
	if (--run->count == 0) {
		ring_lose(ring, run->lost);
		origin_unref(run->origin);
		chunk->first_run++;
	}
	chunk->count--;
	chunk->payload_bytes -= size;
	ring->queued--;
	ring->queued_bytes -= size;
}

unsigned ring_drop_oldest(struct ring *ring)
{
	if (ring->queued < ring->most || ring->oldest->count == 1)
		return drop_chunk(ring);
	drop_datagram(ring);
	return 1;
}

uint64_t ring_drop_all(struct ring *ring)
{
	uint64_t count = ring->queued;

	while (ring->oldest)
		drop_chunk(ring);
	return count;
}

uint64_t ring_retire(struct ring *ring, const struct ring_chunk *in_hand)
{
	size_t at = in_hand ? (size_t)(in_hand - ring->chunks) : ring->chunks_used;
	size_t page = (size_t)sysconf(_SC_PAGESIZE), from;
	uint64_t count = ring_drop_all(ring);

	ring->free = NULL;
	ring->chunks_used = ring->chunk_count;
	madvise(ring->chunks, at * sizeof(*ring->chunks) / page * page, MADV_DONTNEED);
	from = ((at + 1) * sizeof(*ring->chunks) + page - 1) / page * page;
	if (from < ring->chunk_count * sizeof(*ring->chunks))
		madvise((char *)ring->chunks + from,
			ring->chunk_count * sizeof(*ring->chunks) - from, MADV_DONTNEED);
	return count;
}

struct batch ring_chunk_batch(const struct ring_chunk *chunk, unsigned run)
{
	const struct run *chosen = &chunk->runs[run];

	return (struct batch){.origin = chosen->origin,
		.count = chosen->count,
		.lost = chosen->lost,
		.datagrams = (const struct datagram *)chunk->data + chosen->first};
}
