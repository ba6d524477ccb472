/* Reload: reads the configuration again, and applies all of it or nothing. */
#include "base/json.h"
#include "control/method.h"

static enum call_result call_reload(struct client *client, const struct call *call)
{
	const struct control_backend *backend = method_backend(client);
	AUTO_CHANGES struct config_changes changes = {0};
	AUTO_ERRORS struct errors errors = {0};
	bool dry_run = false;
	const struct parameter rows[] = {{"dryRun", PARAMETER_FLAG, false, &dry_run}};
	struct text *text;

	if (method_read(client, call, rows, ARRAY_SIZE(rows)) < 0)
		return CALL_DONE;
	if (backend->reload(backend->daemon, dry_run, &changes, &errors) < 0) {
		text = client_begin_error(client, "io.mcastd.ReloadFailed");
		method_put_lines(text, "errors", &errors);
		client_end_message(client, "the configuration has errors, and nothing was changed");
		return CALL_DONE;
	}
	text = client_begin_reply(client);
	method_put_lines(text, "changes", &changes.lines);
	json_put_number(text, "keptGroups", changes.unchanged_groups);
	json_put_number(text, "keptHandlers", changes.unchanged_handlers);
	client_end(client);
	return CALL_DONE;
}

const struct method reload_method = {
	.name = "io.mcastd.Reload", .privileged = true, .call = call_reload};
