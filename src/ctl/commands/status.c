#include "ctl/command.h"
#include "ctl/json.h"

static const struct column columns[] = {
	{NULL, "name", COLUMN_TEXT},
	{NULL, "value", COLUMN_TEXT},
	{NULL, "age", COLUMN_AGE},
};

static void append_row(json_t *rows, const char *name, const json_t *value)
{
	if (value)
		json_array_append_new(rows, json_pack("{s:s, s:O}", "name", name, "value", value));
}

static void append_started(json_t *rows, const json_t *started)
{
	if (started)
		json_array_append_new(rows, json_pack("{s:s, s:O, s:O}", "name", "started", "value",
						    started, "age", started));
}

static void append_memberships(json_t *rows, const json_t *memberships)
{
	json_int_t joined, waiting, failed;

	if (json_unpack((json_t *)memberships, "{s:I, s:I, s:I}", "joined", &joined, "waiting",
		    &waiting, "failed", &failed) < 0)
		return;
	json_array_append_new(
		rows, json_pack("{s:s, s:o}", "name", "memberships", "value",
			      json_sprintf("%lld joined, %lld waiting, %lld failed",
				      (long long)joined, (long long)waiting, (long long)failed)));
}

static void show(struct writer *writer, const json_t *answer)
{
	AUTO_JSON json_t *rows = json_array();

	append_row(rows, "version", json_object_get(answer, "version"));
	append_row(rows, "pid", json_object_get(answer, "pid"));
	append_started(rows, json_object_get(answer, "started"));
	append_row(rows, "configuration", json_object_get(answer, "configuration"));
	append_row(rows, "groups", json_object_get(answer, "groups"));
	append_row(rows, "handlers", json_object_get(answer, "handlers"));
	append_memberships(rows, json_object_get(answer, "memberships"));
	append_row(rows, "connections", json_object_get(answer, "connections"));
	append_row(rows, "subscribers", json_object_get(answer, "subscribers"));
	writer_table(writer, rows, columns, ARRAY_SIZE(columns), "nothing");
}

static int run(struct session *session, const struct arguments *arguments)
{
	(void)arguments;
	return session_show(session, "GetStatus", NULL, show);
}

const struct command status_command = {
	.name = "status",
	.arguments = "",
	.help = "Show the daemon itself: version, since when, how many of what",
	.run = run,
};
