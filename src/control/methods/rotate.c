/* Rotate: starts a new file in the handlers that record. */
#include <errno.h>

#include "base/json.h"
#include "control/method.h"

/* Rotates the handler of this name. Answers and returns a negative errno when that is impossible.
 */
static int rotate_one(struct client *client, const char *name)
{
	struct handler *handler = handlers_find(method_backend(client)->handlers, name);
	int r = handler ? handler_rotate(handler) : -ENOENT;

	if (r == 0)
		return 0;
	if (!handler) {
		method_no_such_handler(client, name);
		return r;
	}
	json_put_string(client_begin_error(client, "io.mcastd.NoSuchHandler"), "handler", name);
	client_end_message(client, "the handler \"%s\" does not record to a file", name);
	return r;
}

static void rotate_all(struct handlers *handlers, struct text *text)
{
	for (size_t i = 0; i < handlers_count(handlers); i++)
		if (handler_rotate(handlers_at(handlers, i)) == 0)
			json_put_string(text, NULL, handler_name(handlers_at(handlers, i)));
}

static enum call_result call_rotate(struct client *client, const struct call *call)
{
	const char *name = NULL;
	const struct parameter rows[] = {{"handler", PARAMETER_NAME, false, &name}};
	struct text *text;

	if (method_read(client, call, rows, ARRAY_SIZE(rows)) < 0 ||
		(name && rotate_one(client, name) < 0))
		return CALL_DONE;
	text = client_begin_reply(client);
	json_put_open(text, "handlers", '[');
	if (name)
		json_put_string(text, NULL, name);
	else
		rotate_all(method_backend(client)->handlers, text);
	json_put_close(text, ']');
	client_end(client);
	return CALL_DONE;
}

const struct method rotate_method = {
	.name = "io.mcastd.Rotate", .acts = true, .privileged = true, .call = call_rotate};
