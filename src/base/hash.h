/* Hashes: FNV-1a for trusted keys, such as names in the configuration; and one with a secret key
 * for what comes from the network, where an attacker could make others collide. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HASH_BEGIN 0xcbf29ce484222325ull

/* Continues from value, which is HASH_BEGIN at first. */
static inline uint64_t hash_bytes(uint64_t value, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		value = (value ^ bytes[i]) * 0x100000001b3ull;
	return value;
}

#define HASH_LANES 4

/* Random, so that nobody can construct data that collides. */
struct hash_key {
	uint64_t words[HASH_LANES];
};

void hash_key_init(struct hash_key *ret);

/* Multiplies to 128 bits and folds. Both factors must have been mixed with words of a key. */
static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Not the same in two runs. Fast for short and for long data. */
uint64_t hash_keyed(const struct hash_key *key, const void *data, size_t size);
