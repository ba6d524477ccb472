#include "config/list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int string_list_add(struct string_list *list, const char *string)
{
	char **items = array_grow(list->items, list->count, sizeof(*items));

	if (!items)
		return -ENOMEM;
	list->items = items;
	items[list->count] = strdup(string);
	if (!items[list->count])
		return -ENOMEM;
	list->count++;
	return 0;
}

void string_list_clear(struct string_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct string_list){0};
}

bool string_list_contains(const struct string_list *list, const char *string)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->items[i], string))
			return true;
	return false;
}

int string_list_compare(const struct string_list *a, const struct string_list *b)
{
	for (size_t i = 0; i < a->count && i < b->count; i++) {
		int order = strcmp(a->items[i], b->items[i]);

		if (order)
			return order;
	}
	return (a->count > b->count) - (a->count < b->count);
}

int address_list_add(struct address_list *list, const struct address *address)
{
	struct address *items = array_grow(list->items, list->count, sizeof(*items));

	if (!items)
		return -ENOMEM;
	list->items = items;
	items[list->count++] = *address;
	return 0;
}

void address_list_clear(struct address_list *list)
{
	free(list->items);
	*list = (struct address_list){0};
}

bool address_list_contains(const struct address_list *list, const struct address *address)
{
	for (size_t i = 0; i < list->count; i++)
		if (address_equal(&list->items[i], address))
			return true;
	return false;
}

int address_list_compare(const struct address_list *a, const struct address_list *b)
{
	for (size_t i = 0; i < a->count && i < b->count; i++) {
		int order = address_compare(&a->items[i], &b->items[i]);

		if (order)
			return order;
	}
	return (a->count > b->count) - (a->count < b->count);
}

int address_compare(const struct address *a, const struct address *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	if (a->family == AF_INET)
		return memcmp(&a->v4, &b->v4, sizeof(a->v4));
	return a->family == AF_INET6 ? memcmp(&a->v6, &b->v6, sizeof(a->v6)) : 0;
}

int prefix_list_add(struct prefix_list *list, const struct prefix *prefix)
{
	struct prefix *items = array_grow(list->items, list->count, sizeof(*items));

	if (!items)
		return -ENOMEM;
	list->items = items;
	items[list->count++] = *prefix;
	return 0;
}

void prefix_list_clear(struct prefix_list *list)
{
	free(list->items);
	*list = (struct prefix_list){0};
}

static int prefix_compare(const struct prefix *a, const struct prefix *b)
{
	int order = address_compare(&a->address, &b->address);

	return order ? order : (int)a->length - (int)b->length;
}

bool prefix_list_contains(const struct prefix_list *list, const struct prefix *prefix)
{
	for (size_t i = 0; i < list->count; i++)
		if (!prefix_compare(&list->items[i], prefix))
			return true;
	return false;
}

int prefix_list_compare(const struct prefix_list *a, const struct prefix_list *b)
{
	for (size_t i = 0; i < a->count && i < b->count; i++) {
		int order = prefix_compare(&a->items[i], &b->items[i]);

		if (order)
			return order;
	}
	return (a->count > b->count) - (a->count < b->count);
}
