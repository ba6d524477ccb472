#include "data/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"

/* One for the reader, one to be filled, and two, so that dropping the oldest does not lose all. */
#define CHUNKS_MIN 4

static size_t chunks_of(uint64_t bytes)
{
	size_t count = (size_t)((bytes + sizeof(struct ring_chunk) - 1) /
				sizeof(struct ring_chunk));

	return count < CHUNKS_MIN ? CHUNKS_MIN : count;
}

static struct ring_segment *map_segment(size_t count)
{
	struct ring_segment *segment = calloc(1, sizeof(*segment));

	if (!segment)
		return NULL;
	segment->count = count;
	segment->chunks = mmap(NULL, count * sizeof(struct ring_chunk), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (segment->chunks != MAP_FAILED)
		return segment;
	free(segment);
	return NULL;
}

void ring_segment_free(struct ring_segment *segment)
{
	if (!segment)
		return;
	munmap(segment->chunks, segment->count * sizeof(struct ring_chunk));
	free(segment);
}

int ring_init(struct ring *ring, uint64_t bytes, uint64_t most)
{
	struct ring_segment *segment = map_segment(chunks_of(bytes));

	*ring = (struct ring){0};
	if (!segment)
		return -ENOMEM;
	list_init(&ring->queue);
	list_init(&ring->free);
	ring_resize(ring, bytes, most, segment);
	return 0;
}

int ring_prepare(const struct ring *ring, uint64_t bytes, struct ring_segment **ret)
{
	const struct ring_segment *segment;
	size_t mapped = 0, wanted = chunks_of(bytes);

	for (segment = ring->segments; segment; segment = segment->next)
		mapped += segment->count;
	*ret = wanted > mapped ? map_segment(wanted - mapped) : NULL;
	return wanted > mapped && !*ret ? -ENOMEM : 0;
}

void ring_resize(struct ring *ring, uint64_t bytes, uint64_t most, struct ring_segment *segment)
{
	ring->chunk_count = chunks_of(bytes);
	ring->most = most;
	if (!segment)
		return;
	segment->next = ring->segments;
	ring->segments = segment;
}

/* To the front of the free list: the memory used last is the most likely to be in a cache. */
static void release_chunk(struct ring *ring, struct ring_chunk *chunk)
{
	for (unsigned i = 0; i < chunk->run_count; i++)
		origin_unref(chunk->runs[i].origin);
	list_append(ring->free.next, &chunk->link);
}

void ring_destroy(struct ring *ring)
{
	if (!ring->segments)
		return;
	ring_drop_all(ring);
	if (ring->taken)
		ring_return(ring);
	while (ring->segments) {
		struct ring_segment *segment = ring->segments;

		ring->segments = segment->next;
		ring_segment_free(segment);
	}
	*ring = (struct ring){0};
}

static size_t chunks_in_use(const struct ring *ring)
{
	return ring->chunks_queued + (ring->taken ? 1 : 0);
}

static struct ring_chunk *unused_chunk(struct ring *ring)
{
	struct ring_segment *segment = ring->segments;

	while (segment && segment->used == segment->count)
		segment = segment->next;
	return segment ? &segment->chunks[segment->used++] : NULL;
}

/* Appends an empty chunk to the queue. Returns NULL if all are in use. Chunks get into the free
 * list only after their first use: linking all at the start would make all their pages resident. */
static struct ring_chunk *append_chunk(struct ring *ring)
{
	struct ring_chunk *chunk = list_first(&ring->free, struct ring_chunk, link);

	if (chunks_in_use(ring) >= ring->chunk_count)
		return NULL;
	if (!chunk)
		chunk = unused_chunk(ring);
	if (!chunk)
		return NULL;
	link_remove(&chunk->link);
	list_append(&ring->queue, &chunk->link);
	chunk->first_run = chunk->run_count = chunk->appended = chunk->count = 0;
	chunk->payload_start = RING_CHUNK_DATA;
	chunk->payload_bytes = 0;
	chunk->since_ns = clock_ns(CLOCK_MONOTONIC_COARSE);
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
		struct ring_chunk *chunk = list_last(&ring->queue, struct ring_chunk, link);

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

/* Removes the oldest chunk from the queue. What waits in it still counts. */
static struct ring_chunk *remove_chunk(struct ring *ring)
{
	struct ring_chunk *chunk = list_first(&ring->queue, struct ring_chunk, link);

	if (!chunk)
		return NULL;
	link_remove(&chunk->link);
	ring->chunks_queued--;
	return chunk;
}

bool ring_take(struct ring *ring)
{
	ring->taken = remove_chunk(ring);
	return ring->taken;
}

void ring_return(struct ring *ring)
{
	release_chunk(ring, take(ring->taken));
}

/* These of the first run of a chunk wait no more. */
static void advance(struct ring *ring, struct ring_chunk *chunk, unsigned count, uint64_t bytes)
{
	struct run *run = &chunk->runs[chunk->first_run];

	run->first = (uint16_t)(run->first + count);
	run->count = (uint16_t)(run->count - count);
	if (!run->count)
		chunk->first_run++;
	chunk->count = (uint16_t)(chunk->count - count);
	chunk->payload_bytes -= bytes;
	ring->queued -= count;
	ring->queued_bytes -= bytes;
}

struct batch ring_next(struct ring *ring, unsigned most)
{
	struct ring_chunk *chunk = ring->taken;
	struct run *run = &chunk->runs[chunk->first_run];
	struct batch batch = {.origin = run->origin,
		.count = run->count < most ? run->count : most,
		.lost = run->lost,
		.datagrams = (const struct datagram *)chunk->data + run->first};
	uint64_t bytes = 0;

	for (unsigned i = 0; i < batch.count; i++)
		bytes += batch.datagrams[i].size;
	run->lost = 0;
	advance(ring, chunk, batch.count, bytes);
	return batch;
}

void ring_lose(struct ring *ring, uint64_t count)
{
	ring->lost = count < UINT32_MAX - ring->lost ? ring->lost + (uint32_t)count : UINT32_MAX;
}

bool ring_is_half_full(const struct ring *ring)
{
	return ring->chunks_queued * 2 >= ring->chunk_count || ring->queued >= ring->most / 2;
}

unsigned ring_fill(const struct ring *ring)
{
	uint64_t chunks = ring->chunk_count ? chunks_in_use(ring) * 100 / ring->chunk_count : 0;
	uint64_t datagrams = ring->queued < UINT64_MAX / 100 && ring->most
				     ? ring->queued * 100 / ring->most
				     : 0;

	if (chunks < datagrams)
		chunks = datagrams;
	return chunks < 100 ? (unsigned)chunks : 100; /* it may have shrunk */
}

/* The chunk of the oldest datagram; NULL: the queue is empty. */
static struct ring_chunk *oldest_chunk(const struct ring *ring)
{
	return ring->taken && ring->taken->count
		       ? ring->taken
		       : list_first(&ring->queue, struct ring_chunk, link);
}

uint64_t ring_since_ns(const struct ring *ring)
{
	const struct ring_chunk *oldest = oldest_chunk(ring);

	return oldest ? oldest->since_ns : 0;
}

/* What waits in a chunk. */
static unsigned drop_rest(struct ring *ring, struct ring_chunk *chunk)
{
	unsigned count = chunk->count;

	for (unsigned i = chunk->first_run; i < chunk->run_count; i++)
		ring_lose(ring, chunk->runs[i].lost);
	ring->queued -= count;
	ring->queued_bytes -= chunk->payload_bytes;
	chunk->count = 0;
	return count;
}

static unsigned drop_chunk(struct ring *ring)
{
	struct ring_chunk *chunk = remove_chunk(ring);
	unsigned count = chunk ? drop_rest(ring, chunk) : 0;

	if (chunk)
		release_chunk(ring, chunk);
	return count;
}

static void drop_datagram(struct ring *ring, struct ring_chunk *chunk)
{
	const struct run *run = &chunk->runs[chunk->first_run];

	if (run->count == 1)
		ring_lose(ring, run->lost);
	advance(ring, chunk, 1, ((const struct datagram *)chunk->data)[run->first].size);
}

unsigned ring_drop_oldest(struct ring *ring)
{
	struct ring_chunk *oldest = oldest_chunk(ring);
	bool is_beyond;

	if (ring->queued < ring->most)
		return drop_chunk(ring);
	/* All of it has to go: one by one, that takes long where the ring has shrunk by much. */
	is_beyond = ring->queued - oldest->count >= ring->most;
	if (oldest == ring->taken && is_beyond)
		return drop_rest(ring, oldest);
	/* A chunk without datagrams must not stay in the queue. */
	if (oldest != ring->taken && (is_beyond || oldest->count == 1))
		return drop_chunk(ring);
	drop_datagram(ring, oldest);
	return 1;
}

uint64_t ring_drop_all(struct ring *ring)
{
	uint64_t count = ring->queued;

	if (ring->taken)
		drop_rest(ring, ring->taken);
	while (!list_is_empty(&ring->queue))
		drop_chunk(ring);
	return count;
}

/* Returns the memory of chunks to the system, but for the one of the reader, where it is there. */
static void release_segment(const struct ring *ring, struct ring_segment *segment)
{
	const size_t size = sizeof(struct ring_chunk);
	bool has_taken = ring->taken >= segment->chunks &&
			 ring->taken < segment->chunks + segment->count;
	size_t at = has_taken ? (size_t)(ring->taken - segment->chunks) : segment->used;
	size_t page = (size_t)sysconf(_SC_PAGESIZE), from;

	madvise(segment->chunks, at * size / page * page, MADV_DONTNEED);
	from = ((at + 1) * size + page - 1) / page * page;
	if (from < segment->count * size)
		madvise((char *)segment->chunks + from, segment->count * size - from,
			MADV_DONTNEED);
	segment->used = segment->count;
}

uint64_t ring_retire(struct ring *ring)
{
	uint64_t count = ring_drop_all(ring);
	struct ring_segment *segment;

	list_init(&ring->free);
	ring->chunk_count = 0;
	for (segment = ring->segments; segment; segment = segment->next)
		release_segment(ring, segment);
	return count;
}
