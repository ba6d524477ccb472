/* Subscribe: every datagram of some groups, until the client disconnects. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "control/method.h"
#include "control/subscriber.h"

/* Groups that one subscription names; without names it gets all. */
#define NAMES_MAX 1024

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

/* Copies the names of groups that exist and that the client may receive. Otherwise answers, and
 * returns a negative errno. */
static int read_names(struct client *client, const json_t *array, struct string_list *names)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *name = json_string_value(json_array_get(array, i));
		const struct group *group = groups_find(method_backend(client)->groups, name);

		if (!group) {
			method_no_such_group(client, name);
			return -ENOENT;
		}
		if (!method_permits(client, group, ACCESS_RECEIVE))
			return -EPERM;
		if (string_list_add(names, name) < 0) {
			client_close(client);
			return -ENOMEM;
		}
	}
	sort_unique(names);
	return 0;
}

/* Whether there is a group that the client may receive, or none at all. Otherwise answers. */
static bool may_receive_any(struct client *client)
{
	const struct groups *groups = method_backend(client)->groups;
	const struct peer *peer = client_peer(client);
	const struct group *refused = NULL;

	if (!peer) {
		client_close(client);
		return false;
	}
	for (size_t i = 0; i < groups_count(groups); i++) {
		const struct group *group = groups_at(groups, i);

		if (group->config->is_events)
			continue;
		if (group_permits(group, peer, ACCESS_RECEIVE))
			return true;
		refused = group;
	}
	return !refused || method_permits(client, refused, ACCESS_RECEIVE);
}

/* Answers, and returns whether the subscription would be too much. */
static bool is_too_much(struct client *client, const json_t *array)
{
	char message[WHY_MAX];

	if (json_array_size(array) > NAMES_MAX) {
		because(message, 0,
			"names %zu groups, at most are %d; without it the subscription gets all",
			json_array_size(array), NAMES_MAX);
		method_invalid(client, "groups", message);
		return true;
	}
	if (user_holds_too_much(client_user(client), MEMORY_OUTPUT)) {
		json_put_number(client_begin_error(client, "io.mcastd.TooManySubscriptions"),
			"limit", USER_OUTPUT_MAX);
		client_end_message(client,
			"subscriptions and unread answers of this user take more than %d bytes: "
			"close some connections, or read from them",
			USER_OUTPUT_MAX);
		return true;
	}
	return false;
}

static enum call_result call_subscribe(struct client *client, const struct call *call)
{
	CLEANUP(string_list_clear) struct string_list names = {0};
	json_t *array = NULL;
	const struct parameter rows[] = {{"groups", PARAMETER_NAMES, false, &array}};

	if (method_read(client, call, rows, ARRAY_SIZE(rows)) < 0)
		return CALL_DONE;
	if (!call->more) {
		client_begin_error(client, "org.varlink.service.ExpectedMore");
		client_end(client);
	} else if (is_too_much(client, array)) {
		return CALL_DONE;
	} else if (read_names(client, array, &names) == 0 &&
		   (names.count || may_receive_any(client)) && subscriber_new(client, &names) < 0) {
		client_close(client);
	}
	return CALL_DONE;
}

const struct method subscribe_method = {.name = "io.mcastd.Subscribe", .call = call_subscribe};
