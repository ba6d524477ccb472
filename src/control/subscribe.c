/* Subscribe: every datagram of some groups, until the client goes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/method.h"
#include "control/subscription.h"

static void free_names(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

/* Copies the names of groups that exist. Answers and returns a negative errno when they are not so. */
static int read_names(struct client *client, const json_t *list, char ***ret_names, size_t *ret_count)
{
	struct groups *groups = method_backend(client)->groups;
	size_t size = json_array_size(list), count = 0;
	char **names = calloc(size + 1, sizeof(*names));

	for (; names && count < size; count++) {
		const char *name = json_string_value(json_array_get(list, count));

		if (groups_find(groups, name) && (names[count] = strdup(name)))
			continue;
		method_no_such_group(client, name);
		free_names(names, count);
		return -EINVAL;
	}
	*ret_names = names;
	*ret_count = count;
	return names ? 0 : -ENOMEM;
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
	if (subscription_start(client, names, count) < 0)
		free_names(names, count);
	return CALL_DONE;
}

const struct method subscribe_method = {.name = "io.mcastd.Subscribe", .call = call_subscribe};
