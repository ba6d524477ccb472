/* Tells systemd's watchdog that the loop goes round (sd_watchdog_enabled(3), WatchdogSec=). */
#pragma once

struct event_base;
struct watchdog;

/* Begins to tell it, from the loop itself. *ret is NULL where no watchdog is set. Returns 0 or
 * -ENOMEM. */
int watchdog_new(struct event_base *base, struct watchdog **ret);

/* Accepts NULL. */
void watchdog_free(struct watchdog *watchdog);
