/* FNV-1a: for trusted keys, such as names in the configuration. An attacker could make others
 * collide. */
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
