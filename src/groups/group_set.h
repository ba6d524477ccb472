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

/* The index of the first one whose name comes after this one. */
size_t group_set_after(const struct group_set *set, const char *name);

/* Returns 0, -EEXIST or -ENOMEM. */
int group_set_add(struct group_set *set, struct group *group);

void group_set_remove(struct group_set *set, const struct group *group);

/* Adds a group at its place, where there is room for it already. */
void group_set_put(struct group_set *set, size_t at, struct group *group);

/* Frees the groups and the list. */
void group_set_clear(struct group_set *set);
