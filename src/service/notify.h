/* Messages to the service manager (sd_notify(3)). Sending never waits: a message for which the
 * manager's socket has no room is sent from the loop as soon as there is. Outside of systemd there
 * is no struct notify; all functions accept NULL and do nothing. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct notify;

/* Connects to $NOTIFY_SOCKET. If the unit has WatchdogSec=, the loop reports to the watchdog from
 * now on. *ret is NULL without $NOTIFY_SOCKET. Returns 0 or a negative errno. */
int notify_new(struct event_base *base, struct notify **ret);

/* Discards the messages that are still queued. */
void notify_free(struct notify *notify);

/* Started, or reloaded; status is one line for "systemctl status". */
void notify_ready(struct notify *notify, const char *status);
void notify_status(struct notify *notify, const char *status);
void notify_reloading(struct notify *notify);

/* Extends the timeout of the start or stop that is in progress (EXTEND_TIMEOUT_USEC=). */
void notify_extend(struct notify *notify, unsigned seconds);
void notify_stopping(struct notify *notify);

/* Queues a request to add fd to the fd store under this name, or with -1 to remove what is stored
 * under it. Takes fd over. The loop sends it, after all of the above: at the start, systemd is to
 * read first that the daemon is ready. Not for NULL. Returns whether it is queued. */
bool notify_store(struct notify *notify, const char *name, int fd);
unsigned notify_stores_queued(const struct notify *notify);

/* Sends all queued messages, and waits for room until the deadline, CLOCK_MONOTONIC. Returns
 * whether all are sent. */
bool notify_flush(struct notify *notify, uint64_t deadline_ns);
