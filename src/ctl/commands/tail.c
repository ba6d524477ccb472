#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "base/sums.h"
#include "ctl/command.h"
#include "ctl/human.h"
#include "ctl/interrupt.h"
#include "ctl/json.h"
#include "ctl/receiver.h"
#include "config/where.h"
#include "data/filter.h"
#include "ctl/record.h"
#include "ctl/subscription.h"
#include "ctl/targets.h"

enum {
	TAIL_FORMAT,
	TAIL_LOCAL_TIME,
	TAIL_WHERE,
	TAIL_COUNT,
	TAIL_TIMEOUT,
	TAIL_RECONNECT,
	TAIL_INTERFACE,
	TAIL_SOURCE
};

static const struct option_row options[] = {
	[TAIL_FORMAT] = {"format", 0, OPTION_STRING, "FORMAT",
		"line (the default), json, hex, raw: the payloads and nothing else, or pcapng"},
	[TAIL_LOCAL_TIME] = {"local-time", 0, OPTION_FLAG, NULL,
		"Show timestamps in the local time zone, in the formats line and hex"},
	[TAIL_WHERE] = {"where", 0, OPTION_LIST, WHERE_VALUE,
		"Only datagrams that pass this filter, like sources=10.0.0.0/8; may be repeated"},
	[TAIL_COUNT] = {"count", 0, OPTION_NUMBER, "N", "Stop after N datagrams", .min = 1,
		.max = INT64_MAX},
	[TAIL_TIMEOUT] = {"timeout", 0, OPTION_DURATION, "TIME",
		"Stop after TIME, like 5s; exit with 1 if fewer than N came, or none"},
	[TAIL_RECONNECT] = {"reconnect", 0, OPTION_FLAG, NULL,
		"Wait for mcastd where it is not there, and when it ends; for its groups"},
	[TAIL_INTERFACE] = {"interface", 0, OPTION_LIST, "NAME",
		"Receive on this interface, for targets that name none"},
	[TAIL_SOURCE] = {"source", 0, OPTION_LIST, "ADDRESS",
		"Only from this sender, for targets; may be repeated"},
	{0},
};

struct tail {
	struct session *session;
	struct receiver *receiver; /* of targets; NULL: the daemon's groups */
	struct subscription subscription; /* to the daemon's groups */
	struct printer printer; /* unless the session's writer has json */
	size_t declared; /* interfaces whose declaration is written, or buffered to be */
	struct filter filter;
	uint64_t received, filtered; /* datagrams */
	uint64_t wanted; /* datagrams to show; 0: no end */
	uint64_t shown; /* also those that are still buffered */
	uint64_t buffered; /* datagrams */
	struct text record; /* scratch */
	uint64_t lost_before, lost_here;
	uint64_t told; /* of those lost, in the last message */
	uint64_t tick_ns; /* when to look for loss again, with a receiver */
	uint64_t deadline_ns; /* CLOCK_MONOTONIC; UINT64_MAX: none */
	int interrupt_fd;
};

static bool has_enough(const struct tail *tail)
{
	return tail->wanted && tail->shown >= tail->wanted;
}

static bool is_timed_out(const struct tail *tail)
{
	return clock_ns(CLOCK_MONOTONIC) >= tail->deadline_ns;
}

/* A line on standard error. What cannot be written now is omitted: it must not hold up the end. */
static void tell_lost(struct tail *tail, const char *when)
{
	struct pollfd poll_fd = {.fd = STDERR_FILENO, .events = POLLOUT};
	uint64_t lost = tail->lost_before + tail->lost_here;

	if (lost == tail->told || poll(&poll_fd, 1, 0) != 1)
		return;
	tail->told = lost;
	session_fail(tail->session, EXIT_DONE,
		"%" PRIu64 " datagram%s lost %s: %" PRIu64 " before mcastctl (%s), %" PRIu64
		" in it (standard output too slow)",
		lost, plural(lost), when, tail->lost_before,
		tail->receiver ? "receive buffer full" : "gaps", tail->lost_here);
}

/* Once a second. Returns the time when to wait no longer. */
static uint64_t tick(struct tail *tail)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

	if (!tail->receiver)
		return tail->deadline_ns;
	if (now_ns >= tail->tick_ns) {
		tail->tick_ns = now_ns + NS_PER_S;
		tail->lost_before = receiver_dropped(tail->receiver);
		tell_lost(tail, "so far");
	}
	return earlier_ns(tail->deadline_ns, tail->tick_ns);
}

/* Notices that the reader of standard output has gone: a pipe says so by POLLERR; a socket, as
 * socat, inetd and units with StandardOutput=socket give one, by POLLHUP. */
static void check_reader(struct tail *tail, const struct pollfd *output)
{
	if (output->revents & (POLLERR | POLLHUP))
		tail->session->writer.error = -EPIPE;
}

/* Writes what is buffered as standard output takes it. Returns whether it has: not when the command
 * is to end first. */
static bool write_out(struct tail *tail)
{
	struct writer *writer = &tail->session->writer;

	while (writer->out.length) {
		struct pollfd fds[] = {{.fd = STDOUT_FILENO, .events = POLLOUT},
			{.fd = tail->interrupt_fd, .events = POLLIN}};

		poll_until(fds, ARRAY_SIZE(fds), tick(tail));
		if (fds[0].revents && writer_flush_some(writer) < 0)
			return false;
		if (!fds[0].revents && (interrupt_came() || is_timed_out(tail)))
			return false;
	}
	tail->buffered = 0;
	return true;
}

/* Buffers tail->record, the next datagram as it is shown. What is written at a time is whole
 * records, as far as PIPE_BUF goes, so that what is lost at the end can be counted. Returns as
 * write_out(). */
static bool put_record(struct tail *tail)
{
	struct text *out = &tail->session->writer.out;
	bool written = true;

	if (out->length && out->length + tail->record.length > PIPE_BUF)
		written = write_out(tail);
	if (written) {
		text_append(out, tail->record.data, tail->record.length);
		out->failed |= tail->record.failed;
		tail->shown++;
		tail->buffered++;
		tail->declared = tail->printer.interfaces.count;
	} else {
		tail->lost_here++;
		tail->printer.interfaces.count = tail->declared;
	}
	text_clear(&tail->record);
	return written;
}

/* ---- Groups of the daemon ---- */

/* On standard error, between the records where it happened, so that any format stays valid. */
static int show_gap(struct tail *tail, const json_t *gap)
{
	const char *group;
	AUTO_TEXT struct text line = {0};
	json_int_t count;
	int64_t lost;

	if (json_unpack((json_t *)gap, "{s:s, s:I}", "group", &group, "count", &count) < 0 ||
		count < 0)
		return -EBADMSG;
	lost = (int64_t)tail->lost_before;
	sum_add(&lost, count);
	tail->lost_before = (uint64_t)lost;
	if (tail->session->writer.json)
		return 0;
	text_printf(&line, "gap: %" JSON_INTEGER_FORMAT " datagram%s of ", count,
		plural((uint64_t)count));
	text_append_shown(&line, group, strlen(group));
	text_printf(&line, " %s not seen here\n", count == 1 ? "was" : "were");
	write_out(tail);
	write_all(STDERR_FILENO, line.data, line.length);
	return 0;
}

/* Copies those that pass --where to passed, which has room for BATCH_MAX. Returns their number. */
static unsigned apply_filter(struct tail *tail, const struct batch *batch, struct datagram *passed)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	struct filtered rejected;
	unsigned count = filter_apply(&tail->filter, batch, now_ns, passed, &rejected);

	tail->received += batch->count;
	tail->filtered += batch->count - count;
	return count;
}

static int show_datagram(struct tail *tail, const json_t *answer, const json_t *datagram)
{
	AUTO_RECORD struct record record = {0};
	struct datagram passed[1];
	bool is_json = tail->session->writer.json;
	int r = is_json && tail->filter.is_open ? 0 : record_read(datagram, &record);

	if (r < 0)
		return r;
	if (!tail->filter.is_open &&
		!apply_filter(
			tail, &(struct batch){.count = 1, .datagrams = &record.datagram}, passed))
		return 0;
	if (is_json) {
		text_append_value(&tail->record, answer);
		text_append(&tail->record, "\n", 1);
	} else {
		r = record_append(&tail->record, &tail->printer, &record);
	}
	if (r == 0)
		put_record(tail);
	return r;
}

/* One answer of Subscribe. */
static int show_answer(struct tail *tail, const json_t *answer)
{
	const json_t *datagram = json_object_get(answer, "datagram");
	const json_t *gap = json_object_get(answer, "gap");
	struct writer *writer = &tail->session->writer;

	if (json_is_object(datagram))
		return show_datagram(tail, answer, datagram);
	if (writer->json && json_is_object(gap))
		writer_value(writer, answer);
	return json_is_object(gap) ? show_gap(tail, gap) : 0;
}

/* Writes what is buffered, then waits for the daemon. Also notices that the reader of standard
 * output has gone while there is no datagram to write. Returns as client_wait(), or 0 when the
 * command is to end. */
static int wait_for_more(struct tail *tail)
{
	struct pollfd fds[] = {
		{0}, {.fd = STDOUT_FILENO}, {.fd = tail->interrupt_fd, .events = POLLIN}};
	int r;

	if (!write_out(tail))
		return 0;
	r = client_wait(tail->session->client, fds, ARRAY_SIZE(fds), tail->deadline_ns);
	check_reader(tail, &fds[1]);
	return r;
}

static bool is_over(const struct tail *tail)
{
	return has_enough(tail) || interrupt_came() || is_timed_out(tail) ||
	       tail->session->writer.error;
}

/* While there is no connection: writes what is buffered, then waits until it is to be tried again.
 * Returns an exit code. */
static int wait_for_daemon(struct tail *tail)
{
	struct pollfd fds[] = {{.fd = STDOUT_FILENO}, {.fd = tail->interrupt_fd, .events = POLLIN}};
	uint64_t retry_ns = tail->subscription.retry_ns;

	if (!write_out(tail))
		return EXIT_DONE;
	poll_until(fds, ARRAY_SIZE(fds), earlier_ns(tail->deadline_ns, retry_ns));
	check_reader(tail, &fds[0]);
	if (fds[0].revents || fds[1].revents || clock_ns(CLOCK_MONOTONIC) < retry_ns)
		return EXIT_DONE;
	return subscription_retry(&tail->subscription);
}

/* Takes one answer that is there, or waits for more. Returns an exit code. */
static int follow_subscription(struct tail *tail)
{
	struct client *client = tail->session->client;
	AUTO_REPLY struct reply reply = {0};
	int r = client_ready(client) ? client_receive(client, &reply) : wait_for_more(tail);

	if (r < 0)
		return subscription_lost(&tail->subscription, r);
	if (!reply.message || subscription_takes(&tail->subscription, &reply))
		return EXIT_DONE;
	if (reply.error) {
		write_out(tail); /* what came before */
		return session_refused(tail->session, &reply, "");
	}
	r = show_answer(tail, reply.parameters);
	if (r < 0)
		return session_lost(tail->session, r);
	if (reply.continues || has_enough(tail))
		return EXIT_DONE;
	return tail->subscription.reconnects
		       ? subscription_lost(&tail->subscription, -ECONNRESET)
		       : session_fail(tail->session, EXIT_REFUSED, "mcastd ended the subscription");
}

/* Shows what arrives. Returns an exit code. */
static int follow_groups(struct tail *tail)
{
	int code = EXIT_DONE;

	while (!code && !is_over(tail))
		code = tail->session->client ? follow_subscription(tail) : wait_for_daemon(tail);
	return code;
}

/* ---- Targets ---- */

static void format_record(struct tail *tail, struct origin *origin, const struct datagram *datagram)
{
	struct text *out = &tail->record;

	if (!tail->session->writer.json) {
		printer_append(&tail->printer, out, origin, datagram);
		return;
	}
	json_put_open(out, NULL, '{');
	json_put_member(out, "datagram");
	format_json(out, NULL, origin, datagram);
	json_put_close(out, '}');
	text_append(out, "\n", 1);
}

/* Those that cannot be written before the command is to end are lost. */
static void show_batch(struct tail *tail, const struct batch *batch)
{
	struct datagram passed[BATCH_MAX];
	unsigned count = apply_filter(tail, batch, passed);
	bool written = true;

	for (unsigned i = 0; i < count && !has_enough(tail); i++) {
		format_record(tail, batch->origin, &passed[i]);
		written = put_record(tail);
	}
	if (written)
		write_out(tail);
}

/* At the end: shows what is queued if standard output takes it at once, and counts it as lost if
 * not. */
static void show_queued(struct tail *tail)
{
	struct pollfd others[] = {{.fd = -1}, {.fd = -1}};
	struct batch batch;

	receiver_leave(tail->receiver);
	while (!tail->session->writer.error && !has_enough(tail) &&
		receiver_next(tail->receiver, others, 0, &batch) > 0)
		show_batch(tail, &batch);
}

/* Returns an exit code. */
static int follow_targets(struct tail *tail)
{
	while (!is_over(tail)) {
		struct pollfd others[] = {
			{.fd = STDOUT_FILENO}, {.fd = tail->interrupt_fd, .events = POLLIN}};
		struct batch batch;
		int r = receiver_next(tail->receiver, others, tick(tail), &batch);

		if (r < 0)
			return session_fail(tail->session, EXIT_REFUSED, "%s", strerror(-r));
		check_reader(tail, &others[0]);
		if (r && !tail->session->writer.error)
			show_batch(tail, &batch);
	}
	show_queued(tail);
	return EXIT_DONE;
}

/* ---- */

static void tell_filtered(const struct tail *tail)
{
	if (tail->filtered)
		session_fail(tail->session, EXIT_DONE,
			"%" PRIu64 " of %" PRIu64 " datagram%s did not pass --where",
			tail->filtered, tail->received, plural(tail->received));
}

/* Says what was lost, unless the reader of standard output has gone. Returns an exit code. */
static int finish(struct tail *tail, int code)
{
	struct writer *writer = &tail->session->writer;
	uint64_t wanted = tail->wanted ? tail->wanted : 1;

	if (!code)
		write_out(tail);
	if (writer->error)
		return code; /* main() explains why writing failed */
	tail->shown -= tail->buffered;
	tail->lost_here += tail->buffered;
	if (tail->buffered)
		text_clear(&writer->out);
	if (tail->receiver)
		tail->lost_before = receiver_dropped(tail->receiver);
	tail->told = 0; /* says it once more, in all */
	tell_lost(tail, "in all");
	tell_filtered(tail);
	interrupt_end();
	if (code || tail->shown >= wanted || !is_timed_out(tail))
		return code;
	if (!tail->wanted)
		return session_fail(tail->session, EXIT_REFUSED, "timeout: no datagram %s",
			tail->lost_here ? "was printed" : "came");
	return session_fail(tail->session, EXIT_REFUSED,
		"timeout: %" PRIu64 " of %" PRIu64 " datagram%s %s", tail->shown, wanted,
		plural(wanted),
		!tail->lost_here ? "came"
		: wanted == 1    ? "was printed"
				 : "were printed");
}

/* What the options add to the targets. Returns an exit code. */
static int add_options(
	struct session *session, const struct arguments *arguments, const struct targets *targets)
{
	const struct option_value *interface = &arguments->options[TAIL_INTERFACE];
	const struct option_value *sources = &arguments->options[TAIL_SOURCE];
	int code = EXIT_DONE;

	if (!targets->count && (interface->given || sources->given))
		return session_fail(session, EXIT_MISUSED,
			"--interface and --source are for targets; what a group of mcastd receives "
			"is configured");
	for (size_t i = 0; i < targets->count && !code; i++) {
		struct target *target = &targets->items[i];

		code = target_take_interface(session, target, interface);
		if (!code)
			code = target_take_sources(session, target, sources->items, sources->count);
	}
	return code;
}

/* How to print, and what. Returns an exit code. */
static int read_options(
	struct tail *tail, const struct arguments *arguments, const struct targets *targets)
{
	struct session *session = tail->session;
	const struct option_value *given = arguments->options;
	const char *format = given[TAIL_FORMAT].string;
	struct config_filter filter;
	char why[WHY_MAX];
	int r;

	if (format && printer_set_format(&tail->printer, format) < 0)
		return session_fail(session, EXIT_MISUSED,
			"--format: '%s' is none of " PRINTER_FORMATS, format);
	tail->printer.program = "mcastctl";
	tail->printer.local_time = given[TAIL_LOCAL_TIME].given;
	if (session->writer.json && (format || tail->printer.local_time))
		return session_fail(session, EXIT_MISUSED,
			"--json is a format of its own: omit --%s",
			format ? "format" : "local-time");
	if (printer_check(&tail->printer, isatty(STDOUT_FILENO), why) < 0)
		return session_fail(session, EXIT_MISUSED, "%s", why);
	if (targets->count && given[TAIL_RECONNECT].given)
		return session_fail(session, EXIT_MISUSED,
			"--reconnect is for groups of mcastd: a target needs no mcastd");
	r = where_read(given[TAIL_WHERE].items, given[TAIL_WHERE].count, &filter, why);
	if (r == 0 && filter_init(&tail->filter, &filter) < 0)
		r = because(why, -ENOMEM, "out of memory");
	schema_clear(&filter_schema, &filter);
	return r < 0 ? session_fail(session, r == -ENOMEM ? EXIT_REFUSED : EXIT_MISUSED,
			       "--where: %s", why)
		     : EXIT_DONE;
}

/* Joins, or subscribes. Returns an exit code. */
static int begin(struct tail *tail, const struct names *names, const struct targets *targets)
{
	struct session *session = tail->session;
	unsigned needs = session->writer.json ? NEED_ALL : printer_needs(&tail->printer);

	if (targets->count)
		return receiver_open(session, targets->items, targets->count,
			needs | filter_needs(&tail->filter), &tail->receiver);
	tail->subscription.session = session;
	tail->subscription.groups = (const char *const *)names->items;
	tail->subscription.count = names->count;
	return subscription_open(&tail->subscription);
}

/* Before the first datagram, so that whoever reads a pcapng stream need not wait for it. */
static void begin_output(struct tail *tail)
{
	struct text *out = &tail->session->writer.out;

	if (tail->session->writer.json)
		return;
	printer_begin(&tail->printer, out);
	for (size_t i = 0; tail->receiver && i < receiver_count(tail->receiver); i++)
		printer_declare(&tail->printer, out, receiver_origin(tail->receiver, i)->interface);
	tail->declared = tail->printer.interfaces.count;
	write_out(tail);
}

/* Returns an exit code. */
static int follow(struct tail *tail, const struct arguments *arguments, const struct names *names,
	const struct targets *targets)
{
	struct session *session = tail->session;
	const struct option_value *timeout = &arguments->options[TAIL_TIMEOUT];
	int code;

	tail->subscription.reconnects = arguments->options[TAIL_RECONNECT].given;
	code = begin(tail, names, targets);
	if (code)
		return code;
	tail->interrupt_fd = interrupt_catch();
	if (tail->interrupt_fd < 0)
		return session_fail(session, EXIT_REFUSED, "%s", strerror(-tail->interrupt_fd));
	if (timeout->given)
		tail->deadline_ns = clock_ns(CLOCK_MONOTONIC) + timeout->number;
	begin_output(tail);
	return finish(tail, targets->count ? follow_targets(tail) : follow_groups(tail));
}

static int run(struct session *session, const struct arguments *arguments)
{
	struct tail tail = {.session = session,
		.wanted = arguments->options[TAIL_COUNT].number,
		.deadline_ns = UINT64_MAX};
	AUTO_NAMES struct names names = {0};
	AUTO_TARGETS struct targets targets = {0};
	int code = names_split(session, arguments->words, arguments->word_count, &names);

	if (!code)
		code = targets_read(
			session, (const char *const *)names.items, names.count, &targets);
	if (!code)
		code = add_options(session, arguments, &targets);
	if (!code)
		code = read_options(&tail, arguments, &targets);
	if (!code)
		code = follow(&tail, arguments, &names, &targets);
	receiver_close(tail.receiver);
	printer_clear(&tail.printer);
	filter_clear(&tail.filter);
	text_free(&tail.record);
	return code;
}

const struct command tail_command = {
	.name = "tail",
	.arguments = "[GROUP|TARGET...]",
	.words_max = SIZE_MAX,
	.help = "Show datagrams as they arrive, of all groups unless some are named",
	.options = options,
	.run = run,
};
