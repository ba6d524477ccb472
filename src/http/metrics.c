/* /metrics: the daemon in numbers, for Prometheus and whatever else reads its format. */
#include "http/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "http/page.h"
#include "http/samples.h"
#include "net/user.h"

/* ---- The daemon ---- */

static uint64_t one(void *object)
{
	(void)object;
	return 1;
}

static uint64_t read_users(void *object)
{
	const struct http_context *context = object;
	const struct user *user;
	uint64_t count = 0;

	list_for_each(user, &context->users->list, link)
		count++;
	return count;
}

static uint64_t read_connections(void *object)
{
	return ((const struct http_context *)object)->users->connections;
}

static const struct value build_rows[] = {
	{NULL,
		{"mcastd_build_info", METRIC_GAUGE,
			"The version of the daemon, as a label; always 1."},
		.read = one},
};

static const struct value_table build_values = {
	NULL, "version", build_rows, ARRAY_SIZE(build_rows)};

static const struct value daemon_rows[] = {
	{NULL,
		{"mcastd_start_time_seconds", METRIC_GAUGE,
			"When the daemon started, in seconds since 1970."},
		VALUE_TIME, .offset = offsetof(struct http_context, started_ns)},
	{NULL,
		{"mcastd_restarts_total", METRIC_COUNTER,
			"How often the service was started again since its counters began, which "
			"go on while systemd stores them."},
		.offset = offsetof(struct http_context, restarts)},
	{NULL,
		{"mcastd_users", METRIC_GAUGE,
			"Local users with a connection to the control socket or a group socket."},
		.read = read_users},
	{NULL,
		{"mcastd_user_connections", METRIC_GAUGE,
			"Open connections to the control socket and the group sockets."},
		.read = read_connections},
};

static const struct value_table daemon_values = {NULL, "", daemon_rows, ARRAY_SIZE(daemon_rows)};

static bool put_daemon(
	const struct http_context *context, struct metrics_cursor *cursor, struct text *text)
{
	struct http_context copy = *context;
	struct sample_of build = {.labels = {{"version", context->version}}, .label_count = 1};
	struct sample_of daemon = {.object = &copy, .record = &copy};
	struct status_numbers numbers;
	struct sample_of status = {.object = &numbers, .record = &numbers};

	(void)cursor;
	status_numbers_read(
		context->groups, context->handlers, control_count(*context->control), &numbers);
	samples_put_all(text, &build_values, &build);
	samples_put_all(text, &daemon_values, &daemon);
	samples_put_all(text, &status_values, &status);
	return true;
}

/* ---- Its loop ---- */

static uint64_t read_longest(void *object)
{
	return loop_meter_longest(object, clock_ns(CLOCK_MONOTONIC));
}

static const struct value loop_rows[] = {
	{NULL,
		{"mcastd_loop_rounds_total", METRIC_COUNTER,
			"Rounds of the event loop while the HTTP server was turned on."},
		.offset = offsetof(struct loop_meter, rounds)},
	{NULL,
		{"mcastd_loop_busy_seconds_total", METRIC_COUNTER,
			"Processor time of these rounds, in seconds."},
		VALUE_NS, .offset = offsetof(struct loop_meter, busy_ns)},
	{NULL,
		{"mcastd_loop_longest_round_seconds", METRIC_GAUGE,
			"Processor time of the longest round of the last one to two minutes, or "
			"since two readings ago where that is longer, in seconds."},
		VALUE_NS, .read = read_longest},
};

static const struct value_table loop_values = {NULL, "", loop_rows, ARRAY_SIZE(loop_rows)};

static bool put_loop(
	const struct http_context *context, struct metrics_cursor *cursor, struct text *text)
{
	struct sample_of loop = {.object = context->meter, .record = context->meter};

	(void)cursor;
	samples_put_all(text, &loop_values, &loop);
	return true;
}

/* ---- The HTTP server ---- */

static const struct value piece_rows[] = {
	{NULL,
		{"mcastd_http_longest_piece_seconds", METRIC_GAUGE,
			"How long the longest piece of an answer kept the loop away from the "
			"rest: the same as for its rounds."},
		VALUE_NS, .read = read_longest},
};

static const struct value_table piece_values = {NULL, "", piece_rows, ARRAY_SIZE(piece_rows)};

static uint64_t read_http_connections(void *object)
{
	return ((const struct http_counters *)object)->connections;
}

static const struct value answer_rows[] = {
	{NULL,
		{"mcastd_http_requests_total", METRIC_COUNTER,
			"Requests to the HTTP server that were answered, by the code of the "
			"answer."},
		.unit = VALUE_NUMBER},
};

static const struct value_table answer_values = {
	NULL, "code", answer_rows, ARRAY_SIZE(answer_rows)};

#define IN_HTTP(member) .offset = offsetof(struct http_counters, member)

static const struct value http_rows[] = {
	{NULL, {"mcastd_http_connections", METRIC_GAUGE, "Open connections to the HTTP server."},
		.read = read_http_connections},
	{NULL, {"mcastd_http_connections_total", METRIC_COUNTER, "Connections to the HTTP server."},
		IN_HTTP(accepted)},
	{NULL,
		{"mcastd_http_displaced_connections_total", METRIC_COUNTER,
			"Connections that were closed because there were too many."},
		IN_HTTP(displaced)},
	{NULL,
		{"mcastd_http_timed_out_connections_total", METRIC_COUNTER,
			"Connections that were closed because the other side wrote no request, or "
			"did not read its answer."},
		IN_HTTP(timed_out)},
	{NULL,
		{"mcastd_http_sent_bytes_total", METRIC_COUNTER,
			"Bytes of the pages that were sent, without headers."},
		IN_HTTP(sent_bytes)},
};

static const struct value_table http_values = {NULL, "", http_rows, ARRAY_SIZE(http_rows)};

static void put_answers(const struct http_counters *counters, struct text *text)
{
	struct family family = {text, answer_rows, &(bool){false}};
	char code[12];

	for (size_t i = 0; i < HTTP_CODES_MAX && counters->answers[i].code; i++) {
		struct sample_of of = {.record = &counters->answers[i].count,
			.labels = {{"code", code}},
			.label_count = 1};

		snprintf(code, sizeof(code), "%d", counters->answers[i].code);
		samples_put(&family, &of);
	}
}

static bool put_http(
	const struct http_context *context, struct metrics_cursor *cursor, struct text *text)
{
	struct http_counters copy = *context->counters;
	struct sample_of of = {.object = &copy, .record = &copy};
	struct sample_of pieces = {.object = context->pieces, .record = context->pieces};

	(void)cursor;
	samples_put_all(text, &piece_values, &pieces);
	put_answers(&copy, text);
	samples_put_all(text, &http_values, &of);
	return true;
}

/* ---- The page ---- */

const struct value_table *const metrics_tables[] = {&build_values, &daemon_values, &status_values,
	&loop_values, &piece_values, &answer_values, &http_values, &group_values,
	&membership_values, &way_values, &numbered_values, &leg_values, &sender_values,
	&jitter_values, &stream_values, &handler_info_values, &handler_values, &counted_values,
	&interface_values, &input_values, NULL};

/* In their order. */
static const metrics_part parts[] = {
	put_daemon, put_loop, put_http, metrics_put_groups, metrics_put_handlers};

struct metrics {
	struct answer answer;
	const struct http_context *context;
	size_t part;
	struct metrics_cursor cursor;
};

static bool next(struct answer *answer, struct text *text)
{
	struct metrics *metrics = container_of(answer, struct metrics, answer);

	if (!parts[metrics->part](metrics->context, &metrics->cursor, text))
		return false;
	handler_samples_free(metrics->cursor.handlers);
	metrics->cursor = (struct metrics_cursor){0};
	return ++metrics->part == ARRAY_SIZE(parts);
}

static void free_metrics(struct answer *answer)
{
	struct metrics *metrics = container_of(answer, struct metrics, answer);

	handler_samples_free(metrics->cursor.handlers);
	free(metrics);
}

static struct answer *open_metrics(const struct http_context *context)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	if (!metrics)
		return NULL;
	metrics->answer = (struct answer){.next = next, .free = free_metrics};
	metrics->context = context;
	return &metrics->answer;
}

const struct http_page metrics_page = {
	.path = "/metrics", .type = EXPOSITION_TYPE, .open = open_metrics};
