#include "config/list_keys.h"

#include <errno.h>

#include "config/words.h"

int parse_address_key(const char *text, struct address *ret, char why[static WHY_MAX])
{
	char buffer[SHOWN_MAX];

	if (address_parse(text, ret) < 0)
		return because(why, -EINVAL,
			"\"%s\" is not an IP address, write one such as \"233.252.0.1\" or "
			"\"ff15::1\"",
			shown(text, buffer));
	return 0;
}

/* Whether a list of count items may take this one. */
static int check_item(const struct key *key, size_t count, bool contained, const char *text,
	char why[static WHY_MAX])
{
	size_t max = key->max ? (size_t)key->max : LIST_ITEMS_MAX;
	char buffer[SHOWN_MAX];

	if (contained)
		return because(why, -EINVAL, "\"%s\" is in the list twice, remove one",
			shown(text, buffer));
	if (count >= max)
		return because(
			why, -ERANGE, "has more than %zu items, the most that are allowed", max);
	return 0;
}

int add_string(const struct key *key, void *field, const char *text, char why[static WHY_MAX])
{
	struct string_list *list = field;
	int r;

	if (!*text)
		return because(why, -EINVAL, "has an empty item, remove it");
	r = check_item(key, list->count, string_list_contains(list, text), text, why);
	return r < 0 ? r : string_list_add(list, text);
}

int add_argument(const struct key *key, void *field, const char *text, char why[static WHY_MAX])
{
	struct string_list *list = field;
	int r = check_item(key, list->count, false, text, why);

	return r < 0 ? r : string_list_add(list, text);
}

bool equal_string_lists(const void *a, const void *b)
{
	return string_list_compare(a, b) == 0;
}

int copy_string_list(void *ret, const void *field)
{
	const struct string_list *list = field;
	int r = 0;

	for (size_t i = 0; i < list->count && r >= 0; i++)
		r = string_list_add(ret, list->items[i]);
	return r;
}

void clear_string_list(void *field)
{
	string_list_clear(field);
}

int add_address(const struct key *key, void *field, const char *text, char why[static WHY_MAX])
{
	struct address_list *list = field;
	struct address address;
	int r = parse_address_key(text, &address, why);

	if (r < 0)
		return r;
	r = check_item(key, list->count, address_list_contains(list, &address), text, why);
	return r < 0 ? r : address_list_add(list, &address);
}

bool equal_address_lists(const void *a, const void *b)
{
	return address_list_compare(a, b) == 0;
}

int copy_address_list(void *ret, const void *field)
{
	const struct address_list *list = field;
	int r = 0;

	for (size_t i = 0; i < list->count && r >= 0; i++)
		r = address_list_add(ret, &list->items[i]);
	return r;
}

void clear_address_list(void *field)
{
	address_list_clear(field);
}

int add_prefix(const struct key *key, void *field, const char *text, char why[static WHY_MAX])
{
	struct prefix_list *list = field;
	struct prefix prefix;
	char buffer[SHOWN_MAX];
	int r = prefix_parse(text, &prefix);

	if (r < 0)
		return because(why, -EINVAL,
			"\"%s\" %s, write one such as \"10.0.0.0/8\" or \"2001:db8::/32\"",
			shown(text, buffer),
			r == -ERANGE ? "has bits set behind its length"
				     : "is not an address or prefix");
	r = check_item(key, list->count, prefix_list_contains(list, &prefix), text, why);
	return r < 0 ? r : prefix_list_add(list, &prefix);
}

bool equal_prefix_lists(const void *a, const void *b)
{
	return prefix_list_compare(a, b) == 0;
}

int copy_prefix_list(void *ret, const void *field)
{
	const struct prefix_list *list = field;
	int r = 0;

	for (size_t i = 0; i < list->count && r >= 0; i++)
		r = prefix_list_add(ret, &list->items[i]);
	return r;
}

void clear_prefix_list(void *field)
{
	prefix_list_clear(field);
}
