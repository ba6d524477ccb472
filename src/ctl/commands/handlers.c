#include "ctl/command.h"
#include "ctl/handler_rows.h"

/* What shows losses comes first; what is mostly empty, last. */
static const struct column columns[] = {
	{"HANDLER", "name", COLUMN_TEXT, 0, ALARM_NONE},
	{"TYPE", "type", COLUMN_TEXT, 2, ALARM_NONE},
	{"RECEIVED", "received", COLUMN_NUMBER, 0, ALARM_NONE},
	{"FILTERED", "filtered", COLUMN_NUMBER, 3, ALARM_NONE},
	{"DELIVERED", "delivered", COLUMN_NUMBER, 0, ALARM_NONE},
	{"DROPPED", "dropped", COLUMN_SUM, 0, ALARM_NONE},
	{"LOST", "lost", COLUMN_TOTAL, 0, ALARM_LOST},
	{"QUEUED", "queued", COLUMN_NUMBER, 0, ALARM_NONE},
	{"PEAK", "queuedMax", COLUMN_COUNT, 5, ALARM_NONE},
	{"OLDEST", "oldestQueued", COLUMN_WAIT, 4, ALARM_NONE},
	{"WINDOW", "window", COLUMN_COUNT, 4, ALARM_NONE},
	{"GROUPS", "groups", COLUMN_TEXT, 6, ALARM_NONE},
	{"REASONS", "dropped", COLUMN_REMARK, 1, ALARM_LOST},
	{"COUNTERS", "counters", COLUMN_REMARK, 7, ALARM_NONE},
	{"ERROR", "error", COLUMN_REMARK, 0, ALARM_RED},
};

enum { HANDLERS_WIDE };

static const struct option_row options[] = {
	[HANDLERS_WIDE] = WIDE_OPTION,
	{0},
};

static void show(struct writer *writer, const json_t *answer)
{
	json_t *rows = handler_rows(json_object_get(answer, "handlers"), true);

	writer_table(writer, rows, columns, ARRAY_SIZE(columns), "no handlers");
	json_decref(rows);
}

static int run(struct session *session, const struct arguments *arguments)
{
	session->writer.is_wide = arguments->options[HANDLERS_WIDE].given;
	if (arguments->word_count)
		session_put_names(session, "handlers", arguments->words, arguments->word_count);
	return session_show(session, "ListHandlers", show);
}

const struct command handlers_command = {
	.name = "handlers",
	.arguments = "[HANDLER...]",
	.words_max = SIZE_MAX,
	.help = "List the handlers, their groups, and what became of the datagrams",
	.options = options,
	.run = run,
};
