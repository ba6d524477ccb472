/* The table of methods, and what comes before and after each call: JSON in, the method, or a named
 * error. */
#include <string.h>

#include "base/escape.h"
#include "control/method.h"

extern const struct method get_info_method;
extern const struct method get_interface_description_method;
extern const struct method get_stats_method;
extern const struct method get_status_method;
extern const struct method join_method;
extern const struct method leave_method;
extern const struct method list_groups_method;
extern const struct method list_handlers_method;
extern const struct method reload_method;
extern const struct method rotate_method;
extern const struct method send_method;
extern const struct method subscribe_method;

static const struct method *const methods[] = {
	&send_method, /* first, as it is called most */
	&subscribe_method,
	&get_status_method,
	&list_groups_method,
	&list_handlers_method,
	&get_stats_method,
	&join_method,
	&leave_method,
	&reload_method,
	&rotate_method,
	&get_info_method,
	&get_interface_description_method,
};

static const struct method *find_method(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (!strcmp(methods[i]->name, name))
			return methods[i];
	return NULL;
}

json_t *method_message(const char *message)
{
	json_t *string = json_string(message);
	AUTO_TEXT struct text escaped = {0};

	if (string)
		return string;
	text_append_escaped(&escaped, message, strlen(message));
	return json_string(text_string(&escaped));
}

void method_invalid(struct client *client, const char *parameter, const char *message)
{
	client_fail(client, "org.varlink.service.InvalidParameter",
		json_pack("{ssso}", "parameter", parameter, "message", method_message(message)));
}

void method_no_such_group(struct client *client, const char *name)
{
	client_fail(client, "io.mcastd.NoSuchGroup",
		json_pack("{ssso}", "group", name, "message",
			json_sprintf(
				"there is no group \"%s\"; mcastctl groups lists them", name)));
}

int method_read(
	struct client *client, const struct call *call, const struct parameter *rows, size_t count)
{
	const char *name = NULL;
	char why[WHY_MAX];
	int r = parameters_read(call->parameters, rows, count, &name, why);

	if (r < 0)
		method_invalid(client, name, why);
	return r;
}

static void fail_message(struct client *client, const char *message)
{
	client_fail(client, "io.mcastd.InvalidMessage", json_pack("{ss}", "message", message));
}

static enum call_result call_method(
	struct client *client, const char *name, const struct call *call)
{
	const struct method *method = find_method(name);

	if (!method) {
		client_fail(client, "org.varlink.service.MethodNotFound",
			json_pack("{ss}", "method", name));
		return CALL_DONE;
	}
	if (method->privileged && !client_user(client)->privileged) {
		client_fail(client, "io.mcastd.NotPermitted",
			json_pack("{ss}", "message",
				"only root and the daemon's own user may do this"));
		return CALL_DONE;
	}
	return method->call(client, call);
}

static enum call_result call_request(struct client *client, const json_t *request)
{
	json_t *parameters = NULL, *empty = NULL;
	bool more = false, oneway = false, upgrade = false;
	const char *name = NULL, *blamed = NULL;
	const struct parameter rows[] = {
		{"method", PARAMETER_NAME, true, &name},
		{"parameters", PARAMETER_OBJECT, false, &parameters},
		{"more", PARAMETER_FLAG, false, &more},
		{"oneway", PARAMETER_FLAG, false, &oneway},
		{"upgrade", PARAMETER_FLAG, false, &upgrade},
	};
	enum call_result result;
	char why[WHY_MAX];

	if (parameters_read(request, rows, ARRAY_SIZE(rows), &blamed, why) < 0) {
		client_fail(client, "io.mcastd.InvalidMessage",
			json_pack("{so}", "message", json_sprintf("%s %s", blamed, why)));
		return CALL_DONE;
	}
	if (oneway && more) {
		fail_message(
			client, "oneway asks for no answer and more for many: give one of them");
		return CALL_DONE;
	}
	client_set_oneway(client, oneway);
	if (!parameters)
		parameters = empty = json_object();
	result = call_method(client, name, &(struct call){.parameters = parameters, .more = more});
	json_decref(empty);
	return result;
}

enum call_result method_dispatch(struct client *client, const char *message, size_t size)
{
	enum call_result result = CALL_DONE;
	json_error_t error;
	json_t *request;

	if (send_quickly(client, message, size, &result))
		return result;
	request = json_loadb(message, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (request && json_is_object(request))
		result = call_request(client, request);
	else
		fail_message(client, request ? "a message must be a JSON object" : error.text);
	json_decref(request);
	return result;
}
