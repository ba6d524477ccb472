#include "ctl/command.h"

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

/* A row for an interface of a relay, below that of the handler. */
static void append_interface(json_t *rows, const json_t *interface)
{
	const char *name = json_string_value(json_object_get(interface, "interface"));
	json_t *row = json_copy((json_t *)interface);

	json_object_set_new(row, "name", json_sprintf("  %s", name ? name : "(gone)"));
	json_array_append_new(rows, row);
}

static void show(struct writer *writer, const json_t *answer)
{
	const json_t *handlers = json_object_get(answer, "handlers");
	json_t *rows = json_array();

	for (size_t i = 0; i < json_array_size(handlers); i++) {
		json_t *handler = json_array_get(handlers, i);
		const json_t *interfaces = json_object_get(handler, "interfaces");

		json_array_append(rows, handler);
		for (size_t j = 0; j < json_array_size(interfaces); j++)
			append_interface(rows, json_array_get(interfaces, j));
	}
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
