/* The pause before a program that has ended is started again: it doubles each time, up to a minute,
 * with jitter, so that what failed together does not restart together. */
#pragma once

#include <stdint.h>

#define BACKOFF_MIN_NS 100000000ull
#define BACKOFF_MAX_NS 60000000000ull
#define BACKOFF_HEALTHY_NS 60000000000ull /* running this long resets the backoff */

struct backoff {
	uint64_t base_ns; /* of the last pause; 0: there was none */
};

/* The next pause in nanoseconds, BACKOFF_MIN_NS to BACKOFF_MAX_NS, after a program that ran for
 * ran_ns: jittered to 1.0-1.5 x its base. random is any number. */
static inline uint64_t backoff_next(struct backoff *backoff, uint64_t ran_ns, uint32_t random)
{
	const uint64_t base_max_ns = BACKOFF_MAX_NS / 3 * 2;

	if (!backoff->base_ns || ran_ns >= BACKOFF_HEALTHY_NS)
		backoff->base_ns = BACKOFF_MIN_NS;
	else if (backoff->base_ns < base_max_ns / 2)
		backoff->base_ns *= 2;
	else
		backoff->base_ns = base_max_ns;
	/* In steps of 1/1024, so that nothing overflows. */
	return backoff->base_ns + backoff->base_ns / 2048 * (random % 1025);
}
