#include "base/json.h"
#include "ctl/command.h"

enum { RELOAD_DRY_RUN };

static const struct option_row options[] = {
	[RELOAD_DRY_RUN] = {"dry-run", 0, OPTION_FLAG, NULL,
		"Show what would change, and change nothing"},
	{0},
};

static void show(struct writer *writer, const json_t *answer)
{
	char unchanged[80];

	writer_lines(writer, json_object_get(answer, "changes"), "no changes");
	snprintf(unchanged, sizeof(unchanged), "kept: groups %lld, handlers %lld",
		json_integer_value(json_object_get(answer, "keptGroups")),
		json_integer_value(json_object_get(answer, "keptHandlers")));
	writer_line(writer, unchanged);
}

static int run(struct session *session, const struct arguments *arguments)
{
	if (arguments->options[RELOAD_DRY_RUN].given) {
		json_put_member(&session->parameters, "dryRun");
		text_append_string(&session->parameters, "true");
	}
	return session_show(session, "Reload", show);
}

const struct command reload_command = {
	.name = "reload",
	.arguments = "",
	.help = "Read the configuration again, and print what changes",
	.options = options,
	.run = run,
};
