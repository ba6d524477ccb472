/* Subscribe: every datagram of some groups, until the client goes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/audience.h"
#include "control/method.h"
#include "control/subscription.h"

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts the names, and leaves each of them once. Returns how many are left. */
static size_t sort_names(char **names, size_t count)
{
	size_t kept = 0;

	if (count)
		qsort(names, count, sizeof(*names), compare);
	for (size_t i = 0; i < count; i++)
		if (kept && !strcmp(names[kept - 1], names[i]))
			free(names[i]);
		else
			names[kept++] = names[i];
	return kept;
}

/* Copies the names of groups that exist. Answers and returns a negative errno when they are not so.
 */
static int read_names(
	struct client *client, const json_t *list, char ***ret_names, size_t *ret_count)
{
	struct groups *groups = method_backend(client)->groups;
	size_t size = json_array_size(list), count = 0;
	char **names = calloc(size + 1, sizeof(*names));

	for (; names && count < size; count++) {
		const char *name = json_string_value(json_array_get(list, count));

		if (groups_find(groups, name) && (names[count] = strdup(name)))
			continue;
		method_no_such_group(client, name);
		audience_free_names(names, count);
		return -EINVAL;
	}
	if (!names) {
		client_reply(client, NULL);
		return -ENOMEM;
	}
	*ret_names = names;
	*ret_count = sort_names(names, count);
	return 0;
}

static enum call_result call_subscribe(struct client *client, const struct call *call)
{
	json_t *list = NULL;
	const struct parameter rows[] = {{"groups", PARAMETER_NAMES, false, &list}};
	char **names;
	size_t count;

	if (method_read(client, call, rows, ARRAY_SIZE(rows)) < 0)
		return CALL_DONE;
	if (!call->more) {
		client_fail(client, "org.varlink.service.ExpectedMore", json_object());
		return CALL_DONE;
	}
	if (read_names(client, list, &names, &count) < 0)
		return CALL_DONE;
	if (subscription_start(client, names, count) < 0) {
		audience_free_names(names, count);
		client_reply(client, NULL);
	}
	return CALL_DONE;
}

const struct method subscribe_method = {.name = "io.mcastd.Subscribe", .call = call_subscribe};
