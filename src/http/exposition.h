/* Prometheus' text format, version 0.0.4: what a metric is, then its samples, one a line. Pure.
 *
 * Names begin with mcastd_, and end in their base unit (_seconds, _bytes), counters in _total. All
 * samples of a metric must follow its head before the next head. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metric_type {
	METRIC_COUNTER, /* only grows, from zero when the daemon starts or is reset */
	METRIC_GAUGE,
};

struct metric {
	const char *name;
	enum metric_type type;
	const char *help; /* one sentence, for people */
};

struct label {
	const char *name; /* letters, digits and _ */
	const char *value; /* any bytes; those that are not UTF-8 become \xHH, see base/escape.h */
};

/* Appends # HELP and # TYPE. */
void exposition_head(struct text *text, const struct metric *metric);

/* Appends one sample: a count, bytes, or 0 and 1. */
void exposition_number(struct text *text, const struct metric *metric, const struct label *labels,
	size_t label_count, uint64_t value);

/* Appends one sample in seconds, exactly. */
void exposition_seconds(struct text *text, const struct metric *metric, const struct label *labels,
	size_t label_count, uint64_t ns);
