/* Groups sorted by name. */
#pragma once

#include "groups/group.h"

struct group_set {
	struct group **items;
	size_t count, room;
};

struct group *group_set_find(const struct group_set *set, const char *name);

/* Takes the group over. Returns 0, -EEXIST or -ENOMEM. */
int group_set_add(struct group_set *set, struct group *group);

/* The same without keeping the order, for adding many: sort afterwards. Returns 0 or -ENOMEM. */
int group_set_append(struct group_set *set, struct group *group);
void group_set_sort(struct group_set *set);

/* Whether this very group is in the set. */
bool group_set_contains(const struct group_set *set, const struct group *group);

/* Takes a group out; it is the caller's then. */
void group_set_remove(struct group_set *set, struct group *group);

/* Frees a group that is in no set, with its socket. Accepts NULL. */
void group_set_free_group(struct group *group);

/* Frees all groups. */
void group_set_clear(struct group_set *set);
