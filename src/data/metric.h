/* What a metric is called and means, for those who declare and those who show it. */
#pragma once

enum metric_type {
	METRIC_COUNTER, /* only grows, from zero when the daemon starts or is reset */
	METRIC_GAUGE,
	METRIC_SUM, /* of a summary without quantiles, whose count must be the next metric */
	METRIC_COUNT,
};

/* The name begins with mcastd_, and ends in the base unit (_seconds, _bytes), a counter's in
 * _total. Those of a summary have its name, and _sum and _count behind it. */
struct metric {
	const char *name;
	enum metric_type type;
	const char *help; /* one sentence, for people; that of a sum is the summary's */
};
