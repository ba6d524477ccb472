#include "net/portions.h"

#include <event2/event.h>

#include "base/clock.h"
#include "base/timer.h"

/* The loop is away for this duration at most, and for this delay it is not. */
#define PORTION_NS (2 * NS_PER_MS)
#define REST_US 1000

static void do_portion(struct portions *portions)
{
	static const struct timeval rest = {.tv_usec = REST_US};
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + PORTION_NS;

	while (portions->step(portions->argument))
		if (clock_ns(CLOCK_MONOTONIC) >= end_ns) {
			timer_start(&portions->next, &rest);
			return;
		}
}

static void on_next(evutil_socket_t fd, short what, void *argument)
{
	(void)fd, (void)what;
	do_portion(argument);
}

void portions_init(struct portions *portions, struct event_base *base, bool (*step)(void *argument),
	void *argument)
{
	*portions = (struct portions){.step = step, .argument = argument};
	evtimer_assign(&portions->next, base, on_next, portions);
}

void portions_start(struct portions *portions)
{
	if (!evtimer_pending(&portions->next, NULL))
		do_portion(portions);
}

void portions_stop(struct portions *portions)
{
	if (portions->step)
		evtimer_del(&portions->next);
}
