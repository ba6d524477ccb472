/* How durations are spread: a count for each of some ranges, which grow with the duration, so that
 * a quantile is right within an eighth. Pure. */
#pragma once

#include <stdint.h>

#define SPREAD_RANGES 256

/* Zeroed: none was added. */
struct spread {
	uint64_t count;
	uint32_t ranges[SPREAD_RANGES]; /* stops at its greatest value */
};

void spread_add(struct spread *spread, uint64_t ns);

/* The upper end of the range that this part of them, from 0 to 1, does not exceed. 0: there are
 * none.
 */
uint64_t spread_quantile(const struct spread *spread, double part);
