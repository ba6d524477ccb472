/* The table of methods, and what comes before and after each call: JSON in, the method, or a named error. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

bool user_is_privileged(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

static const struct method *find_method(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (!strcmp(methods[i]->name, name))
			return methods[i];
	return NULL;
}

void method_invalid(struct client *client, const char *parameter, const char *message)
{
	client_fail(client, "org.varlink.service.InvalidParameter",
		json_pack("{ssss}", "parameter", parameter, "message", message));
}

void method_no_such_group(struct client *client, const char *name)
{
	client_fail(client, "io.mcastd.NoSuchGroup",
		json_pack("{ssso}", "group", name, "message",
			json_sprintf("there is no group \"%s\"; mcastctl groups lists them", name)));
}

/* The parameter that jansson complains of: its messages quote the name of what is missing, wrong or unknown. */
static void quoted_name(const char *complaint, char *name, size_t size)
{
	const char *start = strchr(complaint, '\''), *end = start ? strchr(start + 1, '\'') : NULL;

	snprintf(name, size, "%.*s", end ? (int)(end - start - 1) : 0, end ? start + 1 : "");
}

int method_unpack(struct client *client, const struct call *call, const char *format, ...)
{
	char name[JSON_ERROR_TEXT_LENGTH];
	json_error_t error;
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = json_vunpack_ex(call->parameters, &error, JSON_STRICT, format, arguments);
	va_end(arguments);
	if (r == 0)
		return 0;
	quoted_name(error.text, name, sizeof(name));
	method_invalid(client, *name ? name : error.source, error.text);
	return -1;
}

static void fail_message(struct client *client, const char *message)
{
	client_fail(client, "io.mcastd.InvalidMessage", json_pack("{ss}", "message", message));
}

static enum call_result call_method(struct client *client, const char *name, const struct call *call)
{
	const struct method *method = find_method(name);

	if (!method) {
		client_fail(client, "org.varlink.service.MethodNotFound", json_pack("{ss}", "method", name));
		return CALL_DONE;
	}
	if (method->privileged && !user_is_privileged(client_uid(client))) {
		client_fail(client, "io.mcastd.NotPermitted",
			json_pack("{ss}", "message", "only root and the daemon's own user may do this"));
		return CALL_DONE;
	}
	return method->call(client, call);
}

/* In Varlink a field that is null is as good as absent. */
static void remove_nulls(json_t *object)
{
	const char *name;
	json_t *value;
	void *next;

	json_object_foreach_safe(object, next, name, value)
		if (json_is_null(value))
			json_object_del(object, name);
}

static enum call_result call_request(struct client *client, json_t *request)
{
	json_t *parameters = NULL, *empty = NULL;
	const char *name = NULL;
	struct call call = {0};
	json_error_t error;
	int more = 0, oneway = 0;
	enum call_result result = CALL_DONE;

	remove_nulls(request);
	if (json_unpack_ex(request, &error, JSON_STRICT, "{ss,s?o,s?b,s?b,s?b}", "method", &name, "parameters",
		    &parameters, "more", &more, "oneway", &oneway, "upgrade", &(int){0}) < 0) {
		fail_message(client, error.text);
		return CALL_DONE;
	}
	client_set_oneway(client, oneway);
	if (!parameters)
		parameters = empty = json_object();
	remove_nulls(parameters);
	call = (struct call){.parameters = parameters, .more = more};
	if (json_is_object(parameters))
		result = call_method(client, name, &call);
	else
		fail_message(client, "parameters must be an object");
	json_decref(empty);
	return result;
}

enum call_result method_dispatch(struct client *client, const char *message, size_t size)
{
	enum call_result result = CALL_DONE;
	json_error_t error;
	json_t *request = json_loadb(message, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);

	if (request && json_is_object(request))
		result = call_request(client, request);
	else
		fail_message(client, request ? "a message must be a JSON object" : error.text);
	json_decref(request);
	return result;
}
