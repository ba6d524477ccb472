#include "ctl/command.h"
#include "ctl/json.h"

static const struct column columns[] = {
	{NULL, "name", COLUMN_TEXT, 0, ALARM_NONE},
	{NULL, "value", COLUMN_TEXT, 0, ALARM_NONE},
	{NULL, "age", COLUMN_AGE, 0, ALARM_NONE},
};

static const char *const keys[] = {"version", "pid", "started", "configuration", "groups",
	"handlers", "memberships", "connections", "subscribers"};

/* A daemon of an earlier version does not say how many fail. */
static json_t *new_handlers(const json_t *answer)
{
	json_int_t count, failing = 0;

	if (json_unpack((json_t *)answer, "{s:I, s?:I}", "handlers", &count, "handlersFailing",
		    &failing) < 0)
		return NULL;
	return failing ? json_sprintf("%lld, %lld failing: mcastctl handlers has the reasons",
				 count, failing)
		       : json_integer(count);
}

/* What is shown of a key; NULL: nothing. A new reference. */
static json_t *new_value(const json_t *answer, const char *key)
{
	json_t *value = json_object_get(answer, key);
	json_int_t joined, waiting, failed;

	if (!strcmp(key, "handlers"))
		return new_handlers(answer);
	if (json_unpack(value, "{s:I, s:I, s:I}", "joined", &joined, "waiting", &waiting, "failed",
		    &failed) == 0)
		return json_sprintf(
			"%lld joined, %lld waiting, %lld failed", joined, waiting, failed);
	return json_incref(value);
}

static void show(struct writer *writer, const json_t *answer)
{
	AUTO_JSON json_t *rows = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		json_t *value = new_value(answer, keys[i]);
		json_t *age = strcmp(keys[i], "started") ? NULL : value;

		if (value)
			json_array_append_new(rows, json_pack("{s:s, s:o, s:O*}", "name", keys[i],
							    "value", value, "age", age));
	}
	writer_table(writer, rows, columns, ARRAY_SIZE(columns), "nothing");
}

static int run(struct session *session, const struct arguments *arguments)
{
	(void)arguments;
	return session_show(session, "GetStatus", show);
}

const struct command status_command = {
	.name = "status",
	.arguments = "",
	.help = "Show the daemon: version, start, number of groups and handlers",
	.run = run,
};
