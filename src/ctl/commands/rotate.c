#include "ctl/command.h"

static void show(struct writer *writer, const json_t *answer)
{
	writer_lines(writer, json_object_get(answer, "handlers"), "no handler records to a file");
}

static int run(struct session *session, const struct arguments *arguments)
{
	session_put_name(session, "handler", arguments->word_count ? arguments->words[0] : NULL);
	return session_show(session, "Rotate", show);
}

const struct command rotate_command = {
	.name = "rotate",
	.arguments = "[HANDLER]",
	.words_max = 1,
	.help = "Start a new file in every handler that records, or in HANDLER only",
	.run = run,
};
