/* Groups by name. Zeroed it is empty. */
#pragma once

#include <stddef.h>

struct group;

struct group_set {
	struct group **items; /* sorted by name */
	size_t count;
};

/* Returns NULL when there is none. */
struct group *group_set_find(const struct group_set *set, const char *name);

/* Returns 0, -EEXIST or -ENOMEM. */
int group_set_add(struct group_set *set, struct group *group);

void group_set_remove(struct group_set *set, const struct group *group);

/* Sorts again what was added otherwise. */
void group_set_sort(struct group_set *set);

/* Finds the one of the group's name, where the groups that are searched for come in the order of
 * their names: then all searches together pass the set once. *at begins with 0. */
struct group *group_set_next(const struct group_set *set, size_t *at, struct group *group);

/* Both sets are sorted. Frees the groups but those that another set has, too, and the list. */
void group_set_clear(struct group_set *set, const struct group_set *others);
