/* Join: a group until the daemon stops, checked like the groups of the configuration. */
#include <errno.h>
#include <stdio.h>

#include "base/json.h"
#include "control/describe.h"
#include "control/method.h"

/* Sets a key. When its value is wrong, answers and returns a negative errno. */
static int set_one(
	struct client *client, struct config_group *group, const char *key, const char *value)
{
	char why[WHY_MAX] = "out of memory";
	int r = schema_set(&group_schema, group, key, value, why);

	if (r < 0)
		method_invalid(client, key, why);
	return r;
}

/* The same with each string of an array, for a key that is a list. */
static int set_all(
	struct client *client, struct config_group *group, const char *key, const json_t *array)
{
	int r = 0;

	for (size_t i = 0; i < json_array_size(array) && r >= 0; i++)
		r = set_one(client, group, key, json_string_value(json_array_get(array, i)));
	return r;
}

/* Reads the request into a group, whose other keys have their defaults. Otherwise answers, and
 * returns a negative errno. */
static int read_request(struct client *client, const struct call *call, struct config_group *group)
{
	json_t *interfaces = NULL, *sources = NULL, *handlers = NULL;
	const char *address, *name = NULL;
	char port[24], endpoint[ENDPOINT_STRING_MAX];
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
	if (!name)
		name = format_address_port(address, (unsigned)number, endpoint);
	if (config_group_init(group, name) < 0) {
		client_close(client);
		return -ENOMEM;
	}
	r = set_one(client, group, "address", address);
	r = r < 0 ? r : set_one(client, group, "port", port);
	r = r < 0 ? r : set_all(client, group, "interfaces", interfaces);
	r = r < 0 ? r : set_all(client, group, "sources", sources);
	return r < 0 ? r : set_all(client, group, "handlers", handlers);
}

static void fail_join(struct client *client, const struct errors *errors)
{
	method_put_lines(client_begin_error(client, "io.mcastd.JoinFailed"), "errors", errors);
	client_end_message(client, "%s", errors->count ? errors->lines[0] : "out of memory");
}

/* Whether the client may use each group of this address and port: with the new one it could send
 * and receive the same. Otherwise answers. */
static bool may_use_others(struct client *client, const struct config_group *group)
{
	const struct groups *groups = method_backend(client)->groups;

	for (size_t i = 0; i < groups_count(groups); i++) {
		const struct group *other = groups_at(groups, i);

		if (address_equal(&other->config->address, &group->address) &&
			other->config->port == group->port &&
			!(method_permits(client, other, ACCESS_SEND) &&
				method_permits(client, other, ACCESS_RECEIVE)))
			return false;
	}
	return true;
}

static enum call_result call_join(struct client *client, const struct call *call)
{
	const struct control_backend *backend = method_backend(client);
	CLEANUP(config_group_clear) struct config_group group = {0};
	AUTO_ERRORS struct errors errors = {0}, warnings = {0};
	struct text *text;
	int r;

	if (read_request(client, call, &group) < 0)
		return CALL_DONE;
	if (backend->check(backend->daemon, &group, &errors, &warnings)) {
		fail_join(client, &errors);
		return CALL_DONE;
	}
	if (!may_use_others(client, &group))
		return CALL_DONE;
	r = groups_join(backend->groups, &group, backend->handlers);
	if (r == -EBUSY) {
		client_wait_for_groups(client);
		return CALL_RETRY;
	}
	if (r == -EEXIST) {
		json_put_string(
			client_begin_error(client, "io.mcastd.GroupExists"), "group", group.name);
		client_end_message(client,
			"there is a group of this name already; give another name, or leave it "
			"first");
	} else if (r < 0) {
		fail_join(client, &errors);
	} else {
		text = client_begin_reply(client);
		json_put_string(text, "name", group.name);
		describe_memberships(text, groups_find(backend->groups, group.name));
		method_put_lines(text, "warnings", &warnings);
		client_end(client);
	}
	backend->changed(backend->daemon);
	return CALL_DONE;
}

const struct method join_method = {
	.name = "io.mcastd.Join", .acts = true, .privileged = true, .call = call_join};
