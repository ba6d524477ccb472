/* Growable arrays: a struct of items and count, zeroed when empty. Their room is the next power of
 * two, so that it need not be stored. All growth must go through here. */
#pragma once

#include <errno.h>
#include <stddef.h>

/* Room for one more item behind count items of a size. Returns the items, moved if need be; or NULL
 * without memory, with the old ones as they were. */
void *array_grow(void *items, size_t count, size_t size);

/* Appends one item to an array. Returns 0 or -ENOMEM. */
#define array_add(array, ...)                                             \
	({                                                                \
		__typeof__((array)->items) grown_ = array_grow(           \
			(array)->items, (array)->count, sizeof(*grown_)); \
		if (grown_) {                                             \
			(array)->items = grown_;                          \
			grown_[(array)->count++] = (__VA_ARGS__);         \
		}                                                         \
		grown_ ? 0 : -ENOMEM;                                     \
	})

/* The index of the first of count sorted items that is not less than key; count when all are.
 * compare() is given key first, as for bsearch(3). */
size_t lower_bound(const void *key, const void *items, size_t count, size_t size,
	int (*compare)(const void *key, const void *item));
