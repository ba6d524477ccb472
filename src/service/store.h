/* Descriptors that systemd keeps from one run of the daemon to the next, over a restart, a crash
 * and a kill (sd_pid_notify_with_fds(3), FDSTORE=1; FileDescriptorStoreMax=).
 *
 * Telling systemd means waiting for it, so a thread does: what is put and removed takes effect
 * soon, and in order. */
#pragma once

#include <stdbool.h>

/* Room for a name, with its terminator. */
#define STORE_NAME_MAX 64

struct handover;
struct store;

/* The store behind what was handed over, which must live until store_settle(). Returns NULL without
 * memory. */
struct store *store_new(struct handover *handover);

/* Waits until systemd has been told everything. Accepts NULL. */
void store_free(struct store *store);

/* What an earlier run has put by under this name, which is the caller's then; or -ENOENT. */
int store_claim(struct store *store, const char *name);

/* The next of what an earlier run has put by under names that begin with prefix. */
int store_claim_next(struct store *store, const char *prefix, char ret_name[static STORE_NAME_MAX]);

/* Puts a copy by. Returns whether it will be kept: there may be no store, or it may be full. */
bool store_put(struct store *store, const char *name, int fd);

/* Gives what lies under a name up, which was put or claimed. */
void store_remove(struct store *store, const char *name);

/* Whether there is one. */
bool store_exists(const struct store *store);

/* How many descriptors there was no room for. */
unsigned store_refused(const struct store *store);

/* After the start: nothing can be claimed any more. */
void store_settle(struct store *store);
