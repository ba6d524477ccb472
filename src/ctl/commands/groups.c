#include "base/sums.h"
#include "ctl/command.h"
#include "ctl/json.h"
#include "net/address.h"

/* One line per membership; the group's own values stand on its first line only. What shows
 * losses comes first; what is mostly empty, last. */
static const struct column columns[] = {
	{"GROUP", "name", COLUMN_TEXT, 0, ALARM_NONE},
	{"ADDRESS", "target", COLUMN_TEXT, 3, ALARM_NONE},
	{"INTERFACE", "interface", COLUMN_TEXT, 0, ALARM_NONE},
	{"STATE", "state", COLUMN_TEXT, 0, ALARM_STATE},
	{"RECEIVED", "received", COLUMN_NUMBER, 0, ALARM_NONE},
	{"DROPPED", "dropped", COLUMN_NUMBER, 0, ALARM_RED},
	{"LOST", "lost", COLUMN_TOTAL, 0, ALARM_LOST},
	{"TRUNCATED", "truncated", COLUMN_COUNT, 4, ALARM_RED},
	{"REFUSED", "refused", COLUMN_COUNT, 6, ALARM_NONE},
	{"DUPLICATES", "duplicates", COLUMN_COUNT, 6, ALARM_NONE},
	{"SENT", "sent", COLUMN_COUNT, 2, ALARM_NONE},
	{"UNSENT", "notSent", COLUMN_COUNT, 1, ALARM_RED},
	{"REPLIES", "replies", COLUMN_COUNT, 6, ALARM_NONE},
	{"LAST", "lastReceived", COLUMN_AGE, 1, ALARM_NONE},
	{"SILENT", "silence", COLUMN_REMARK, 1, ALARM_YELLOW},
	{"BUFFER", "receiveBuffer", COLUMN_SIZE, 9, ALARM_NONE},
	{"SINCE", "since", COLUMN_AGE, 8, ALARM_NONE},
	{"HANDLERS", "handlers", COLUMN_TEXT, 5, ALARM_NONE},
	{"SOURCES", "sources", COLUMN_REMARK, 7, ALARM_NONE},
	{"ERROR", "error", COLUMN_REMARK, 0, ALARM_RED},
	{"SENDING", "sending", COLUMN_REMARK, 1, ALARM_RED},
	{"SAME-NETWORK", "sameNetworkTwice", COLUMN_REMARK, 4, ALARM_YELLOW},
};

enum { GROUPS_WIDE };

static const struct option_row options[] = {
	[GROUPS_WIDE] = WIDE_OPTION,
	{0},
};

static json_t *new_target(const json_t *group)
{
	const char *address = json_string_value(json_object_get(group, "address"));
	unsigned port = (unsigned)json_integer_value(json_object_get(group, "port"));
	char string[ENDPOINT_STRING_MAX];

	return address && *address ? json_string(format_address_port(address, port, string))
				   : json_null();
}

static json_int_t kernel_dropped(const json_t *object)
{
	return json_integer_value(json_object_get(object, "kernelDropped"));
}

/* Adds a line to the table: row is its start, or NULL, and is taken over. dropped is what the
 * kernel dropped on this membership. */
static void append_line(json_t *rows, json_t *row, const json_t *membership, json_int_t dropped)
{
	if (!row)
		row = json_object();
	json_object_update_missing(row, (json_t *)membership);
	json_object_set_new(row, "dropped", json_integer(dropped));
	json_array_append_new(rows, row);
}

/* Why nothing can be sent, where the line does not say it as why nothing is received. */
static void add_sending(json_t *rows, size_t first, const json_t *group)
{
	const json_t *outgoing = json_object_get(group, "outgoing");

	for (size_t i = 0; i < json_array_size(outgoing); i++) {
		const json_t *way = json_array_get(outgoing, i);
		json_t *error = json_object_get(way, "error"), *row = json_array_get(rows, first);

		for (size_t j = first; j < json_array_size(rows); j++)
			if (json_equal(json_object_get(json_array_get(rows, j), "interface"),
				    json_object_get(way, "interface")))
				row = json_array_get(rows, j);
		if (json_is_string(error) && !json_is_string(json_object_get(row, "error")))
			json_object_set(row, "sending", error);
	}
}

/* The lines add up to the group's drops: those of interfaces that are gone have a line, too. */
static void append_group(json_t *rows, const json_t *group)
{
	const json_t *memberships = json_object_get(group, "memberships");
	int64_t rest = kernel_dropped(group);
	size_t first = json_array_size(rows);
	json_t *row = json_copy((json_t *)group);

	json_object_set_new(row, "target", new_target(group));
	if (json_is_true(json_object_get(group, "silent")))
		json_object_set_new(row, "silence", json_string("yes"));
	for (size_t i = 0; i < json_array_size(memberships); i++) {
		const json_t *membership = json_array_get(memberships, i);

		append_line(rows, take(row), membership, kernel_dropped(membership));
		sum_subtract(&rest, kernel_dropped(membership));
	}
	if (row || rest > 0) {
		AUTO_JSON json_t *gone = json_pack("{s:s}", "state", row ? "-" : "gone");

		append_line(rows, take(row), gone, rest);
	}
	add_sending(rows, first, group);
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
	session->writer.is_wide = arguments->options[GROUPS_WIDE].given;
	if (arguments->word_count)
		session_put_names(session, "groups", arguments->words, arguments->word_count);
	return session_show(session, "ListGroups", show);
}

const struct command groups_command = {
	.name = "groups",
	.arguments = "[GROUP...]",
	.words_max = SIZE_MAX,
	.help = "List the groups, and their membership on each interface",
	.options = options,
	.run = run,
};
