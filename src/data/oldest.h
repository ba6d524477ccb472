/* Since when the oldest waits of what was taken from a queue: taken in portions, and settled one by
 * one, as if in that order. Pure. Portions of one time count as one. Bounded: of many portions,
 * each two count as one, from the time of the older one. */
#pragma once

#include <stdint.h>

#define OLDEST_MAX 64

struct oldest {
	uint64_t taken, settled; /* in all */
	struct {
		uint64_t since_ns;
		uint64_t end; /* taken, with this portion */
	} portions[OLDEST_MAX]; /* those that are not settled, from the oldest on */
	unsigned count;
};

/* Zeroed, nothing was taken. A portion whose oldest has waited since then: */
void oldest_take(struct oldest *oldest, uint64_t count, uint64_t since_ns);
void oldest_settle(struct oldest *oldest, uint64_t count);

/* 0: nothing waits. */
static inline uint64_t oldest_since_ns(const struct oldest *oldest)
{
	return oldest->count ? oldest->portions[0].since_ns : 0;
}
