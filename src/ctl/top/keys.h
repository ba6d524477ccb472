/* What a terminal sends for the keys of top. Pure: bytes in, keys out. */
#pragma once

#include <stddef.h>

/* A key is a byte, or one of these. */
enum key {
	KEY_ESCAPE = 0x1b,
	KEY_UP = 0x100,
	KEY_DOWN,
	KEY_PAGE_UP,
	KEY_PAGE_DOWN,
	KEY_HOME,
	KEY_END,
	KEY_OTHER, /* known to be a key, and of no use here */
};

/* Reads one key of size bytes, at least one. Returns how many bytes it has taken. A sequence that
 * was read in part only counts as what it is so far. */
size_t key_read(const char *bytes, size_t size, int *ret_key);
