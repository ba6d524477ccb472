/* FNV-1a: for keys that nobody makes up to collide, such as names of the configuration. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HASH_BEGIN 0xcbf29ce484222325ull

/* Goes on with the value so far, or with HASH_BEGIN. */
static inline uint64_t hash_bytes(uint64_t value, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		value = (value ^ bytes[i]) * 0x100000001b3ull;
	return value;
}
