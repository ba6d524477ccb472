/* The other end of a probe. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/units.h"
#include "ctl/human.h"
#include "ctl/interrupt.h"
#include "ctl/probe/measure.h"
#include "ctl/probe/probe.h"
#include "ctl/progress.h"
#include "ctl/receiver.h"
#include "ctl/record.h"
#include "ctl/targets.h"

/* After the last datagram of a probe: for those that are late. */
#define LATE_NS (NS_PER_S / 2)

struct receiving {
	struct session *session;
	const struct probe_receiving *wanted;
	struct receiver *receiver; /* of a target; NULL: a group of the daemon */
	struct measure *measure;
	struct progress progress;
	uint64_t deadline_ns; /* CLOCK_MONOTONIC; UINT64_MAX: none */
	uint64_t missed; /* what the daemon, or the kernel, could not hand over */
	int interrupt_fd;
};

/* What is not of the stream does not keep the end from coming. */
static void take_one(struct receiving *receiving, const uint8_t *payload, size_t size, uint8_t ttl,
	uint64_t arrived_ns)
{
	enum measure_taken taken = measure_take(receiving->measure, payload, size, ttl, arrived_ns);
	uint64_t wait_ns = receiving->wanted->wait_ns;

	if (taken == MEASURE_OTHER)
		return;
	if (taken == MEASURE_LATE && wait_ns > LATE_NS)
		wait_ns = LATE_NS;
	receiving->deadline_ns = clock_ns(CLOCK_MONOTONIC) + wait_ns;
}

static bool is_over(const struct receiving *receiving)
{
	return interrupt_came() || clock_ns(CLOCK_MONOTONIC) >= receiving->deadline_ns;
}

/* Returns when to look again. */
static uint64_t show_progress(struct receiving *receiving)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	AUTO_TEXT struct text line = {0};
	struct measured measured;

	if (progress_is_due(&receiving->progress, now_ns)) {
		measure_read(receiving->measure, &measured);
		text_printf(&line, "%" PRIu64 " datagrams, lost %" PRIu64, measured.received,
			measured.seen_lost);
		progress_show(&receiving->progress, &line);
	}
	return receiving->progress.next_ns < receiving->deadline_ns ? receiving->progress.next_ns
								    : receiving->deadline_ns;
}

/* ---- A group of the daemon ---- */

static int take_answer(struct receiving *receiving, const json_t *answer)
{
	const json_t *datagram = json_object_get(answer, "datagram");
	const json_t *gap = json_object_get(answer, "gap");
	AUTO_RECORD struct record record = {0};

	if (json_is_object(gap))
		receiving->missed += (uint64_t)json_integer_value(json_object_get(gap, "count"));
	if (!json_is_object(datagram))
		return 0;
	if (record_read(datagram, &record) < 0)
		return -EBADMSG;
	take_one(receiving, record.datagram.payload, record.datagram.size, record.datagram.ttl,
		record.datagram.timestamp_ns);
	return 0;
}

static int follow_group(struct receiving *receiving)
{
	struct client *client = receiving->session->client;
	int r = 0;

	while (!is_over(receiving)) {
		struct pollfd fds[] = {{0}, {.fd = receiving->interrupt_fd, .events = POLLIN}};
		AUTO_REPLY struct reply reply = {0};

		if (!client_ready(client)) {
			r = client_wait(client, fds, ARRAY_SIZE(fds), show_progress(receiving));
			if (r < 0)
				return session_lost(receiving->session, r);
			continue;
		}
		r = client_receive(client, &reply);
		if (r == 0 && reply.error)
			return session_refused(receiving->session, &reply, "");
		if (r == 0)
			r = take_answer(receiving, reply.parameters);
		if (r < 0)
			return session_lost(receiving->session, r);
		if (!reply.continues)
			return session_fail(
				receiving->session, EXIT_REFUSED, "mcastd ended the subscription");
	}
	return EXIT_DONE;
}

/* ---- A target ---- */

static int follow_target(struct receiving *receiving)
{
	while (!is_over(receiving)) {
		struct pollfd others[] = {
			{.fd = -1}, {.fd = receiving->interrupt_fd, .events = POLLIN}};
		struct batch batch;
		int r = receiver_next(
			receiving->receiver, others, show_progress(receiving), &batch);

		if (r < 0)
			return session_fail(receiving->session, EXIT_REFUSED, "%s", strerror(-r));
		for (unsigned i = 0; r && i < batch.count; i++)
			take_one(receiving, batch.datagrams[i].payload, batch.datagrams[i].size,
				batch.datagrams[i].ttl, batch.datagrams[i].timestamp_ns);
	}
	receiving->missed = receiver_dropped(receiving->receiver);
	return EXIT_DONE;
}

/* ---- What was found ---- */

static void append_time(struct text *line, uint64_t ns)
{
	if (ns < 10000)
		text_printf(line, "%" PRIu64 " ns", ns);
	else if (ns < 10000000)
		text_printf(line, "%" PRIu64 " us", ns / 1000);
	else
		text_printf(line, "%" PRIu64 " ms", (uint64_t)(ns / NS_PER_MS));
}

static void append_counts(struct text *line, const struct measured *measured)
{
	double part = measured->sent ? 100.0 * (double)measured->lost / (double)measured->sent : 0;

	text_printf(line,
		"received %" PRIu64 " of %" PRIu64 ": lost %" PRIu64
		" (%.2f %%), reordered %" PRIu64 ", doubled %" PRIu64 "\n",
		measured->sent - measured->lost, measured->sent, measured->lost, part,
		measured->reordered, measured->duplicates);
	if (measured->late)
		text_printf(line,
			"%" PRIu64
			" more came too late to tell whether %s counted as lost, or %s\n",
			measured->late, measured->late == 1 ? "it was" : "they were",
			measured->late == 1 ? "is a copy" : "are copies");
	if (measured->lost_at_end)
		text_printf(line,
			"of those lost, %" PRIu64 " would have come last: never sent, if the "
			"sender was stopped\n",
			measured->lost_at_end);
}

static void append_way(struct text *line, const struct measured *measured)
{
	if (measured->has_jitter) {
		text_append_string(line, "jitter ");
		append_time(line, measured->jitter_ns);
		text_append_string(line, "\n");
	}
	if (measured->has_delays) {
		text_append_string(line, "delay beyond the least, one way: half within ");
		append_time(line, measured->delay_p50_ns);
		text_append_string(line, ", 99 % within ");
		append_time(line, measured->delay_p99_ns);
		text_append_string(line, ", all within ");
		append_time(line, measured->delay_max_ns);
		text_append_string(line, "\n");
	}
	if (!measured->has_hops)
		return;
	text_printf(line, "%u hop%s", measured->hops_least, plural(measured->hops_least));
	if (measured->hops_most != measured->hops_least)
		text_printf(line, " to %u", measured->hops_most);
	text_printf(line, ": sent with TTL %u, received with %u\n", measured->ttl_sent,
		measured->ttl_seen);
}

/* Each line of the text, which the writer escapes. */
static void put_lines(struct writer *writer, char *lines)
{
	char *rest, *line;

	for (line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		writer_line(writer, line);
}

static void show_words(struct receiving *receiving, const struct measured *measured)
{
	AUTO_TEXT struct text line = {0};

	append_counts(&line, measured);
	append_way(&line, measured);
	if (measured->restarts)
		text_printf(&line, "the sender restarted %" PRIu64 " time%s\n", measured->restarts,
			plural(measured->restarts));
	if (receiving->missed)
		text_printf(&line,
			"of those lost, %" PRIu64 " had come to this host, which was too slow\n",
			receiving->missed);
	if (measured->others)
		text_printf(&line, "beside it, %" PRIu64 " other datagram%s came\n",
			measured->others, plural(measured->others));
	text_append(&line, "", 1); /* ends the string */
	if (!text_failed(&line))
		put_lines(&receiving->session->writer, line.data);
}

static void put_seconds(struct text *out, const char *name, bool is_known, uint64_t ns)
{
	json_put_member(out, name);
	if (is_known)
		text_printf(out, "%.9f", (double)ns / 1e9);
	else
		text_append_string(out, "null");
}

static void put_optional(struct text *out, const char *name, bool is_known, uint64_t number)
{
	if (is_known)
		json_put_number(out, name, number);
	else
		json_put_string(out, name, NULL);
}

static void show_json(struct receiving *receiving, const struct measured *measured)
{
	struct text *out = &receiving->session->writer.out;

	json_put_open(out, NULL, '{');
	json_put_number(out, "received", measured->received);
	json_put_number(out, "sent", measured->sent);
	json_put_number(out, "lost", measured->lost);
	json_put_number(out, "reordered", measured->reordered);
	json_put_number(out, "duplicates", measured->duplicates);
	json_put_number(out, "late", measured->late);
	json_put_number(out, "lostAtEnd", measured->lost_at_end);
	json_put_number(out, "restarts", measured->restarts);
	json_put_number(out, "missed", receiving->missed);
	json_put_number(out, "others", measured->others);
	put_seconds(out, "jitter", measured->has_jitter, measured->jitter_ns);
	put_seconds(out, "delayP50", measured->has_delays, measured->delay_p50_ns);
	put_seconds(out, "delayP99", measured->has_delays, measured->delay_p99_ns);
	put_seconds(out, "delayMax", measured->has_delays, measured->delay_max_ns);
	put_optional(out, "hops", measured->has_hops, measured->hops_least);
	put_optional(out, "hopsMax", measured->has_hops, measured->hops_most);
	json_put_close(out, '}');
	text_append(out, "\n", 1);
}

/* Returns an exit code. */
static int tell(struct receiving *receiving)
{
	struct measured measured;

	measure_read(receiving->measure, &measured);
	if (!measured.is_begun && measured.others)
		return session_fail(receiving->session, EXIT_REFUSED,
			"%" PRIu64 " datagram%s came, but no RTP; the other end is: mcastctl probe "
			"send %s",
			measured.others, plural(measured.others), receiving->wanted->word);
	if (!measured.is_begun)
		return session_fail(receiving->session, EXIT_REFUSED,
			"no datagram came; to find out why: mcastctl doctor %s",
			receiving->wanted->word);
	if (receiving->session->writer.json)
		show_json(receiving, &measured);
	else
		show_words(receiving, &measured);
	return measured.lost ? EXIT_REFUSED : EXIT_DONE;
}

/* ---- */

static int open_source(struct receiving *receiving, struct targets *targets)
{
	struct session *session = receiving->session;
	const char *word = receiving->wanted->word;
	int code = targets_read(session, &word, 1, targets);

	if (code)
		return code;
	if (targets->count)
		return receiver_open(session, targets->items, targets->count,
			NEED_TIMESTAMP | NEED_TTL, &receiving->receiver);
	session_put_names(session, "groups", &word, 1);
	return session_request(session, "Subscribe", true);
}

static int follow(struct receiving *receiving)
{
	struct session *session = receiving->session;
	uint64_t timeout_ns = receiving->wanted->timeout_ns;
	int code;

	receiving->interrupt_fd = interrupt_catch();
	if (receiving->interrupt_fd < 0)
		return session_fail(
			session, EXIT_REFUSED, "%s", strerror(-receiving->interrupt_fd));
	receiving->deadline_ns = timeout_ns ? clock_ns(CLOCK_MONOTONIC) + timeout_ns : UINT64_MAX;
	progress_begin(&receiving->progress, false);
	code = receiving->receiver ? follow_target(receiving) : follow_group(receiving);
	progress_erase(&receiving->progress);
	return code ? code : tell(receiving);
}

int probe_receive(struct session *session, const struct probe_receiving *wanted)
{
	struct receiving receiving = {
		.session = session, .wanted = wanted, .measure = measure_new()};
	AUTO_TARGETS struct targets targets = {0};
	int code = receiving.measure ? open_source(&receiving, &targets)
				     : session_fail(session, EXIT_REFUSED, "out of memory");

	if (!code)
		code = follow(&receiving);
	receiver_close(receiving.receiver);
	measure_free(receiving.measure);
	return code;
}
