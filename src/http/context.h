/* What pages may look at. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/control.h"
#include "data/loop_meter.h"
#include "groups/groups.h"
#include "handlers/handlers.h"

/* How many different answers are counted apart. */
#define HTTP_CODES_MAX 8

struct http_counters {
	unsigned connections; /* open now */
	uint64_t accepted;
	uint64_t displaced; /* closed to make room for another one */
	uint64_t timed_out;
	uint64_t sent_bytes; /* of pages, without headers */
	struct {
		int code;
		uint64_t count;
	} answers[HTTP_CODES_MAX]; /* up to the first without a code */
};

struct recent_events;
struct status;

struct http_context {
	const char *version;
	uint64_t started_ns; /* CLOCK_REALTIME */
	const struct groups *groups;
	const struct handlers *handlers;
	struct loop_meter *meter;
	const struct users *users;
	struct control *const *control; /* points to NULL where there is no control socket */
	uint64_t restarts; /* of the service, as far back as its counters go */
	const struct recent_events *recent;
	struct status *status; /* what /status.json shares between its readers */
	const struct http_counters *counters;
	struct loop_meter *pieces; /* of answers, as rounds */
	bool senders; /* whether the answers may have addresses of senders; may change with a reload
		       */
};
