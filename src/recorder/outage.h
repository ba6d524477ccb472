/* A time in which a recorder cannot write, or cannot rotate: why, when to try again, and how many
 * records it cost. Zeroed, there is none. The pause between two attempts is 100 ms at first, and
 * doubles up to 5 s. An outage that begins soon after the last one ended continues with its pauses:
 * otherwise a disk that is almost full would cause a flood of attempts and messages. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/errors.h"
#include "base/log.h"

#define RECORDER_PAUSE_MIN_NS (100 * NS_PER_MS)
#define RECORDER_PAUSE_MAX_NS (5 * NS_PER_S)

struct recorder_outage {
	bool on;
	uint64_t since_ns, ended_ns, retry_ns; /* CLOCK_MONOTONIC */
	uint64_t pause_ns;
	uint64_t lost; /* records */
	char why[WHY_MAX]; /* as it was logged last */
	struct log_limit limit;
};

/* Whether it is too early to try again. */
static inline bool recorder_outage_holds(const struct recorder_outage *outage, uint64_t now_ns)
{
	return outage->on && now_ns < outage->retry_ns;
}

/* After a failure. Returns whether to log why: for the first time, or now for another reason. */
static inline bool recorder_outage_fail(
	struct recorder_outage *outage, uint64_t now_ns, const char *why)
{
	bool first = !outage->on;

	if (first && (!outage->ended_ns || now_ns - outage->ended_ns > RECORDER_PAUSE_MAX_NS))
		outage->pause_ns = RECORDER_PAUSE_MIN_NS;
	else
		outage->pause_ns *= 2;
	if (outage->pause_ns > RECORDER_PAUSE_MAX_NS)
		outage->pause_ns = RECORDER_PAUSE_MAX_NS;
	if (first) {
		outage->since_ns = now_ns;
		outage->lost = 0;
	}
	outage->on = true;
	outage->retry_ns = now_ns + outage->pause_ns;
	if (!first && (!strcmp(why, outage->why) || !log_limit_pass(&outage->limit)))
		return false;
	snprintf(outage->why, sizeof(outage->why), "%s", why);
	return true;
}

/* After a success. Returns whether there was an outage. */
static inline bool recorder_outage_end(struct recorder_outage *outage, uint64_t now_ns)
{
	bool was_on = outage->on;

	if (was_on)
		outage->ended_ns = now_ns;
	outage->on = false;
	outage->retry_ns = 0;
	return was_on;
}
