#include "groups/set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "groups/group_socket.h"

/* Where a group of this name is, or would have to be. */
static size_t position(const struct group_set *set, const char *name, bool *ret_found)
{
	size_t low = 0, high = set->count;

	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(set->items[middle]->config->name, name);

		if (order == 0)
			*ret_found = true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct group *group_set_find(const struct group_set *set, const char *name)
{
	bool found;
	size_t i = position(set, name, &found);

	return found ? set->items[i] : NULL;
}

int group_set_append(struct group_set *set, struct group *group)
{
	if (set->count == set->room) {
		size_t room = set->room ? set->room * 2 : 16;
		struct group **items = reallocarray(set->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		set->items = items;
		set->room = room;
	}
	set->items[set->count++] = group;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp((*(struct group *const *)a)->config->name,
		(*(struct group *const *)b)->config->name);
}

void group_set_sort(struct group_set *set)
{
	if (set->count)
		qsort(set->items, set->count, sizeof(*set->items), compare_names);
}

bool group_set_contains(const struct group_set *set, const struct group *group)
{
	return group_set_find(set, group->config->name) == group;
}

int group_set_add(struct group_set *set, struct group *group)
{
	bool found;
	size_t at = position(set, group->config->name, &found);
	int r = found ? -EEXIST : group_set_append(set, group);

	if (r < 0)
		return r;
	memmove(set->items + at + 1, set->items + at, (set->count - 1 - at) * sizeof(*set->items));
	set->items[at] = group;
	return 0;
}

void group_set_remove(struct group_set *set, struct group *group)
{
	bool found;
	size_t at = position(set, group->config->name, &found);

	if (!found)
		return;
	set->count--;
	memmove(set->items + at, set->items + at + 1, (set->count - at) * sizeof(*set->items));
}

void group_set_free_group(struct group *group)
{
	if (!group)
		return;
	group_socket_free(group->socket);
	group_free(group);
}

/* Last in, first out: the kernel has an interface's memberships in a list, the latest first, and
 * looks through it for each that is left. In the order of joining, ten thousand take ten times as
 * long. */
void group_set_clear(struct group_set *set)
{
	for (size_t i = set->count; i-- > 0;)
		group_set_free_group(set->items[i]);
	free(set->items);
	*set = (struct group_set){0};
}
