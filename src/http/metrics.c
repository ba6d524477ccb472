/* /metrics: the daemon in numbers, for Prometheus and whatever else reads its format. */
#include "http/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "http/page.h"

static const struct metric build_info = {
	"mcastd_build_info", METRIC_GAUGE, "The version of the daemon, as a label; always 1."};
static const struct metric start_time = {"mcastd_start_time_seconds", METRIC_GAUGE,
	"When the daemon started, in seconds since 1970."};

static bool put_daemon(
	const struct http_context *context, struct metrics_cursor *cursor, struct text *text)
{
	const struct label version = {"version", context->version};

	(void)cursor;
	exposition_head(text, &build_info);
	exposition_number(text, &build_info, &version, 1, 1);
	exposition_head(text, &start_time);
	exposition_seconds(text, &start_time, NULL, 0, context->started_ns);
	return true;
}

static const struct metric rounds = {"mcastd_loop_rounds_total", METRIC_COUNTER,
	"Rounds of the event loop since the HTTP server was turned on."};
static const struct metric busy = {"mcastd_loop_busy_seconds_total", METRIC_COUNTER,
	"Processor time of these rounds, in seconds."};
static const struct metric longest = {"mcastd_loop_longest_round_seconds", METRIC_GAUGE,
	"Processor time of the longest round of the last one to two minutes, in seconds."};

static bool put_loop(
	const struct http_context *context, struct metrics_cursor *cursor, struct text *text)
{
	struct loop_meter *meter = context->meter;

	(void)cursor;
	exposition_head(text, &rounds);
	exposition_number(text, &rounds, NULL, 0, meter->rounds);
	exposition_head(text, &busy);
	exposition_seconds(text, &busy, NULL, 0, meter->busy_ns);
	exposition_head(text, &longest);
	exposition_seconds(
		text, &longest, NULL, 0, loop_meter_longest(meter, clock_ns(CLOCK_MONOTONIC)));
	return true;
}

static const struct metric requests = {"mcastd_http_requests_total", METRIC_COUNTER,
	"Requests to the HTTP server that were answered, by the code of the answer."};

static void put_requests(const struct http_counters *counters, struct text *text)
{
	char code[12];
	const struct label label = {"code", code};

	exposition_head(text, &requests);
	for (size_t i = 0; i < HTTP_CODES_MAX && counters->answers[i].code; i++) {
		snprintf(code, sizeof(code), "%d", counters->answers[i].code);
		exposition_number(text, &requests, &label, 1, counters->answers[i].count);
	}
}

static bool put_http(
	const struct http_context *context, struct metrics_cursor *cursor, struct text *text)
{
	const struct http_counters *counters = context->counters;
	const struct {
		struct metric metric;
		uint64_t value;
	} samples[] = {
		{{"mcastd_http_connections", METRIC_GAUGE, "Open connections to the HTTP server."},
			counters->connections},
		{{"mcastd_http_connections_total", METRIC_COUNTER,
			 "Connections to the HTTP server."},
			counters->accepted},
		{{"mcastd_http_displaced_connections_total", METRIC_COUNTER,
			 "Connections that were closed because there were too many."},
			counters->displaced},
		{{"mcastd_http_timed_out_connections_total", METRIC_COUNTER,
			 "Connections that were closed because the other side wrote no request, or "
			 "did not read its answer."},
			counters->timed_out},
		{{"mcastd_http_sent_bytes_total", METRIC_COUNTER,
			 "Bytes of the pages that were sent, without headers."},
			counters->sent_bytes},
	};

	(void)cursor;
	put_requests(counters, text);
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		exposition_head(text, &samples[i].metric);
		exposition_number(text, &samples[i].metric, NULL, 0, samples[i].value);
	}
	return true;
}

/* In their order. */
static const metrics_part parts[] = {put_daemon, put_loop, put_http};

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
	metrics->cursor = (struct metrics_cursor){0};
	return ++metrics->part == ARRAY_SIZE(parts);
}

static void free_metrics(struct answer *answer)
{
	free(container_of(answer, struct metrics, answer));
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
