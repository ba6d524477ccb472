/* Objects by the time when each is due: a binary heap. Objects embed their deadline. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct deadline {
	uint64_t due_ns; /* by the clock of whoever has the heap */
	size_t place; /* in items, while it is there */
};

/* Zeroed when empty; items is freed by the owner. None is due before the one at (i - 1) / 2. */
struct deadlines {
	struct deadline **items;
	size_t count;
};

/* Returns 0 or -ENOMEM. */
int deadlines_add(struct deadlines *deadlines, struct deadline *deadline);

/* One that is there. */
void deadlines_remove(struct deadlines *deadlines, struct deadline *deadline);

/* After its due_ns has changed. */
void deadlines_move(struct deadlines *deadlines, struct deadline *deadline);

/* Another object takes the place of one, whose deadline it has a copy of. */
static inline void deadlines_replace(struct deadlines *deadlines, struct deadline *copy)
{
	deadlines->items[copy->place] = copy;
}

/* The one that is due first; NULL: there is none. */
static inline struct deadline *deadlines_first(const struct deadlines *deadlines)
{
	return deadlines->count ? deadlines->items[0] : NULL;
}
