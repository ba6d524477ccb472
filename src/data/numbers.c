#include "data/numbers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/array.h"
#include "base/cleanup.h"

struct run {
	char *group;
	uint64_t run, number; /* the last one */
};

struct numbers {
	struct run *items; /* sorted by group */
	size_t count;
	size_t last; /* found: those of a batch are of one group */
};

struct numbers *numbers_new(void)
{
	return calloc(1, sizeof(struct numbers));
}

static void forget(struct numbers *numbers)
{
	for (size_t i = 0; i < numbers->count; i++)
		free(numbers->items[i].group);
	free(numbers->items);
	*numbers = (struct numbers){0};
}

void numbers_free(struct numbers *numbers)
{
	if (!numbers)
		return;
	forget(numbers);
	free(numbers);
}

static int compare(const void *key, const void *item)
{
	return strcmp(key, ((const struct run *)item)->group);
}

static int insert(struct numbers *numbers, size_t at, const char *group)
{
	struct run run = {.number = 0}, *items;
	AUTO_FREE char *name = strdup(group);

	if (!name)
		return -ENOMEM;
	if (getrandom(&run.run, sizeof(run.run), 0) < 0)
		return -errno;
	items = array_grow(numbers->items, numbers->count, sizeof(*items));
	if (!items)
		return -ENOMEM;
	run.group = take(name);
	memmove(items + at + 1, items + at, (numbers->count - at) * sizeof(*items));
	items[at] = run;
	numbers->items = items;
	numbers->count++;
	return 0;
}

/* Finds the run of a group, or begins one. */
static int find(struct numbers *numbers, const char *group, struct run **ret)
{
	size_t at = numbers->last;
	int r;

	if (at >= numbers->count || compare(group, &numbers->items[at]) != 0) {
		at = lower_bound(
			group, numbers->items, numbers->count, sizeof(*numbers->items), compare);
		if (at == numbers->count || compare(group, &numbers->items[at]) != 0) {
			if (numbers->count == NUMBERS_GROUPS_MAX) {
				forget(numbers);
				at = 0;
			}
			r = insert(numbers, at, group);
			if (r < 0)
				return r;
		}
	}
	numbers->last = at;
	*ret = &numbers->items[at];
	return 0;
}

int numbers_next(struct numbers *numbers, const char *group, unsigned lost, uint64_t *ret_run,
	uint64_t *ret_number)
{
	struct run *run = NULL;
	int r = find(numbers, group, &run);

	if (r < 0)
		return r;
	run->number += (uint64_t)lost + 1;
	*ret_run = run->run;
	*ret_number = run->number;
	return 0;
}
