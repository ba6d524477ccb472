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

static bool are_too_many(
	struct client *client, const json_t *array, const char *parameter, const char *without)
{
	char message[WHY_MAX];

	if (json_array_size(array) <= NAMES_MAX)
		return false;
	because(message, 0, "names %zu %s, at most are %d; without it %s", json_array_size(array),
		parameter, NAMES_MAX, without);
	method_invalid(client, parameter, message);
	return true;
}

/* Whether a request may name it. Otherwise answers, and returns a negative errno. */
typedef int (*name_check)(struct client *client, const char *name);

static int check_group(struct client *client, const char *name)
{
	if (groups_find(method_backend(client)->groups, name))
		return 0;
	method_no_such_group(client, name);
	return -ENOENT;
}

static int check_group_to_receive(struct client *client, const char *name)
{
	const struct groups *groups = method_backend(client)->groups;
	int r = check_group(client, name);

	if (r == 0 && !method_permits(client, groups_find(groups, name), ACCESS_RECEIVE))
		r = -EPERM;
	return r;
}

static int check_handler(struct client *client, const char *name)
{
	if (handlers_find(method_backend(client)->handlers, name))
		return 0;
	method_no_such_handler(client, name);
	return -ENOENT;
}

static int read_names(struct client *client, const json_t *array, const char *parameter,
	const char *without, name_check check, struct string_list *ret)
{
	CLEANUP(string_list_clear) struct string_list names = {0};

	if (are_too_many(client, array, parameter, without))
		return -E2BIG;
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *name = json_string_value(json_array_get(array, i));
		int r = check(client, name);

		if (r < 0)
			return r;
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

int names_read(struct client *client, const json_t *array, bool is_to_receive, const char *without,
	struct string_list *ret)
{
	return read_names(client, array, "groups", without,
		is_to_receive ? check_group_to_receive : check_group, ret);
}

int names_read_handlers(struct client *client, const json_t *array, struct string_list *ret)
{
	return read_names(client, array, "handlers", "the answer has all", check_handler, ret);
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
