#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "ctl/command.h"
#include "ctl/human.h"
#include "ctl/record.h"

enum { TAIL_FORMAT, TAIL_COUNT };

static const struct option_row options[] = {
	[TAIL_FORMAT] = {"format", 0, OPTION_STRING, "FORMAT",
		"line (the default), json, hex, or raw: the payloads and nothing else"},
	[TAIL_COUNT] = {"count", 0, OPTION_NUMBER, "N", "Stop after N datagrams", .min = 1,
		.max = INT64_MAX},
	{0},
};

struct tail {
	struct session *session;
	enum format format;
	uint64_t left; /* datagrams to show; 0: no end */
	bool ended; /* all are shown */
};

/* On standard error, between the records where it happened, so that any format stays valid. */
static int show_gap(struct tail *tail, const json_t *gap)
{
	const char *group;
	AUTO_TEXT struct text line = {0};
	json_int_t count;

	if (json_unpack((json_t *)gap, "{s:s, s:I}", "group", &group, "count", &count) < 0)
		return -EBADMSG;
	text_printf(&line, "gap: %" JSON_INTEGER_FORMAT " datagram%s of ", count,
		count == 1 ? "" : "s");
	text_append_shown(&line, group, strlen(group));
	text_printf(&line, " %s not seen here\n", count == 1 ? "was" : "were");
	writer_flush(&tail->session->writer);
	write_all(STDERR_FILENO, line.data, line.length);
	return 0;
}

/* One answer of Subscribe. */
static int show_answer(struct tail *tail, const json_t *answer)
{
	const json_t *datagram = json_object_get(answer, "datagram");
	const json_t *gap = json_object_get(answer, "gap");
	struct writer *writer = &tail->session->writer;
	int r = 0;

	if (json_is_null(datagram))
		datagram = NULL;
	if (json_is_null(gap))
		gap = NULL;
	if (writer->json && (datagram || gap))
		writer_value(writer, answer);
	else if (datagram)
		r = record_append(&writer->out, tail->format, datagram);
	else if (gap)
		r = show_gap(tail, gap);
	if (datagram && tail->left)
		tail->ended = --tail->left == 0;
	return r;
}

/* Writes what is buffered, then waits for the daemon. Also notices that the reader of standard
 * output has gone while there is no datagram to write. Returns as client_wait(). */
static int wait_for_more(struct tail *tail)
{
	struct pollfd fds[] = {{0}, {.fd = STDOUT_FILENO}};
	int r = 0;

	if (writer_flush(&tail->session->writer) == 0)
		r = client_wait(tail->session->client, fds, ARRAY_SIZE(fds), UINT64_MAX);
	if (fds[1].revents & POLLERR)
		tail->session->writer.error = -EPIPE;
	return r;
}

/* Shows what arrives. Returns an exit code. */
static int follow(struct tail *tail)
{
	struct client *client = tail->session->client;
	int r = 0;

	while (!tail->ended) {
		AUTO_REPLY struct reply reply = {0};

		while (r >= 0 && !client_ready(client)) {
			r = wait_for_more(tail);
			if (tail->session->writer.error)
				return EXIT_DONE; /* main() explains why writing failed */
		}
		if (r >= 0)
			r = client_receive(client, &reply);
		if (r == 0 && reply.error)
			return session_refused(tail->session, &reply, "");
		if (r == 0)
			r = show_answer(tail, reply.parameters);
		if (r < 0)
			return session_lost(tail->session, r);
		if (!reply.continues && !tail->ended)
			return session_fail(
				tail->session, EXIT_REFUSED, "mcastd ended the subscription");
	}
	return EXIT_DONE;
}

static int run(struct session *session, const struct arguments *arguments)
{
	const char *format = arguments->options[TAIL_FORMAT].string;
	struct tail tail = {.session = session, .left = arguments->options[TAIL_COUNT].number};
	int code;

	if (format && format_parse(format, &tail.format) < 0)
		return session_fail(session, EXIT_MISUSED,
			"--format: '%s' is none of line, json, hex and raw", format);
	if (format && session->writer.json)
		return session_fail(
			session, EXIT_MISUSED, "--json is a format of its own: omit --format");
	session_put_names(session, "groups", arguments->words, arguments->word_count);
	code = session_request(session, "Subscribe", true);
	return code ? code : follow(&tail);
}

const struct command tail_command = {
	.name = "tail",
	.arguments = "[GROUP...]",
	.words_max = SIZE_MAX,
	.help = "Show datagrams as they arrive, of all groups unless some are named",
	.options = options,
	.run = run,
};
