/* Messages to the service manager, and its watchdog (sd_notify(3)). Sending never waits: a message
 * for which the manager's socket has no room is sent from the loop as soon as there is. Outside of
 * systemd there is no struct notify: notify_send() and notify_flush() accept NULL and do nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct event_base;
struct notify;

/* Connects to $NOTIFY_SOCKET. If the unit has WatchdogSec=, the loop reports to the watchdog from
 * now on. *ret is NULL without $NOTIFY_SOCKET. Returns 0 or a negative errno. */
int notify_new(struct event_base *base, struct notify **ret);

/* Discards what is still queued. Accepts NULL. */
void notify_free(struct notify *notify);

/* Sends a state, as sd_notifyf(3). Of queued states, only the newest remain. */
void notify_send(struct notify *notify, const char *format, ...) PRINTF_LIKE(2, 3);

/* Queues a request to add fd to the fd store under this name, or with -1 to remove what is stored
 * under it. Takes fd over. Sent from the loop, after all states: at the start, systemd must first
 * read that the daemon is ready. Returns whether it is queued. */
bool notify_store(struct notify *notify, const char *name, int fd);
unsigned notify_stores_queued(const struct notify *notify);

/* Sends all that is queued, and waits for room until the deadline, CLOCK_MONOTONIC. Returns whether
 * all is sent. */
bool notify_flush(struct notify *notify, uint64_t deadline_ns);
