/* Which datagrams a handler gets: by sender, size and first bytes, one in so many, and so many in a
 * time. What a filter keeps out is counted as filtered, what the rate keeps out as dropped. */
#pragma once

#include "config/config.h"
#include "data/account.h"
#include "data/datagram.h"

struct filter {
	struct config_filter wanted; /* a copy */
	uint8_t *prefix;
	size_t prefix_size;
	bool is_open; /* everything passes */
	uint64_t counted; /* for sampling: datagrams seen */
	uint64_t ahead_ns; /* for the rate: CLOCK_MONOTONIC at which what has passed is paid for */
};

/* Copies what it needs of config. Returns 0 or -ENOMEM. */
int filter_init(struct filter *filter, const struct config_filter *config);
void filter_clear(struct filter *filter);

/* What datagrams must carry to be filtered, of enum need. */
unsigned filter_needs(const struct filter *filter);

/* How many of a batch were kept out. */
struct filtered {
	unsigned filtered, over_rate;
};

/* Copies the datagrams that pass to passed, which has room for BATCH_MAX, and returns how many.
 * now_ns is CLOCK_MONOTONIC, and only looked at with a rate. */
unsigned filter_apply(struct filter *filter, const struct batch *batch, uint64_t now_ns,
	struct datagram *passed, struct filtered *ret_kept_out);
