/* A membership: one group on one interface, and the socket that receives it. */
#pragma once

#include <event2/event_struct.h>

#include "config/config.h"
#include "data/datagram.h"
#include "groups/context.h"
#include "net/interface.h"

enum membership_state {
	MEMBERSHIP_WAITING, /* for an interface that is not there, or not up */
	MEMBERSHIP_JOINED,
	MEMBERSHIP_FAILED, /* the kernel refused */
};

struct membership;

/* Whoever the membership receives for: its group. */
struct membership_owner {
	const struct group_context *context;
	uint64_t *kernel_dropped; /* what the kernel drops is added to it */
	unsigned needs; /* what to ask the kernel for, of enum need */
	void (*count)(struct membership_owner *owner, const struct arena_received *received);
	void (*deliver)(struct membership_owner *owner, const struct batch *batch);
};

/* A record of data/counters.h. */
COUNTERS_RECORD(membership_counters, {
	uint64_t joins; /* how often it was joined */
	uint64_t deaf_ns; /* how long it was not, in all, before it was joined last */
	uint64_t kernel_dropped; /* over all sockets that it has had */
	uint64_t socket_dropped; /* of this socket, when last read, modulo 2^32 */
});

struct membership {
	struct membership_owner *owner;
	const struct config_group *config;
	struct event readable;
	struct pause_member pause;
	struct origin *origin;
	char *error; /* why it is not joined */
	char *last_error; /* why it was not, last */
	uint64_t since_ns; /* when it came into this state, CLOCK_REALTIME */
	uint64_t deaf_since_ns; /* when it was not joined any more, if it is not */
	uint64_t receive_buffer; /* granted, in bytes */
	struct membership_counters *counters;
	uint32_t looked_s; /* when the kernel's drops were last looked at while receiving,
			      CLOCK_MONOTONIC_COARSE */
	uint32_t awake_until_s; /* it does not pause before */
	bool is_kept; /* the keeper has a copy of the socket */
	bool coalesces; /* the socket does */
	uint8_t asked; /* of the kernel, of enum need */
	enum membership_state state;
	int fd;
	bool wanted; /* mark of a reconciliation that is under way */
	char *interface; /* its name, or the pattern that matches none */
};

/* A membership in waiting, or NULL without memory. config and owner must live longer. */
struct membership *membership_new(
	struct membership_owner *owner, const struct config_group *config, const char *interface);

/* Leaves, and hands on what still waits at the socket; at the stop, a socket that the keeper has
 * stays as it is. */
void membership_close(struct membership *membership);

/* Closes it first. Accepts NULL. */
void membership_free(struct membership *membership);

/* Brings it to what the interface allows, and to what the kernel says that is joined; interface is
 * NULL when there is none of that name. is_new tells that it may be another one than it was, though
 * it looks the same: a membership does not outlive its interface, so the group is joined again on a
 * fresh socket. A change of state is logged. */
void membership_update(
	struct membership *membership, const struct interface *interface, bool is_new);

/* What the end of a pause calls. */
enum pause_next membership_resume(struct pause_member *member);

/* For joining.c: what the socket's event calls with the membership; and coming into a state, where
 * error is NULL when joined. What stays as it was is not logged again. */
void membership_on_readable(evutil_socket_t fd, short what, void *membership);
void membership_set_state(
	struct membership *membership, enum membership_state state, const char *error);

/* Adds what the kernel has dropped at the socket since the last look. Returns how many datagrams.
 */
uint32_t membership_count_drops(struct membership *membership);

/* Asks the kernel for what the owner's needs have become, if that is anything else than before; in
 * any case where it is not known what was asked before. */
void membership_apply_needs(struct membership *membership, bool in_any_case);

/* Reads how much the kernel has dropped, exact at this moment. */
uint64_t membership_kernel_dropped(struct membership *membership);

/* "waiting", "joined" or "failed". */
const char *membership_state_name(enum membership_state state);
