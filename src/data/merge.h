/* Several feeds of the same datagrams as one: the first copy of each passes, whichever leg brings
 * it. Pure: the caller has the numbers, and the clock.
 *
 * Copies are told by their numbers, of which each stream has a window, or by their payload. Of
 * equal ones as many pass as came by the leg that brought most: a leg's own repeats are no copies.
 *
 * A leg whose numbers are far from the window is apart, and nothing of it passes, so that one that
 * is a day behind is not heard twice. Once every leg that is heard is apart, the stream has
 * restarted: its window is cleared. The first number that is far away passes where nobody
 * contradicts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "config/config.h"
#include "data/sequence.h"

#define MERGE_STREAMS_MAX 64
#define MERGE_WINDOW 8192 /* numbers */
#define MERGE_PAYLOAD_MS 50 /* equal payloads within this are copies */

/* A leg is heard while it brought something within this time, or within this many of its usual
 * pauses.
 */
#define MERGE_HEARD_NS NS_PER_S
#define MERGE_HEARD_PAUSES 4

struct merge;

struct merge_number {
	uint64_t stream[2];
	uint64_t first;
	uint32_t count; /* 0: none has come, first is next */
};

/* Of this number of legs, whose numbers have that many bits, in steps; 0 bits: by payload. Returns
 * NULL without memory. */
struct merge *merge_new(unsigned legs, unsigned bits, uint32_t step);

/* Accepts NULL. */
void merge_free(struct merge *merge);

enum merge_verdict {
	MERGE_PASSES,
	MERGE_DUPLICATE, /* of what has passed */
	MERGE_APART, /* the leg is apart */
};

/* A datagram has come by a leg. number is NULL where it has none. One without a number passes by
 * its payload. Without memory it passes. */
enum merge_verdict merge_take(struct merge *merge, unsigned leg, const struct merge_number *number,
	const void *payload, size_t size, uint64_t now_ns);

/* What has passed, in numbers, of all streams; and how many may still come. */
const struct sequence_counts *merge_counts(const struct merge *merge);
uint64_t merge_open(const struct merge *merge);

/* The same of what a leg brought. */
const struct sequence_counts *merge_leg_counts(const struct merge *merge, unsigned leg);
uint64_t merge_leg_open(const struct merge *merge, unsigned leg);

/* How far the numbers of a leg are behind, where they had come by another one: what this part of
 * them, from 0 to 1, does not exceed. 0 where none had. */
uint64_t merge_leg_skew_ns(const struct merge *merge, unsigned leg, double part);
