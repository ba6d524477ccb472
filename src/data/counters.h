/* The memory that counters lie in. It is a file without a name (memfd_create(2)), which a service
 * manager can keep for the next run of the daemon: counters then go on where they were, also after
 * a crash.
 *
 * A record belongs to a key, such as "group news", and its owner reads and writes it in place. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct counters;

/* Opens the memory of an earlier run, whose descriptor is taken over, or with -1 new memory. What
 * an earlier run has left in another layout is not used. Returns 0 or a negative errno. */
int counters_open(int fd, struct counters **ret);

/* Unmaps it. The records stay as they are for whoever keeps the descriptor. Accepts NULL. */
void counters_free(struct counters *counters);

int counters_fd(const struct counters *counters);

/* The record of a key: the one of the earlier run, or one of zeros. NULL without memory. size must
 * be the same for a key at all times. Records do not move. */
void *counters_take(struct counters *counters, const char *key, size_t size);

/* Forgets a record. Accepts NULL. Safe from any thread, like counters_take(). */
void counters_release(struct counters *counters, void *record);

/* Forgets what the earlier run has left and nobody has taken. */
void counters_settle(struct counters *counters);

/* The daemon stops: from now on nothing is forgotten, so that the next run finds it. */
void counters_freeze(struct counters *counters);
