/* Reload: the configuration again, all of it or nothing. */
#include "control/method.h"

static json_t *describe_lines(const struct errors *lines)
{
	json_t *array = json_array();

	for (size_t i = 0; i < lines->count; i++)
		json_array_append_new(array, json_string(lines->lines[i]));
	if (lines->omitted)
		json_array_append_new(array, json_sprintf("and %zu more", lines->omitted));
	return array;
}

static enum call_result call_reload(struct client *client, const struct call *call)
{
	const struct control_backend *backend = method_backend(client);
	AUTO_CHANGES struct config_changes changes = {0};
	AUTO_ERRORS struct errors errors = {0};
	bool dry_run = false;
	const struct parameter rows[] = {{"dryRun", PARAMETER_FLAG, false, &dry_run}};

	if (method_read(client, call, rows, ARRAY_SIZE(rows)) < 0)
		return CALL_DONE;
	if (backend->reload(backend->daemon, dry_run, &changes, &errors) < 0)
		client_fail(client, "io.mcastd.ReloadFailed",
			json_pack("{soss}", "errors", describe_lines(&errors), "message",
				"the configuration has errors, and nothing was changed"));
	else
		client_reply(
			client, json_pack("{sosIsI}", "changes", describe_lines(&changes.lines),
					"keptGroups", (json_int_t)changes.kept_groups,
					"keptHandlers", (json_int_t)changes.kept_handlers));
	return CALL_DONE;
}

const struct method reload_method = {
	.name = "io.mcastd.Reload", .privileged = true, .call = call_reload};
