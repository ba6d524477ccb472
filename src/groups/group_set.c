#include "groups/group_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "groups/group.h"

static int compare_name(const void *name, const void *item)
{
	return strcmp(name, (*(struct group *const *)item)->config->name);
}

/* The index of the group of this name, or where it would be. */
static size_t position(const struct group_set *set, const char *name)
{
	return lower_bound(name, set->items, set->count, sizeof(*set->items), compare_name);
}

struct group *group_set_find(const struct group_set *set, const char *name)
{
	size_t i = position(set, name);

	return i < set->count && !compare_name(name, &set->items[i]) ? set->items[i] : NULL;
}

size_t group_set_after(const struct group_set *set, const char *name)
{
	size_t i = position(set, name);

	return i < set->count && !compare_name(name, &set->items[i]) ? i + 1 : i;
}

void group_set_put(struct group_set *set, size_t at, struct group *group)
{
	memmove(set->items + at + 1, set->items + at, (set->count - at) * sizeof(*set->items));
	set->items[at] = group;
	set->count++;
}

int group_set_add(struct group_set *set, struct group *group)
{
	size_t at = position(set, group->config->name);
	struct group **items;

	if (group_set_find(set, group->config->name))
		return -EEXIST;
	items = array_grow(set->items, set->count, sizeof(*items));
	if (!items)
		return -ENOMEM;
	set->items = items;
	group_set_put(set, at, group);
	return 0;
}

void group_set_remove(struct group_set *set, const struct group *group)
{
	size_t at = position(set, group->config->name);

	set->count--;
	memmove(set->items + at, set->items + at + 1, (set->count - at) * sizeof(*set->items));
}

/* The last one comes first: see groups_plan_commit(). */
void group_set_clear(struct group_set *set)
{
	while (set->count)
		group_free(set->items[--set->count]);
	free(set->items);
}
