/* Tries again what the kernel refused, after 1 s, 2 s, 4 s ... 60 s: a port may be free by then,
 * and nothing tells. */
#pragma once

#include "base/list.h"

struct event_base;
struct interface_list;
struct retries;

/* Embedded in what is tried again, and zeroed before. */
struct retry {
	struct link link;
};

/* again() calls retry_cancel() where it succeeds. Returns NULL without memory. */
struct retries *retries_new(struct event_base *base,
	void (*again)(struct retry *retry, const struct interface_list *interfaces));

/* None may be left. Accepts NULL. */
void retries_free(struct retries *retries);

/* Has one tried until it is cancelled. One more starts the delays over, for all. */
void retry_add(struct retries *retries, struct retry *retry);

void retry_cancel(struct retry *retry);
