#include "ctl/command.h"

static const struct column columns[] = {
	{"HANDLER", "name", COLUMN_TEXT},
	{"TYPE", "type", COLUMN_TEXT},
	{"RECEIVED", "received", COLUMN_NUMBER},
	{"DROPPED", "dropped", COLUMN_SUM},
	{"QUEUED", "queued", COLUMN_NUMBER},
	{"GROUPS", "groups", COLUMN_TEXT},
};

static void show(struct writer *writer, const json_t *answer)
{
	writer_table(writer, json_object_get(answer, "handlers"), columns, ARRAY_SIZE(columns),
		"no handlers");
}

static int run(struct session *session, const struct arguments *arguments)
{
	(void)arguments;
	return session_show(session, "ListHandlers", NULL, show);
}

const struct command handlers_command = {
	.name = "handlers",
	.arguments = "",
	.help = "List the handlers, and which groups they take from",
	.run = run,
};
