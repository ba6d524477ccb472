/* The mixing step of wyhash, with four products in flight. */
#include "base/hash.h"

#include <string.h>
#include <sys/random.h>

void hash_key_init(struct hash_key *ret)
{
	/* Early in the boot there may be no random numbers yet: then an address, which is random
	 * too. */
	if (getrandom(ret, sizeof(*ret), GRND_NONBLOCK) != sizeof(*ret))
		for (unsigned i = 0; i < HASH_LANES; i++)
			ret->words[i] = ((uintptr_t)ret + i) * 0x9e3779b97f4a7c15;
}

static uint64_t load(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

static uint64_t load_half(const uint8_t *at)
{
	uint32_t half;

	memcpy(&half, at, sizeof(half));
	return half;
}

/* The key is mixed into both factors, so that no data makes one of them 0 on purpose. */
static uint64_t mix_block(const uint64_t *key, const uint8_t *at, uint64_t lane)
{
	return hash_mix(load(at) ^ *key, load(at + 8) ^ lane);
}

/* The bytes of less than a block, in 16. What sizes have in common is told apart by the size. */
static void load_rest(const uint8_t *at, size_t size, uint8_t ret[static 16])
{
	uint64_t low = 0, high = 0;

	if (size >= 8) {
		low = load(at);
		high = load(at + size - 8);
	} else if (size >= 4) {
		low = load_half(at);
		high = load_half(at + size - 4);
	} else if (size) {
		low = (uint64_t)at[0] << 16 | (uint64_t)at[size / 2] << 8 | at[size - 1];
	}
	memcpy(ret, &low, 8);
	memcpy(ret + 8, &high, 8);
}

/* All of 64 bytes but the last. Not inlined: what is smaller would have to save its registers. */
static __attribute__((noinline)) uint64_t mix_lanes(
	const uint64_t *words, const uint8_t *at, size_t left)
{
	uint64_t lanes[HASH_LANES];

	memcpy(lanes, words, sizeof(lanes));
	for (; left > 64; at += 64, left -= 64)
		for (unsigned i = 0; i < HASH_LANES; i++)
			lanes[i] = mix_block(&words[i], at + i * 16ul, lanes[i]);
	return lanes[0] ^ hash_mix(lanes[1] ^ words[2], lanes[2] ^ words[3]) ^ lanes[3];
}

uint64_t hash_keyed(const struct hash_key *key, const void *data, size_t size)
{
	const uint64_t *words = key->words;
	const uint8_t *at = data;
	uint64_t value = words[0] ^ words[1];
	uint8_t rest[16];
	size_t left = size;

	if (left > 64) {
		value ^= mix_lanes(words, at, left);
		at += (left - 1) / 64 * 64;
		left -= (left - 1) / 64 * 64;
	}
	for (; left > sizeof(rest); at += sizeof(rest), left -= sizeof(rest))
		value = mix_block(&words[1], at, value);
	load_rest(at, left, rest);
	value = mix_block(&words[2], rest, value);
	return hash_mix(value ^ words[3], size ^ words[0]);
}
