#include "data/spread.h"

/* The ranges in each power of two. */
#define PARTS 8
#define PARTS_BITS 3

/* Below PARTS a range has one value. */
static unsigned range_of(uint64_t ns)
{
	unsigned power, range;

	if (ns < PARTS)
		return (unsigned)ns;
	power = 63 - (unsigned)__builtin_clzll(ns);
	range = (power - PARTS_BITS + 1) * PARTS +
		(unsigned)(ns >> (power - PARTS_BITS) & (PARTS - 1));
	return range < SPREAD_RANGES ? range : SPREAD_RANGES - 1;
}

static uint64_t end_of(unsigned range)
{
	unsigned power = range / PARTS;

	if (!power)
		return range;
	return ((uint64_t)(PARTS + range % PARTS + 1) << (power - 1)) - 1;
}

void spread_add(struct spread *spread, uint64_t ns)
{
	uint32_t *range = &spread->ranges[range_of(ns)];

	spread->count++;
	if (*range < UINT32_MAX)
		++*range;
}

uint64_t spread_quantile(const struct spread *spread, double part)
{
	double sought = (double)spread->count * part;
	uint64_t passed = 0;

	for (unsigned range = 0; range < SPREAD_RANGES && spread->count; range++) {
		passed += spread->ranges[range];
		if (passed && (double)passed >= sought)
			return end_of(range);
	}
	return 0;
}
