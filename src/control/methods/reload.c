/* Reload: reads the configuration again, and applies all of it or nothing. The answer comes when it
 * is done. */
#include "base/json.h"
#include "control/method.h"

struct reload {
	struct reload_request request;
	struct client_pending pending;
	struct client *client; /* NULL: it has gone, and the reload is done all the same */
};

static void on_gone(struct client_pending *pending)
{
	container_of(pending, struct reload, pending)->client = NULL;
}

static void answer(struct client *client, int r, const struct config_changes *changes,
	const struct errors *errors)
{
	struct text *text;

	if (r < 0) {
		text = client_begin_error(client, "io.mcastd.ReloadFailed");
		method_put_lines(text, "errors", errors);
		client_end_message(client,
			r == -ECANCELED ? "the daemon is stopping"
					: "the configuration has errors, and nothing was changed");
		return;
	}
	text = client_begin_reply(client);
	method_put_lines(text, "changes", &changes->lines);
	json_put_number(text, "keptGroups", changes->unchanged_groups);
	json_put_number(text, "keptHandlers", changes->unchanged_handlers);
	client_end(client);
}

static void on_done(struct reload_request *request, int r, const struct config_changes *changes,
	const struct errors *errors)
{
	struct reload *reload = container_of(request, struct reload, request);

	if (reload->client) {
		answer(reload->client, r, changes, errors);
		client_resume(reload->client);
	}
	free(reload);
}

static enum call_result call_reload(struct client *client, const struct call *call)
{
	const struct control_backend *backend = method_backend(client);
	bool dry_run = false;
	const struct parameter rows[] = {{"dryRun", PARAMETER_FLAG, false, &dry_run}};
	struct reload *reload;

	if (method_read(client, call, rows, ARRAY_SIZE(rows)) < 0)
		return CALL_DONE;
	reload = calloc(1, sizeof(*reload));
	if (!reload) {
		client_close(client);
		return CALL_DONE;
	}
	reload->request = (struct reload_request){.dry_run = dry_run, .done = on_done};
	reload->pending.gone = on_gone;
	reload->client = client;
	client_defer(client, &reload->pending);
	backend->reload(backend->daemon, &reload->request);
	return CALL_DONE;
}

const struct method reload_method = {
	.name = "io.mcastd.Reload", .acts = true, .privileged = true, .call = call_reload};
