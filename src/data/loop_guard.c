#include "data/loop_guard.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Longer than any ring takes on a LAN, shorter than the period of most senders that repeat. */
#define WINDOW_MS 250

/* Direct-mapped: when another datagram has taken the slot within the window, only the TTL ends the
 * ring. Untouched pages are not resident. */
#define SLOTS 32768

struct slot {
	uint32_t payload; /* the bits of its hash that are not in the slot's number */
	uint32_t source;
	uint32_t when_ms;
	uint8_t ttl; /* 0: empty; a datagram that was relayed had at least 2 */
};

struct loop_guard {
	uint64_t seed; /* random, so that nobody can construct payloads that collide */
	struct slot slots[SLOTS];
};

struct loop_guard *loop_guard_new(void)
{
	struct loop_guard *guard = calloc(1, sizeof(*guard));

	if (guard && getrandom(&guard->seed, sizeof(guard->seed), GRND_NONBLOCK) < 0)
		guard->seed = (uint64_t)(uintptr_t)guard;
	return guard;
}

void loop_guard_free(struct loop_guard *guard)
{
	free(guard);
}

/* Multiplies to 128 bits and folds: the mixing step of wyhash. */
static uint64_t mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash(uint64_t seed, const void *data, size_t size)
{
	static const uint64_t odd = 0x9e3779b97f4a7c15;
	const uint8_t *at = data;
	uint64_t state = mix(seed ^ odd, size ^ odd);

	for (; size >= 8; at += 8, size -= 8) {
		uint64_t word;

		memcpy(&word, at, 8);
		state = mix(state ^ word, odd);
	}
	if (size) {
		uint64_t word = 0;

		memcpy(&word, at, size);
		state = mix(state ^ word, odd ^ seed);
	}
	return mix(state, odd);
}

bool loop_guard_has_seen(struct loop_guard *guard, const struct datagram *datagram, uint32_t now_ms)
{
	uint64_t payload = hash(guard->seed, datagram->payload, datagram->size);
	uint32_t source = (uint32_t)hash(guard->seed, &datagram->source, sizeof(datagram->source));
	struct slot *slot = &guard->slots[payload % SLOTS];
	uint32_t rest = (uint32_t)(payload >> 32);

	if (slot->payload == rest && slot->source != source && datagram->ttl < slot->ttl &&
		now_ms - slot->when_ms < WINDOW_MS)
		return true;
	*slot = (struct slot){
		.payload = rest, .source = source, .when_ms = now_ms, .ttl = datagram->ttl};
	return false;
}
