/* The one table of methods, and dispatch: a message is parsed, and its method called or a named
 * error answered. A new method is one file in methods/ that ends in its NAME_method, and one row
 * here. */
#include <string.h>

#include "base/json.h"
#include "base/users.h"
#include "control/method.h"
#include "control/request.h"

/* Send is the most frequent call, so it is first. */
#define METHODS(ROW)       \
	ROW(send)          \
	ROW(subscribe)     \
	ROW(get_status)    \
	ROW(list_groups)   \
	ROW(list_handlers) \
	ROW(get_stats)     \
	ROW(join)          \
	ROW(leave)         \
	ROW(reload)        \
	ROW(refresh)       \
	ROW(rotate)        \
	ROW(get_info)      \
	ROW(get_interface_description)

#define DECLARE(name) extern const struct method name##_method;
METHODS(DECLARE)

#define POINTER(name) &name##_method,
static const struct method *const methods[] = {METHODS(POINTER)};

static const struct method *find_method(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (!strcmp(methods[i]->name, name))
			return methods[i];
	return NULL;
}

static enum call_result call_method(
	struct client *client, const char *name, const struct call *call)
{
	const struct method *method = find_method(name);
	char user[ACCOUNT_NAME_MAX];

	if (client_has_gone(client) && !(method && method->acts))
		return CALL_DONE;
	if (method && (!method->privileged || client_user(client)->privileged))
		return method->call(client, call);
	if (method) {
		name_user(client_user(client)->uid, user);
		json_put_string(
			client_begin_error(client, "io.mcastd.NotPermitted"), "group", NULL);
		client_end_message(client,
			"only root and the daemon's own user may do this, and not user %s", user);
	} else {
		json_put_string(client_begin_error(client, "org.varlink.service.MethodNotFound"),
			"method", name);
		client_end(client);
	}
	return CALL_DONE;
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
		client_begin_error(client, "io.mcastd.InvalidMessage");
		client_end_message(client, "%s %s", blamed, why);
		return CALL_DONE;
	}
	if (oneway && more) {
		client_begin_error(client, "io.mcastd.InvalidMessage");
		client_end_message(
			client, "oneway asks for no answer and more for several: give one of them");
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
	char why[WHY_MAX];
	json_t *request;

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (methods[i]->quick && methods[i]->quick(client, message, size, &result))
			return result;
	request = request_read(message, size, why);
	if (!request) {
		client_begin_error(client, "io.mcastd.InvalidMessage");
		client_end_message(client, "%s", why);
		return CALL_DONE;
	}
	result = call_request(client, request);
	request_free(request);
	return result;
}
