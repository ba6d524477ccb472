/* Tries again what the kernel refused, after 1 s, 2 s, 4 s ... 60 s: a port may be free by then, or
 * a read allowed, and nothing tells. */
#pragma once

#include "base/list.h"

struct event_base;
struct interface_list;
struct retries;
struct transitions;

/* Embedded in what is tried again, and zeroed before. */
struct retry {
	struct link link;
};

/* again() is given the interfaces, and calls retry_cancel() where it succeeds. Its transitions are
 * logged at the end of each round. Both must live longer. Returns NULL without memory. */
struct retries *retries_new(struct event_base *base, const struct interface_list *interfaces,
	struct transitions *transitions,
	void (*again)(struct retry *retry, const struct interface_list *interfaces));

/* None may be left. Accepts NULL. */
void retries_free(struct retries *retries);

/* Has one tried until it is cancelled. One more starts the delays over, for all. */
void retry_add(struct retries *retries, struct retry *retry);

void retry_cancel(struct retry *retry);
