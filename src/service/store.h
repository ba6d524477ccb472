/* Descriptors that systemd keeps from one run of the daemon to the next, over a restart, a crash and a kill
 * (sd_pid_notify_with_fds(3), FDSTORE=1; FileDescriptorStoreMax=). */
#pragma once

#include <stdbool.h>

struct handover;
struct store;

/* The store behind what was handed over, which must live until store_settle(). Returns NULL without memory. */
struct store *store_new(struct handover *handover);
void store_free(struct store *store);

/* What an earlier run has put by under this name, which is the caller's then; or -ENOENT. */
int store_claim(struct store *store, const char *name);

/* Puts a copy by. Returns whether it did: there may be no store, or it may be full. */
bool store_put(struct store *store, const char *name, int fd);

/* Gives what lies under a name up, which was put or claimed. */
void store_remove(struct store *store, const char *name);

/* After the start: gives up what lies under names that begin with prefix and that nobody has claimed. */
void store_settle(struct store *store, const char *prefix);
