/* Rotate: a new file, in the handlers that record. */
#include <errno.h>

#include "control/method.h"

static void no_such_handler(struct client *client, const char *name, const char *format)
{
	client_fail(client, "io.mcastd.NoSuchHandler",
		json_pack("{ssso}", "handler", name, "message", json_sprintf(format, name)));
}

static enum call_result rotate_one(struct client *client, const char *name)
{
	struct handler *handler = handlers_find(method_backend(client)->handlers, name);

	if (!handler)
		no_such_handler(
			client, name, "there is no handler \"%s\"; mcastctl handlers lists them");
	else if (handler_rotate(handler) == -EOPNOTSUPP)
		no_such_handler(client, name, "the handler \"%s\" does not record to a file");
	else
		client_reply(client, json_pack("{s[s]}", "handlers", name));
	return CALL_DONE;
}

static enum call_result call_rotate(struct client *client, const struct call *call)
{
	struct handlers *handlers = method_backend(client)->handlers;
	const char *name = NULL;
	const struct parameter rows[] = {{"handler", PARAMETER_NAME, false, &name}};
	json_t *rotated;

	if (method_read(client, call, rows, ARRAY_SIZE(rows)) < 0)
		return CALL_DONE;
	if (name)
		return rotate_one(client, name);
	rotated = json_array();
	for (size_t i = 0; i < handlers_count(handlers); i++)
		if (handler_rotate(handlers_at(handlers, i)) == 0)
			json_array_append_new(
				rotated, json_string(handler_name(handlers_at(handlers, i))));
	client_reply(client, json_pack("{so}", "handlers", rotated));
	return CALL_DONE;
}

const struct method rotate_method = {
	.name = "io.mcastd.Rotate", .privileged = true, .call = call_rotate};
