#include "config/copy.h"

#include "config/list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int copy_string(char **ret, const char *string)
{
	*ret = string ? strdup(string) : NULL;
	return string && !*ret ? -ENOMEM : 0;
}

static int copy_strings(struct string_list *ret, const struct string_list *list)
{
	int r = 0;

	for (size_t i = 0; i < list->count && r >= 0; i++)
		r = string_list_add(ret, list->items[i]);
	return r;
}

static int copy_addresses(struct address_list *ret, const struct address_list *list)
{
	int r = 0;

	for (size_t i = 0; i < list->count && r >= 0; i++)
		r = address_list_add(ret, &list->items[i]);
	return r;
}

/* Copies what one key owns; the flat values are copied already. */
static int copy_key(const struct key *key, void *ret, const void *settings)
{
	void *to = (char *)ret + key->offset;
	const void *from = (const char *)settings + key->offset;

	switch (key->type) {
	case KEY_STRING:
	case KEY_PATH:
		return copy_string(to, *(char *const *)from);
	case KEY_STRINGS:
		return copy_strings(to, from);
	case KEY_ADDRESSES:
		return copy_addresses(to, from);
	default:
		return 0;
	}
}

/* Half-built copies must not share what the original owns. */
static void forget_key(const struct key *key, void *ret)
{
	void *to = (char *)ret + key->offset;

	if (key->type == KEY_STRING || key->type == KEY_PATH)
		*(char **)to = NULL;
	else if (key->type == KEY_STRINGS)
		*(struct string_list *)to = (struct string_list){0};
	else if (key->type == KEY_ADDRESSES)
		*(struct address_list *)to = (struct address_list){0};
}

int config_group_copy(struct config_group *ret, const struct config_group *group)
{
	struct config_group copy = *group;
	int r;

	copy.place = (struct place){0};
	for (size_t i = 0; i < group_schema.count; i++)
		forget_key(&group_schema.keys[i], &copy);
	r = copy_string(&copy.name, group->name);
	for (size_t i = 0; i < group_schema.count && r >= 0; i++)
		r = copy_key(&group_schema.keys[i], &copy, group);
	if (r < 0) {
		config_group_clear(&copy);
		return r;
	}
	*ret = copy;
	return 0;
}
