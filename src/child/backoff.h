/* How long to wait before a program that has ended is started again: twice as long each time, up to
 * a minute, and never the same for long, so that what failed together does not come back together.
 */
#pragma once

#include <stdint.h>

#define BACKOFF_MIN_NS 100000000ull
#define BACKOFF_MAX_NS 60000000000ull
#define BACKOFF_HEALTHY_NS 60000000000ull /* who ran for so long begins anew */

struct backoff {
	uint64_t base_ns; /* of the last pause; 0: there was none */
};

/* The next pause in nanoseconds, BACKOFF_MIN_NS to BACKOFF_MAX_NS, after a program that ran for
 * ran_ns. random is any number. */
uint64_t backoff_next(struct backoff *backoff, uint64_t ran_ns, uint32_t random);
