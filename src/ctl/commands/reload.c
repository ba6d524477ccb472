#include <stdio.h>

#include "ctl/command.h"
#include "ctl/json.h"

enum { RELOAD_DRY_RUN };

static const struct option_row options[] = {
	[RELOAD_DRY_RUN] = {"dry-run", 0, OPTION_FLAG, NULL,
		"Show what would change, and change nothing"},
	{0},
};

static void show(struct writer *writer, const json_t *answer)
{
	const json_t *changes = json_object_get(answer, "changes");
	char kept[80];

	for (size_t i = 0; i < json_array_size(changes); i++) {
		const char *line = json_string_value(json_array_get(changes, i));

		if (line)
			writer_line(writer, line);
	}
	if (!json_array_size(changes))
		writer_line(writer, "no changes");
	snprintf(kept, sizeof(kept), "kept: groups %lld, handlers %lld",
		(long long)json_integer_value(json_object_get(answer, "keptGroups")),
		(long long)json_integer_value(json_object_get(answer, "keptHandlers")));
	writer_line(writer, kept);
}

static int run(struct session *session, const struct arguments *arguments)
{
	AUTO_JSON json_t *parameters = NULL;

	if (arguments->options[RELOAD_DRY_RUN].given)
		parameters = json_pack("{s:b}", "dryRun", 1);
	return session_show(session, "Reload", parameters, show);
}

const struct command reload_command = {
	.name = "reload",
	.arguments = "",
	.help = "Read the configuration again, and print what changes",
	.options = options,
	.run = run,
};
