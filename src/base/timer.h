/* Timers of libevent that always fire. */
#pragma once

#include <event2/event.h>

/* Starts a timer, or starts it again. Where there is no memory for that, it is due at once: its
 * callback comes too early, and never not at all. event_active(3) needs no memory. */
static inline void timer_start(struct event *timer, const struct timeval *delay)
{
	if (evtimer_add(timer, delay) < 0)
		event_active(timer, EV_TIMEOUT, 0);
}
