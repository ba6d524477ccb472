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

static int compare_groups(const void *a, const void *b)
{
	return compare_name((*(struct group *const *)a)->config->name, b);
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

void group_set_sort(struct group_set *set)
{
	if (set->count)
		qsort(set->items, set->count, sizeof(*set->items), compare_groups);
}

int group_set_add(struct group_set *set, struct group *group)
{
	size_t at = position(set, group->config->name);

	if (group_set_find(set, group->config->name))
		return -EEXIST;
	if (array_add(set, group) < 0)
		return -ENOMEM;
	memmove(set->items + at + 1, set->items + at, (set->count - 1 - at) * sizeof(*set->items));
	set->items[at] = group;
	return 0;
}

void group_set_remove(struct group_set *set, const struct group *group)
{
	size_t at = position(set, group->config->name);

	set->count--;
	memmove(set->items + at, set->items + at + 1, (set->count - at) * sizeof(*set->items));
}

struct group *group_set_next(const struct group_set *set, size_t *at, struct group *group)
{
	int order = -1;

	while (*at < set->count && (order = compare_groups(&set->items[*at], &group)) < 0)
		++*at;
	return *at < set->count && !order ? set->items[*at] : NULL;
}

/* The last one comes first: the kernel searches an interface's list of memberships for each that is
 * left, and has the latest first. In the order of joining that takes quadratic time. */
void group_set_clear(struct group_set *set, const struct group_set *others)
{
	size_t end = others->count;

	for (size_t i = set->count; i-- > 0;) {
		struct group *group = set->items[i];

		while (end && compare_groups(&others->items[end - 1], &group) > 0)
			end--;
		if (!end || others->items[end - 1] != group)
			group_free(group);
	}
	free(set->items);
}
