/* Join: a group until the daemon stops. It is checked as the configuration's groups are. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/method.h"

/* Sets a key to each string of a list. Answers and returns a negative errno when that does not go.
 */
static int set_all(
	struct client *client, struct config_group *group, const char *key, const json_t *list)
{
	char why[WHY_MAX];

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *item = json_string_value(json_array_get(list, i));
		int r = schema_set(&group_schema, group, key, item, why);

		if (r >= 0)
			continue;
		method_invalid(client, key, why);
		return r;
	}
	return 0;
}

static int set_one(
	struct client *client, struct config_group *group, const char *key, const char *value)
{
	char why[WHY_MAX];
	int r = schema_set(&group_schema, group, key, value, why);

	if (r < 0)
		method_invalid(client, key, why);
	return r;
}

/* Reads the request into group, which has its defaults. */
static int read_request(struct client *client, const struct call *call, struct config_group *group)
{
	json_t *interfaces = NULL, *sources = NULL, *handlers = NULL;
	const char *address, *name = NULL;
	char port[24], text[GROUP_NAME_MAX + 1];
	int64_t number;
	const struct parameter rows[] = {
		{"address", PARAMETER_NAME, true, &address},
		{"port", PARAMETER_NUMBER, true, &number},
		{"name", PARAMETER_NAME, false, &name},
		{"interfaces", PARAMETER_NAMES, false, &interfaces},
		{"sources", PARAMETER_NAMES, false, &sources},
		{"handlers", PARAMETER_NAMES, false, &handlers},
	};
	int r;

	if (method_read(client, call, rows, ARRAY_SIZE(rows)) < 0)
		return -EINVAL;
	snprintf(port, sizeof(port), "%lld", (long long)number);
	snprintf(text, sizeof(text), strchr(address, ':') ? "[%s]:%s" : "%s:%s", address, port);
	if (config_group_init(group, name ? name : text) < 0)
		return -ENOMEM;
	r = set_one(client, group, "address", address);
	r = r < 0 ? r : set_one(client, group, "port", port);
	r = r < 0 ? r : set_all(client, group, "interfaces", interfaces);
	r = r < 0 ? r : set_all(client, group, "sources", sources);
	return r < 0 ? r : set_all(client, group, "handlers", handlers);
}

static void fail_join(struct client *client, const struct errors *errors)
{
	json_t *list = json_array();

	for (size_t i = 0; i < errors->count; i++)
		json_array_append_new(list, json_string(errors->lines[i]));
	client_fail(client, "io.mcastd.JoinFailed",
		json_pack("{soss}", "errors", list, "message",
			errors->count ? errors->lines[0] : "out of memory"));
}

static enum call_result call_join(struct client *client, const struct call *call)
{
	const struct control_backend *backend = method_backend(client);
	CLEANUP(config_group_clear) struct config_group group = {0};
	AUTO_ERRORS struct errors errors = {0};
	int r;

	if (read_request(client, call, &group) < 0)
		return CALL_DONE;
	if (backend->check(backend->daemon, &group, &errors)) {
		fail_join(client, &errors);
		return CALL_DONE;
	}
	r = groups_join(backend->groups, &group, backend->handlers);
	if (r == -EEXIST)
		client_fail(client, "io.mcastd.GroupExists",
			json_pack("{ssss}", "group", group.name, "message",
				"a group of this name is there already; give another name, or "
				"leave it first"));
	else if (r < 0)
		fail_join(client, &errors);
	else
		client_reply(client, json_pack("{ss}", "name", group.name));
	backend->changed(backend->daemon);
	return CALL_DONE;
}

const struct method join_method = {.name = "io.mcastd.Join", .privileged = true, .call = call_join};
