#include <errno.h>

#include "ctl/balance.h"
#include "ctl/command.h"

enum { STATS_CHECK };

static const struct option_row options[] = {
	[STATS_CHECK] = {"check", 0, OPTION_FLAG, NULL,
		"Instead see whether every datagram is accounted for; exit 1 when not"},
	{0},
};

static const struct column group_columns[] = {
	{"GROUP", "name", COLUMN_TEXT},
	{"RECEIVED", "received", COLUMN_NUMBER},
	{"BYTES", "receivedBytes", COLUMN_SIZE},
	{"TRUNCATED", "truncated", COLUMN_NUMBER},
	{"KERNEL DROPPED", "kernelDropped", COLUMN_NUMBER},
	{"SENT", "sent", COLUMN_NUMBER},
	{"BYTES SENT", "sentBytes", COLUMN_SIZE},
	{"NOT SENT", "sendFailed", COLUMN_NUMBER},
	{"UNREAD", "unread", COLUMN_NUMBER},
	{"LAST RECEIVED", "lastReceived", COLUMN_AGE},
};

static const struct column handler_columns[] = {
	{"HANDLER", "name", COLUMN_TEXT},
	{"RECEIVED", "received", COLUMN_NUMBER},
	{"FILTERED", "filtered", COLUMN_NUMBER},
	{"DELIVERED", "delivered", COLUMN_NUMBER},
	{"DROPPED", "dropped", COLUMN_SUM},
	{"QUEUED", "queued", COLUMN_NUMBER},
	{"BYTES QUEUED", "queuedBytes", COLUMN_SIZE},
	{"PEAK", "queuedMax", COLUMN_COUNT},
	{"OLDEST", "oldestQueued", COLUMN_WAIT},
	{"DROPPED BECAUSE", "dropped", COLUMN_REMARK},
	{"COUNTERS", "counters", COLUMN_REMARK},
};

static void show(struct writer *writer, const json_t *answer)
{
	writer_table(writer, json_object_get(answer, "groups"), group_columns,
		ARRAY_SIZE(group_columns), "no groups");
	writer_line(writer, "");
	writer_table(writer, json_object_get(answer, "handlers"), handler_columns,
		ARRAY_SIZE(handler_columns), "no handlers");
}

/* Returns how many handlers do not balance, each named on standard error, or -EBADMSG. */
static int count_unbalanced(const struct session *session, const json_t *handlers)
{
	int unbalanced = 0;

	if (!json_is_array(handlers))
		return -EBADMSG;
	for (size_t i = 0; i < json_array_size(handlers); i++) {
		AUTO_TEXT struct text sentence = {0};
		struct balance balance;

		if (balance_read(json_array_get(handlers, i), &balance) < 0)
			return -EBADMSG;
		if (balance_holds(&balance))
			continue;
		balance_explain(&sentence, &balance);
		session_complain(session, "%s", text_string(&sentence));
		unbalanced++;
	}
	return unbalanced;
}

static int check(struct session *session)
{
	AUTO_REPLY struct reply reply = {0};
	int code = session_call(session, "GetStats", NULL, &reply), unbalanced;

	if (code)
		return code;
	if (session->writer.json)
		writer_value(&session->writer, reply.parameters);
	unbalanced = count_unbalanced(session, json_object_get(reply.parameters, "handlers"));
	if (unbalanced < 0)
		return session_lost(session, unbalanced);
	if (!unbalanced && !session->writer.json)
		writer_line(&session->writer, "every datagram is accounted for");
	return unbalanced ? EXIT_REFUSED : EXIT_DONE;
}

static int run(struct session *session, const struct arguments *arguments)
{
	if (arguments->options[STATS_CHECK].given)
		return check(session);
	return session_show(session, "GetStats", NULL, show);
}

const struct command stats_command = {
	.name = "stats",
	.arguments = "",
	.help = "Show what was received, sent, delivered and dropped",
	.options = options,
	.run = run,
};
