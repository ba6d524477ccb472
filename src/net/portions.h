/* Work of the loop that takes long, such as ten thousand groups that change: in portions of some
 * milliseconds, with other events in between. */
#pragma once

#include <event2/event_struct.h>
#include <stdbool.h>

/* Embedded in what is done in portions. */
struct portions {
	struct event next;
	bool (*step)(void *argument);
	void *argument;
};

/* step() does a little, much less than a millisecond of work, and returns whether there is more to
 * do. It may start the same work again once it has returned false. */
void portions_init(struct portions *portions, struct event_base *base, bool (*step)(void *argument),
	void *argument);

/* Does a portion now, and the rest from the loop. Where the rest of an earlier start is still to
 * be done, it goes on as it was. */
void portions_start(struct portions *portions);

/* Nothing more is done. Accepts what is zeroed. */
void portions_stop(struct portions *portions);
