#include "child/backoff.h"

/* A pause is up to half as long again as its base. */
#define BASE_MAX_NS (BACKOFF_MAX_NS / 3 * 2)

uint64_t backoff_next(struct backoff *backoff, uint64_t ran_ns, uint32_t random)
{
	if (!backoff->base_ns || ran_ns >= BACKOFF_HEALTHY_NS)
		backoff->base_ns = BACKOFF_MIN_NS;
	else
		backoff->base_ns = backoff->base_ns < BASE_MAX_NS / 2 ? 2 * backoff->base_ns
								      : BASE_MAX_NS;
	/* In steps of 1/1024, so that nothing overflows. */
	return backoff->base_ns + backoff->base_ns / 2048 * (random % 1025);
}
