#include <string.h>

#include "ctl/command.h"
#include "ctl/json.h"

/* A line a membership; what belongs to the group stands on its first line only. */
static const struct column columns[] = {
	{"GROUP", "name", COLUMN_TEXT},
	{"ADDRESS", "target", COLUMN_TEXT},
	{"SOURCES", "sources", COLUMN_REMARK},
	{"HANDLERS", "handlers", COLUMN_TEXT},
	{"LAST RECEIVED", "lastReceived", COLUMN_AGE},
	{"INTERFACE", "interface", COLUMN_TEXT},
	{"STATE", "state", COLUMN_TEXT},
	{"SINCE", "since", COLUMN_AGE},
	{"BUFFER", "receiveBuffer", COLUMN_SIZE},
	{"ERROR", "error", COLUMN_REMARK},
};

static json_t *new_target(const json_t *group)
{
	const char *address = json_string_value(json_object_get(group, "address"));
	json_int_t port = json_integer_value(json_object_get(group, "port"));

	if (!address)
		return json_null();
	return json_sprintf(
		strchr(address, ':') ? "[%s]:%lld" : "%s:%lld", address, (long long)port);
}

static void append_group(json_t *rows, const json_t *group)
{
	const json_t *memberships = json_object_get(group, "memberships");
	json_t *row = json_copy((json_t *)group);

	json_object_set_new(row, "target", new_target(group));
	for (size_t i = 0; i < json_array_size(memberships); i++) {
		json_object_update_missing(row, json_array_get(memberships, i));
		json_array_append_new(rows, row);
		row = json_object();
	}
	if (!json_array_size(memberships))
		json_array_append(rows, row);
	json_decref(row);
}

static void show(struct writer *writer, const json_t *answer)
{
	const json_t *groups = json_object_get(answer, "groups");
	AUTO_JSON json_t *rows = json_array();

	for (size_t i = 0; i < json_array_size(groups); i++)
		append_group(rows, json_array_get(groups, i));
	writer_table(writer, rows, columns, ARRAY_SIZE(columns), "no groups");
}

static int run(struct session *session, const struct arguments *arguments)
{
	(void)arguments;
	return session_show(session, "ListGroups", NULL, show);
}

const struct command groups_command = {
	.name = "groups",
	.arguments = "",
	.help = "List the groups, and how each interface has joined them",
	.run = run,
};
