#include "service/watchdog.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdint.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

struct watchdog {
	struct event timer;
};

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	(void)fd, (void)what, (void)argument;
	sd_notify(0, "WATCHDOG=1");
}

int watchdog_new(struct event_base *base, struct watchdog **ret)
{
	struct watchdog *watchdog;
	struct timeval interval;
	uint64_t limit_us;

	*ret = NULL;
	if (sd_watchdog_enabled(0, &limit_us) <= 0)
		return 0;
	watchdog = calloc(1, sizeof(*watchdog));
	if (!watchdog)
		return -ENOMEM;
	/* A third of it: one that is late by as much again is no reason to be killed. */
	interval = (struct timeval){.tv_sec = (time_t)(limit_us / 3 / 1000000),
		.tv_usec = (suseconds_t)(limit_us / 3 % 1000000)};
	event_assign(&watchdog->timer, base, -1, EV_PERSIST, on_timer, NULL);
	event_add(&watchdog->timer, &interval);
	*ret = watchdog;
	return 0;
}

void watchdog_free(struct watchdog *watchdog)
{
	if (!watchdog)
		return;
	event_del(&watchdog->timer);
	free(watchdog);
}
