/* Of which addresses something was logged: of each once, and of one a minute at most. Senders
 * choose their addresses: after a few there is an hour's pause, and then all are new again. */
#pragma once

#include "net/address.h"

#define TOLD_MAX 16

/* Zeroed while there are none. */
struct told {
	struct address addresses[TOLD_MAX];
	unsigned count;
	uint64_t next_ns; /* no line before then */
};

/* Whether to log it now; then it is remembered. now_ns is of CLOCK_MONOTONIC. */
bool told_is_new(struct told *told, const struct address *address, uint64_t now_ns);
