/* Which datagrams a handler gets: by source, size and what is in them; every n-th; at a limited
 * rate. Datagrams beyond the rate are counted as dropped, the others as filtered. */
#pragma once

#include "config/config.h"
#include "config/match.h"
#include "data/account.h"
#include "data/datagram.h"

/* What is read of a struct config_test. */
struct filter_test {
	bool is_given;
	uint8_t *prefix;
	size_t prefix_size;
	struct match *matches;
	size_t match_count;
};

struct filter {
	struct config_filter wanted; /* a copy */
	struct filter_test is, is_not;
	bool is_open; /* everything passes */
	uint64_t counted; /* datagrams, for sampling */
	uint64_t ahead_ns; /* for the rate: the theoretical arrival time, CLOCK_MONOTONIC */
};

/* Copies config. Returns 0 or -ENOMEM. */
int filter_init(struct filter *filter, const struct config_filter *config);
void filter_clear(struct filter *filter);

/* What the filter reads of datagrams, of enum need. */
unsigned filter_needs(const struct filter *filter);

/* Numbers of datagrams of a batch that do not pass. */
struct filtered {
	unsigned filtered, over_rate;
};

/* Copies the datagrams that pass to passed, which has room for BATCH_MAX, and returns their number.
 * now_ns is CLOCK_MONOTONIC, and used only with a rate. */
unsigned filter_apply(struct filter *filter, const struct batch *batch, uint64_t now_ns,
	struct datagram *passed, struct filtered *ret_rejected);
