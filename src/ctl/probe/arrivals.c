#include "ctl/probe/arrivals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS 64
#define RANGE (1ull << 32) /* of a number as it is sent */

int arrivals_init(struct arrivals *arrivals)
{
	*arrivals = (struct arrivals){
		.seen = calloc(ARRIVALS_WINDOW / WORD_BITS, sizeof(uint64_t))};
	return arrivals->seen ? 0 : -ENOMEM;
}

void arrivals_clear(struct arrivals *arrivals)
{
	free(arrivals->seen);
	*arrivals = (struct arrivals){0};
}

static uint64_t *word_of(struct arrivals *arrivals, uint64_t number)
{
	return &arrivals->seen[number % ARRIVALS_WINDOW / WORD_BITS];
}

static uint64_t bit_of(uint64_t number)
{
	return 1ull << number % WORD_BITS;
}

/* The number with these low bits that is nearest to the highest. */
static uint64_t extend(const struct arrivals *arrivals, uint32_t number)
{
	uint64_t near = (arrivals->highest & ~(RANGE - 1)) | number;

	if (near + RANGE / 2 < arrivals->highest)
		return near + RANGE;
	return near >= RANGE && near > arrivals->highest + RANGE / 2 ? near - RANGE : near;
}

/* The number becomes the highest. Those that enter the window have not come. */
static void slide(struct arrivals *arrivals, uint64_t to)
{
	uint64_t from = arrivals->highest + 1;

	arrivals->highest = to;
	if (to - from >= ARRIVALS_WINDOW) {
		memset(arrivals->seen, 0, ARRIVALS_WINDOW / 8);
		return;
	}
	while (from <= to) {
		bool is_whole = from % WORD_BITS == 0 && to - from >= WORD_BITS - 1;

		*word_of(arrivals, from) &= is_whole ? 0 : ~bit_of(from);
		from += is_whole ? WORD_BITS : 1;
	}
}

bool arrivals_take(struct arrivals *arrivals, uint32_t number)
{
	uint64_t at = arrivals->is_begun ? extend(arrivals, number) : number;

	if (arrivals->is_begun && at + ARRIVALS_WINDOW <= arrivals->highest) {
		arrivals->late++;
		return false;
	}
	if (!arrivals->is_begun)
		arrivals->lowest = arrivals->highest = at;
	else if (at > arrivals->highest)
		slide(arrivals, at);
	arrivals->is_begun = true;
	if (*word_of(arrivals, at) & bit_of(at)) {
		arrivals->duplicates++;
		return false;
	}
	*word_of(arrivals, at) |= bit_of(at);
	arrivals->unique++;
	arrivals->reordered += at < arrivals->highest;
	if (at < arrivals->lowest)
		arrivals->lowest = at;
	return true;
}
