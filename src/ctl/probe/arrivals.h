/* Which numbers of a probe have come. A probe begins at 0 and never restarts, so neither time nor a
 * jump makes a number lost for good, as in data/sequence: one that comes seconds later is
 * reordered, and its copy is a duplicate. Pure.
 *
 * Anybody can send any number, so memory is bounded: what is known are the last ARRIVALS_WINDOW
 * numbers up to the highest. Only what is further behind is late. Each number that is taken is
 * unique, a duplicate or late. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A power of two, a bit each: 512 KiB. Of 100,000 datagrams/s, those of 40 s. */
#define ARRIVALS_WINDOW (1u << 22)

struct arrivals {
	uint64_t *seen;
	bool is_begun;
	uint64_t lowest, highest; /* of the unique ones, extended to 64 bits */
	uint64_t unique;
	uint64_t reordered; /* of the unique ones, those that came after a higher number */
	uint64_t duplicates;
	uint64_t late; /* below the window: they are new, or copies */
};

/* Returns 0 or -ENOMEM. */
int arrivals_init(struct arrivals *arrivals);

void arrivals_clear(struct arrivals *arrivals);

/* Takes the low 32 bits of a number. Returns whether it is unique. */
bool arrivals_take(struct arrivals *arrivals, uint32_t number);
