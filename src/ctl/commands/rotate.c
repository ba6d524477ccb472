#include "ctl/command.h"
#include "ctl/json.h"

/* The handlers that begin a new file, one a line. */
static void show(struct writer *writer, const json_t *answer)
{
	const json_t *handlers = json_object_get(answer, "handlers");

	for (size_t i = 0; i < json_array_size(handlers); i++) {
		const char *name = json_string_value(json_array_get(handlers, i));

		if (name)
			writer_line(writer, name);
	}
	if (!json_array_size(handlers))
		writer_line(writer, "no handler records to a file");
}

static int run(struct session *session, const struct arguments *arguments)
{
	AUTO_JSON json_t *parameters = NULL;

	if (arguments->word_count) {
		parameters = json_pack("{s:s}", "handler", arguments->words[0]);
		if (!parameters)
			return session_misuse(session, "the name is not UTF-8");
	}
	return session_show(session, "Rotate", parameters, show);
}

const struct command rotate_command = {
	.name = "rotate",
	.arguments = "[HANDLER]",
	.words_max = 1,
	.help = "Begin a new file in every handler that records, or in this one",
	.run = run,
};
