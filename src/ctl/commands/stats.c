#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/sums.h"
#include "ctl/command.h"
#include "ctl/handler_rows.h"

enum { STATS_CHECK, STATS_WIDE };

static const struct option_row options[] = {
	[STATS_CHECK] = {"check", 0, OPTION_FLAG, NULL,
		"Only check that every datagram is accounted for; exit 1 if not"},
	[STATS_WIDE] = WIDE_OPTION,
	{0},
};

static const struct column group_columns[] = {
	{"GROUP", "name", COLUMN_TEXT, 0, ALARM_NONE},
	{"RECEIVED", "received", COLUMN_NUMBER, 0, ALARM_NONE},
	{"BYTES-IN", "receivedBytes", COLUMN_SIZE, 1, ALARM_NONE},
	{"TRUNCATED", "truncated", COLUMN_COUNT, 2, ALARM_RED},
	{"DROPPED", "kernelDropped", COLUMN_NUMBER, 0, ALARM_RED},
	{"LOST", "lost", COLUMN_TOTAL, 0, ALARM_LOST},
	{"SENT", "sent", COLUMN_COUNT, 0, ALARM_NONE},
	{"BYTES-OUT", "sentBytes", COLUMN_VOLUME, 1, ALARM_NONE},
	{"SEND-FAILED", "sendFailed", COLUMN_COUNT, 2, ALARM_RED},
	{"UNREAD", "unread", COLUMN_COUNT, 2, ALARM_RED},
	{"LAST", "lastReceived", COLUMN_AGE, 3, ALARM_NONE},
};

static const struct column handler_columns[] = {
	{"HANDLER", "name", COLUMN_TEXT, 0, ALARM_NONE},
	{"RECEIVED", "received", COLUMN_NUMBER, 0, ALARM_NONE},
	{"FILTERED", "filtered", COLUMN_NUMBER, 2, ALARM_NONE},
	{"DELIVERED", "delivered", COLUMN_NUMBER, 0, ALARM_NONE},
	{"DROPPED", "dropped", COLUMN_SUM, 0, ALARM_NONE},
	{"LOST", "lost", COLUMN_TOTAL, 0, ALARM_LOST},
	{"QUEUED", "queued", COLUMN_NUMBER, 0, ALARM_NONE},
	{"BYTES-QUEUED", "queuedBytes", COLUMN_VOLUME, 4, ALARM_NONE},
	{"PEAK", "queuedMax", COLUMN_COUNT, 5, ALARM_NONE},
	{"OLDEST", "oldestQueued", COLUMN_WAIT, 3, ALARM_NONE},
	{"WINDOW", "window", COLUMN_COUNT, 3, ALARM_NONE},
	{"REASONS", "dropped", COLUMN_REMARK, 1, ALARM_LOST},
	{"COUNTERS", "counters", COLUMN_REMARK, 6, ALARM_NONE},
};

static void show(struct writer *writer, const json_t *answer)
{
	json_t *rows = handler_rows(json_object_get(answer, "handlers"), false);

	writer_table(writer, json_object_get(answer, "groups"), group_columns,
		ARRAY_SIZE(group_columns), "no groups");
	writer_line(writer, "");
	writer_table(writer, rows, handler_columns, ARRAY_SIZE(handler_columns), "no handlers");
	json_decref(rows);
}

#define N "%" JSON_INTEGER_FORMAT

/* Adds up an object of numbers. Returns 1; 0 when the sum is more than can be counted; or -EBADMSG.
 */
static int add_reasons(const json_t *reasons, int64_t *ret)
{
	const char *reason;
	json_t *count;
	int exact = 1;

	*ret = 0;
	if (!json_is_object(reasons))
		return -EBADMSG;
	json_object_foreach((json_t *)reasons, reason, count)
	{
		if (!json_is_integer(count))
			return -EBADMSG;
		exact &= sum_add(ret, json_integer_value(count));
	}
	return exact;
}

/* Whether every datagram of a handler, or copy of one of its interfaces, which has no queue, is
 * accounted for: received = filtered + delivered + all of dropped + queued. interface is "" for the
 * handler. Returns 1; 0 after it explained the numbers on standard error; or -EBADMSG. */
static int check_account(const struct session *session, const char *name, const char *interface,
	const json_t *account)
{
	const char *form = *interface ? "{s:I, s:I, s:I, s:o}" : "{s:I, s:I, s:I, s:o, s:I}";
	json_int_t received, filtered, delivered, queued = 0;
	int64_t dropped, sum;
	json_t *reasons;
	int exact;

	if (json_unpack((json_t *)account, form, "received", &received, "filtered", &filtered,
		    "delivered", &delivered, "dropped", &reasons, "queued", &queued) < 0)
		return -EBADMSG;
	exact = add_reasons(reasons, &dropped);
	if (exact < 0)
		return exact;
	sum = filtered;
	exact &= sum_add(&sum, delivered);
	exact &= sum_add(&sum, dropped);
	exact &= sum_add(&sum, queued);
	if (exact && received == sum)
		return 1;
	session_fail(session, EXIT_REFUSED,
		"%s%s%s: received " N ", but filtered " N " + delivered " N " + dropped %" PRId64
		" + queued " N " = %" PRId64 "%s",
		name, *interface ? " on " : "", interface, received, filtered, delivered, dropped,
		queued, sum, exact ? "" : ", the most that can be counted");
	return 0;
}

/* The same for what comes in: taken = sent + all of dropped + waiting. */
static int check_input(const struct session *session, const char *name, const json_t *input)
{
	json_int_t taken, sent, waiting;
	int64_t dropped, sum;
	json_t *reasons;
	int exact;

	if (json_unpack((json_t *)input, "{s:I, s:I, s:o, s:I}", "taken", &taken, "sent", &sent,
		    "dropped", &reasons, "waiting", &waiting) < 0)
		return -EBADMSG;
	exact = add_reasons(reasons, &dropped);
	if (exact < 0)
		return exact;
	sum = sent;
	exact &= sum_add(&sum, dropped);
	exact &= sum_add(&sum, waiting);
	if (exact && taken == sum)
		return 1;
	session_fail(session, EXIT_REFUSED,
		"what comes in by %s: taken " N ", but sent " N " + dropped %" PRId64
		" + waiting " N " = %" PRId64 "%s",
		name, taken, sent, dropped, waiting, sum,
		exact ? "" : ", the most that can be counted");
	return 0;
}

/* Returns as check_account(). */
static int check_handler(const struct session *session, const json_t *handler)
{
	const char *name = json_string_value(json_object_get(handler, "name"));
	const json_t *interfaces = json_object_get(handler, "interfaces");
	const json_t *input = json_object_get(handler, "input");
	int r = name ? check_account(session, name, "", handler) : -EBADMSG;

	for (size_t i = 0; r >= 0 && i < json_array_size(interfaces); i++) {
		const json_t *interface = json_array_get(interfaces, i);
		const char *of = json_string_value(json_object_get(interface, "interface"));
		int checked = check_account(session, name, of ? of : "gone interfaces", interface);

		r = checked > 0 ? r : checked;
	}
	if (r >= 0 && json_is_object(input)) {
		int checked = check_input(session, name, input);

		r = checked > 0 ? r : checked;
	}
	return r;
}

/* Whether each numbered datagram is one number; else it is several messages or packets. */
static bool are_single(const char *format)
{
	return strcmp(format, "moldudp64") != 0 && strcmp(format, "mpeg-ts") != 0;
}

/* Whether the numbers of a group add up, where it has sequence: received = numbered + unnumbered,
 * and numbered = unique + duplicates + late. Returns as check_account(). */
static int check_sequence(const struct session *session, const json_t *group)
{
	const char *name = json_string_value(json_object_get(group, "name")), *format;
	json_int_t received, numbered, unnumbered, unique, duplicates, late;
	const json_t *sequence = json_object_get(group, "sequence");
	int64_t datagrams, numbers;
	bool exact;

	if (json_is_null(sequence))
		return 1;
	if (!name || json_unpack((json_t *)sequence, "{s:s, s:I, s:I, s:I, s:I, s:I, s:I}",
			     "format", &format, "received", &received, "numbered", &numbered,
			     "unnumbered", &unnumbered, "unique", &unique, "duplicates",
			     &duplicates, "late", &late) < 0)
		return -EBADMSG;
	datagrams = numbered;
	exact = sum_add(&datagrams, unnumbered);
	numbers = unique;
	exact &= sum_add(&numbers, duplicates);
	exact &= sum_add(&numbers, late);
	if (exact && received == datagrams && (!are_single(format) || numbered == numbers))
		return 1;
	session_fail(session, EXIT_REFUSED,
		"%s: received " N ", but numbered " N " + unnumbered " N " = %" PRId64 "; unique " N
		" + duplicates " N " + late " N " = %" PRId64 "%s",
		name, received, numbered, unnumbered, datagrams, unique, duplicates, late, numbers,
		exact ? "" : ", the most that can be counted");
	return 0;
}

/* Whether taken = passed + duplicates + apart. Returns as check_account(). */
static int check_leg(const struct session *session, const char *name, const json_t *leg)
{
	json_int_t taken, passed, duplicates, apart;
	const char *of;
	int64_t sum;
	bool exact;

	if (json_unpack((json_t *)leg, "{s:s, s:I, s:I, s:I, s:I}", "group", &of, "taken", &taken,
		    "passed", &passed, "duplicates", &duplicates, "apart", &apart) < 0)
		return -EBADMSG;
	sum = passed;
	exact = sum_add(&sum, duplicates);
	exact &= sum_add(&sum, apart);
	if (exact && sum == taken)
		return 1;
	session_fail(session, EXIT_REFUSED,
		"%s: leg %s: taken " N ", but passed " N " + duplicates " N " + apart " N
		" = %" PRId64 "%s",
		name, of, taken, passed, duplicates, apart, sum,
		exact ? "" : ", the most that can be counted");
	return 0;
}

/* A group's numbers, and its legs if it is made of others. Returns as check_account(). */
static int check_group(const struct session *session, const json_t *group)
{
	const char *name = json_string_value(json_object_get(group, "name"));
	const json_t *legs = json_object_get(group, "merge");
	int r = check_sequence(session, group);

	for (size_t i = 0; i < json_array_size(legs) && r >= 0; i++) {
		int checked = name ? check_leg(session, name, json_array_get(legs, i)) : -EBADMSG;

		r = checked > 0 ? r : checked;
	}
	return r;
}

/* Checks each item of an array. Returns an exit code. */
static int check_all(const struct session *session, const json_t *items,
	int (*check_one)(const struct session *session, const json_t *item))
{
	int code = EXIT_DONE;

	if (!json_is_array(items))
		return session_lost(session, -EBADMSG);
	for (size_t i = 0; i < json_array_size(items); i++) {
		int r = check_one(session, json_array_get(items, i));

		if (r < 0)
			return session_lost(session, r);
		code = r ? code : EXIT_REFUSED;
	}
	return code;
}

static int check(struct session *session)
{
	AUTO_REPLY struct reply reply = {0};
	int code = session_call(session, "GetStats", &reply), groups;

	if (code)
		return code;
	if (session->writer.json)
		writer_value(&session->writer, reply.parameters);
	code = check_all(session, json_object_get(reply.parameters, "handlers"), check_handler);
	groups = check_all(session, json_object_get(reply.parameters, "groups"), check_group);
	code = code ? code : groups;
	if (!code && !session->writer.json)
		writer_line(&session->writer, "every datagram is accounted for");
	return code;
}

static int run(struct session *session, const struct arguments *arguments)
{
	session->writer.is_wide = arguments->options[STATS_WIDE].given;
	if (arguments->options[STATS_CHECK].given)
		return check(session);
	return session_show(session, "GetStats", show);
}

const struct command stats_command = {
	.name = "stats",
	.arguments = "",
	.help = "Show what was received, sent, delivered and dropped",
	.options = options,
	.run = run,
};
