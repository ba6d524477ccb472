#include "control/methods/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_unique(struct string_list *names)
{
	size_t unique = 0;

	if (names->count)
		qsort(names->items, names->count, sizeof(*names->items), compare);
	for (size_t i = 0; i < names->count; i++)
		if (unique && !strcmp(names->items[unique - 1], names->items[i]))
			free(names->items[i]);
		else
			names->items[unique++] = names->items[i];
	names->count = unique;
}

static bool are_too_many(struct client *client, const json_t *array, const char *without)
{
	char message[WHY_MAX];

	if (json_array_size(array) <= NAMES_MAX)
		return false;
	because(message, 0, "names %zu groups, at most are %d; without it %s",
		json_array_size(array), NAMES_MAX, without);
	method_invalid(client, "groups", message);
	return true;
}

int names_read(struct client *client, const json_t *array, bool is_to_receive, const char *without,
	struct string_list *ret)
{
	CLEANUP(string_list_clear) struct string_list names = {0};

	if (are_too_many(client, array, without))
		return -E2BIG;
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *name = json_string_value(json_array_get(array, i));
		const struct group *group = groups_find(method_backend(client)->groups, name);

		if (!group) {
			method_no_such_group(client, name);
			return -ENOENT;
		}
		if (is_to_receive && !method_permits(client, group, ACCESS_RECEIVE))
			return -EPERM;
		if (string_list_add(&names, name) < 0) {
			client_close(client);
			return -ENOMEM;
		}
	}
	sort_unique(&names);
	*ret = names;
	names = (struct string_list){0};
	return 0;
}

bool names_are_too_much(struct client *client)
{
	if (!user_holds_too_much(client_user(client), MEMORY_OUTPUT))
		return false;
	json_put_number(client_begin_error(client, "io.mcastd.TooManySubscriptions"), "limit",
		USER_OUTPUT_MAX);
	client_end_message(client,
		"subscriptions and unread answers of this user take more than %d bytes: "
		"close some connections, or read from them",
		USER_OUTPUT_MAX);
	return true;
}
