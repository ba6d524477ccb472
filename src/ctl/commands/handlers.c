#include "ctl/command.h"
#include "ctl/handler_rows.h"

/* What shows losses comes first; what is mostly empty, last. */
static const struct column columns[] = {
	{"HANDLER", "name", COLUMN_TEXT},
	{"TYPE", "type", COLUMN_TEXT},
	{"RECEIVED", "received", COLUMN_NUMBER},
	{"FILTERED", "filtered", COLUMN_NUMBER},
	{"DELIVERED", "delivered", COLUMN_NUMBER},
	{"DROPPED", "dropped", COLUMN_SUM},
	{"QUEUED", "queued", COLUMN_NUMBER},
	{"PEAK", "queuedMax", COLUMN_COUNT},
	{"OLDEST", "oldestQueued", COLUMN_WAIT},
	{"WINDOW", "window", COLUMN_COUNT},
	{"GROUPS", "groups", COLUMN_TEXT},
	{"DROPPED BECAUSE", "dropped", COLUMN_REMARK},
	{"COUNTERS", "counters", COLUMN_REMARK},
	{"ERROR", "error", COLUMN_REMARK},
};

static void show(struct writer *writer, const json_t *answer)
{
	json_t *rows = handler_rows(json_object_get(answer, "handlers"), true);

	writer_table(writer, rows, columns, ARRAY_SIZE(columns), "no handlers");
	json_decref(rows);
}

static int run(struct session *session, const struct arguments *arguments)
{
	(void)arguments;
	return session_show(session, "ListHandlers", show);
}

const struct command handlers_command = {
	.name = "handlers",
	.arguments = "",
	.help = "List the handlers, their groups, and what became of the datagrams",
	.run = run,
};
