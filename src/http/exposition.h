/* Prometheus' text format, version 0.0.4: what a metric is, then its samples, one a line. Pure.
 *
 * All samples of a metric must follow its head before the next head. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "data/metric.h"

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct label {
	const char *name; /* letters, digits and _ */
	const char *value; /* any bytes, see exposition.c */
};

/* Appends # HELP and # TYPE; for a summary with its sum. */
void exposition_head(struct text *text, const struct metric *metric);

/* Appends one sample: a count, bytes, or 0 and 1. */
void exposition_number(struct text *text, const struct metric *metric, const struct label *labels,
	size_t label_count, uint64_t value);

/* The same for a number of billionths, such as seconds that are known in nanoseconds. */
void exposition_decimal(struct text *text, const struct metric *metric, const struct label *labels,
	size_t label_count, uint64_t billionths);
