/* What a metric is called and means, for those who declare and those who show it. */
#pragma once

enum metric_type {
	METRIC_COUNTER, /* only grows, from zero when the daemon starts or is reset */
	METRIC_GAUGE,
};

/* The name begins with mcastd_, and ends in the base unit (_seconds, _bytes), a counter's in
 * _total. */
struct metric {
	const char *name;
	enum metric_type type;
	const char *help; /* one sentence, for people */
};
