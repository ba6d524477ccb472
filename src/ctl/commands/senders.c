#include "base/json.h"
#include "ctl/command.h"
#include "ctl/json.h"
#include "net/address.h"

/* A line for each stream of a sender. */
static const struct column columns[] = {
	{"GROUP", "group", COLUMN_TEXT, 0, ALARM_NONE},
	{"SENDER", "sender", COLUMN_TEXT, 0, ALARM_NONE},
	{"INTERFACE", "interface", COLUMN_TEXT, 3, ALARM_NONE},
	{"STREAM", "stream", COLUMN_REMARK, 2, ALARM_NONE},
	{"RECEIVED", "received", COLUMN_NUMBER, 0, ALARM_NONE},
	{"LOST", "lost", COLUMN_NUMBER, 0, ALARM_RED},
	{"OPEN", "open", COLUMN_COUNT, 4, ALARM_NONE},
	{"REORDERED", "reordered", COLUMN_COUNT, 1, ALARM_YELLOW},
	{"DUPLICATES", "duplicates", COLUMN_COUNT, 1, ALARM_YELLOW},
	{"LATE", "late", COLUMN_COUNT, 4, ALARM_YELLOW},
	{"UNNUMBERED", "unnumbered", COLUMN_COUNT, 1, ALARM_YELLOW},
	{"RESTARTS", "restarts", COLUMN_COUNT, 5, ALARM_YELLOW},
	{"BREAKS", "discontinuities", COLUMN_COUNT, 1, ALARM_RED},
	{"PAUSE", "longestPause", COLUMN_WAIT, 2, ALARM_NONE},
	{"JITTER", "jitter", COLUMN_WAIT, 3, ALARM_NONE},
	{"LAST", "lastReceived", COLUMN_AGE, 1, ALARM_NONE},
};

enum { SENDERS_WIDE };

static const struct option_row options[] = {
	[SENDERS_WIDE] = WIDE_OPTION,
	{0},
};

static json_t *new_sender(const json_t *sender)
{
	const char *source = json_string_value(json_object_get(sender, "source"));
	unsigned port = (unsigned)json_integer_value(json_object_get(sender, "sourcePort"));
	char string[ENDPOINT_STRING_MAX];

	return source ? json_string(format_address_port(source, port, string)) : json_null();
}

static void append_group(json_t *rows, const json_t *group)
{
	const json_t *senders = json_object_get(group, "senders");

	for (size_t i = 0; i < json_array_size(senders); i++) {
		const json_t *sender = json_array_get(senders, i);
		json_t *row = json_copy((json_t *)sender);

		json_object_set(row, "group", json_object_get(group, "name"));
		json_object_set_new(row, "sender", new_sender(sender));
		if (json_is_object(json_object_get(sender, "sequence")))
			json_object_update_missing(row, json_object_get(sender, "sequence"));
		json_array_append_new(rows, row);
	}
}

/* Their sums where senders are forgotten, or where this user may not see them. */
static void append_sums(json_t *rows, const json_t *group)
{
	const json_t *sums = json_object_get(group, "sequence");
	json_t *row;

	if (!json_is_object(sums))
		return;
	row = json_copy((json_t *)sums);
	json_object_set(row, "group", json_object_get(group, "name"));
	json_object_set_new(row, "sender", json_string("(all)"));
	json_object_set(row, "received", json_object_get(group, "received"));
	json_object_set(row, "lastReceived", json_object_get(group, "lastReceived"));
	json_array_append_new(rows, row);
}

static void show(struct writer *writer, const json_t *answer)
{
	const json_t *groups = json_object_get(answer, "groups");
	AUTO_JSON json_t *rows = json_array();
	bool are_hidden = false;

	for (size_t i = 0; i < json_array_size(groups); i++) {
		const json_t *group = json_array_get(groups, i);

		append_group(rows, group);
		append_sums(rows, group);
		are_hidden |= json_is_null(json_object_get(group, "senders"));
	}
	writer_table(writer, rows, columns, ARRAY_SIZE(columns),
		are_hidden ? "no senders that you may see: they are for whoever may receive the "
			     "group"
			   : "no senders yet: they are kept from now on, ask again");
}

static int run(struct session *session, const struct arguments *arguments)
{
	session->writer.is_wide = arguments->options[SENDERS_WIDE].given;
	if (arguments->word_count)
		session_put_names(session, "groups", arguments->words, arguments->word_count);
	json_put_flag(&session->parameters, "senders", true);
	return session_show(session, "ListGroups", show);
}

const struct command senders_command = {
	.name = "senders",
	.arguments = "[GROUP...]",
	.words_max = SIZE_MAX,
	.help = "List who sends to the groups, and with sequence what never came",
	.options = options,
	.run = run,
};
