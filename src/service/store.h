/* Descriptors from systemd: sockets that it listens on for the daemon (sd_listen_fds(3)), and those
 * in the fd store, where they outlive a restart, a crash and a kill of the daemon
 * (sd_pid_notify_with_fds(3), FDSTORE=1; FileDescriptorStoreMax=). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Room for a name, with its terminator. */
#define STORE_NAME_MAX 64

/* What is stored, each with a maximum of its own. systemd compares each descriptor with all that it
 * has: ten thousand would take it half a minute. */
enum store_share {
	STORE_MEMBERSHIPS, /* sockets of memberships, and the counters */
	STORE_SOCKETS, /* listening sockets of groups */
	STORE_PROGRAMS, /* the queue of connections to those (service/fd_queue), and what is known
			   of them: only from a stop to the next start */
	STORE_SHARES,
};

struct notify;
struct store;

/* Takes over all descriptors that systemd has passed; outside of it there are none. notify may be
 * NULL: then nothing can be stored. Returns 0 or a negative errno. */
int store_new(struct notify *notify, struct store **ret);

/* Closes what nobody has taken. Accepts NULL. */
void store_free(struct store *store);

/* The listening socket of this name, which is the caller's then; or -ENOENT. */
int store_listening(struct store *store, const char *name);

/* The same, and it stays the store's. */
int store_peek(struct store *store, const char *name);

/* What an earlier run has stored under this name, which is the caller's then; or -ENOENT. It stays
 * in the store. */
int store_restore(struct store *store, enum store_share share, const char *name);

/* The same for the next name that begins with prefix. */
int store_restore_next(struct store *store, enum store_share share, const char *prefix,
	char ret_name[static STORE_NAME_MAX]);

/* After the start: closes what nobody has taken; nothing can be restored any more. */
void store_settle(struct store *store);

/* Stores a duplicate. Returns false if there is no store, or no room in it. */
bool store_add(struct store *store, enum store_share share, const char *name, int fd);

/* Removes what was stored, or restored, under this name: one descriptor. */
void store_remove(struct store *store, enum store_share share, const char *name);

/* Whether descriptors can be stored. */
bool store_exists(const struct store *store);

/* The number of memberships' descriptors that are stored at most, and of those for which there was
 * no room. */
unsigned store_capacity(const struct store *store);
unsigned store_refused(const struct store *store);

/* At the stop: waits until systemd has been sent all that is to be stored. If that fails until the
 * deadline, CLOCK_MONOTONIC, there is no store from now on. */
void store_flush(struct store *store, uint64_t deadline_ns);
