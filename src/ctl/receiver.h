/* Receives from TARGETs without the daemon: one socket for each target and interface, as the
 * daemon's memberships have. The interfaces are those of the start. */
#pragma once

#include "ctl/session.h"
#include "data/datagram.h"
#include "net/target.h"

struct receiver;

/* Joins. needs: of enum need. Returns an exit code; closed with receiver_close(). */
int receiver_open(const struct session *session, const struct target *targets, size_t count,
	unsigned needs, struct receiver **ret);
void receiver_close(struct receiver *receiver); /* accepts NULL */
DEFINE_CLEANUP(struct receiver *, receiver_close)

/* The sockets, and where each receives. */
size_t receiver_count(const struct receiver *receiver);
const struct origin *receiver_origin(const struct receiver *receiver, size_t i);

/* Waits for a batch until a time of CLOCK_MONOTONIC (UINT64_MAX: none), or until one of two other
 * descriptors has events: ready tells which, as fds of poll(2). Returns 1 with a batch that is
 * valid until the next call; 0 without; or a negative errno. */
int receiver_next(struct receiver *receiver, struct pollfd others[static 2], uint64_t deadline_ns,
	struct batch *ret);

/* Leaves all groups: what is queued can still be read, and no more comes. */
void receiver_leave(struct receiver *receiver);

/* The datagrams that the kernel has dropped because a receive buffer was full. */
uint64_t receiver_dropped(struct receiver *receiver);
