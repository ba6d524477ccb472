/* The connection of a handler to one of its nats-servers. libnats connects, authenticates and
 * parses; but it reads and writes in the handler's thread, when that says so, and no other thread
 * has a part in it: that costs a quarter of what its own threads do.
 *
 * Making a connection may block, so each attempt (engines/nats/attempt.h) has a thread of its own,
 * one at a time. libnats never connects again by itself: a connection that ends is replaced by
 * another one, on which nothing is repeated that the handler does not send again. */
#pragma once

#include <nats/nats.h>
#include <stdbool.h>
#include <stdint.h>

#include "engines/keys.h"

#define NATS_WHY_MAX 512

struct nats_link;

/* For a handler of this name. settings need not outlive the call. Returns 0, or a negative errno
 * with the reason in why: a file that cannot be read. */
int nats_link_new(const struct nats_settings *settings, const char *handler,
	char why[static WHY_MAX], struct nats_link **ret);

/* In the thread that has used it, as the last thing of libnats'. Accepts NULL. */
void nats_link_free(struct nats_link *link);

/* Begins to connect. */
void nats_link_begin(struct nats_link *link);

/* An epoll(7) descriptor, readable when nats_link_step() has something to do, or another
 * descriptor that is watched is readable. */
int nats_link_descriptor(const struct nats_link *link);
int nats_link_watch(struct nats_link *link, int fd);

enum nats_change {
	NATS_SAME,
	NATS_UP, /* there is a connection that was not there before */
	NATS_DOWN, /* the connection has ended */
};

/* Reads what has come into the subscriptions, writes what the server takes, and follows the
 * connection. */
enum nats_change nats_link_step(struct nats_link *link, uint64_t now_ns);

/* When nats_link_step() has something to do without a descriptor being readable; 0: never. */
uint64_t nats_link_deadline(const struct nats_link *link);

/* Stops and resumes reading: what has come stays with the server. */
void nats_link_pause_reading(struct nats_link *link, bool is_paused);
bool nats_link_is_paused(const struct nats_link *link);

/* NULL: there is none. Valid until the next nats_link_step(). */
natsConnection *nats_link_connection(const struct nats_link *link);

/* The address of the server that it is or was connected to, or is trying. */
const char *nats_link_server(const struct nats_link *link);

/* Writes what libnats has been given. Returns whether the kernel has taken all of it. */
bool nats_link_flush(struct nats_link *link);

/* Bytes that the kernel has not taken. */
uint64_t nats_link_unwritten(const struct nats_link *link);

/* Whether the last connections ended right after they were made: no news any more. */
bool nats_link_is_unsteady(const struct nats_link *link);

/* Ends the connection, for this reason, and makes another one. */
void nats_link_drop(struct nats_link *link, const char *why);

/* Why there is no connection, or NULL. */
const char *nats_link_error(const struct nats_link *link);

/* The next thing that the server does not permit: its own text. Returns false when there is none.
 */
bool nats_link_objection(struct nats_link *link, char ret[static NATS_WHY_MAX]);
