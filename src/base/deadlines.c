#include "base/deadlines.h"

#include "base/array.h"

static void put(struct deadlines *deadlines, struct deadline *deadline, size_t i)
{
	deadlines->items[i] = deadline;
	deadline->place = i;
}

void deadlines_move(struct deadlines *deadlines, struct deadline *deadline)
{
	struct deadline **items = deadlines->items;
	size_t i = deadline->place, child;

	for (; i && deadline->due_ns < items[(i - 1) / 2]->due_ns; i = (i - 1) / 2)
		put(deadlines, items[(i - 1) / 2], i);
	while ((child = 2 * i + 1) < deadlines->count) {
		if (child + 1 < deadlines->count && items[child + 1]->due_ns < items[child]->due_ns)
			child++;
		if (items[child]->due_ns >= deadline->due_ns)
			break;
		put(deadlines, items[child], i);
		i = child;
	}
	put(deadlines, deadline, i);
}

int deadlines_add(struct deadlines *deadlines, struct deadline *deadline)
{
	deadline->place = deadlines->count;
	if (array_add(deadlines, deadline) < 0)
		return -ENOMEM;
	deadlines_move(deadlines, deadline);
	return 0;
}

void deadlines_remove(struct deadlines *deadlines, struct deadline *deadline)
{
	struct deadline *last = deadlines->items[--deadlines->count];

	if (last == deadline)
		return;
	last->place = deadline->place;
	deadlines_move(deadlines, last);
}
