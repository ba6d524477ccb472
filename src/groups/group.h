/* A group: its memberships, the outlets that it delivers to, and sending to it. */
#pragma once

#include <string.h>

#include "base/errors.h"
#include "base/log.h"
#include "config/config.h"
#include "groups/expected.h"
#include "groups/membership.h"
#include "groups/merged.h"
#include "groups/numbered.h"
#include "groups/outgoing.h"
#include "groups/permission.h"
#include "groups/receive.h"
#include "groups/refresh.h"
#include "groups/same_group.h"
#include "groups/same_network.h"
#include "groups/sender_watch.h"
#include "groups/silence.h"

struct group_socket;

/* A record of data/counters.h. */
COUNTERS_RECORD(group_counters, {
	uint64_t received, received_bytes, truncated;
	uint64_t last_received_ns; /* CLOCK_REALTIME; 0: nothing yet */
	uint64_t sent, sent_bytes;
	uint64_t send_failed; /* datagrams of local programs that were not sent */
	uint64_t unread; /* datagrams missed by programs at the group socket, summed over them */
	uint64_t empty_skipped; /* datagrams without payload that such programs do not get, summed
				   over them */
	uint64_t kernel_dropped; /* of all memberships, when last read */
	uint64_t refused; /* datagrams of other senders than sources has, where the kernel does not
			     refuse them */
	uint64_t replies; /* received; of those that came to the port that it sends from */
	uint64_t unreachable; /* ICMP errors about datagrams that were sent */
	uint64_t echoed; /* own datagrams that came back once more by another interface */
	uint64_t duplicates; /* dropped, as they came in by another interface already */
});

/* Why something was not sent: what is said of one cause keeps nothing from being said of others. */
enum unsent_cause {
	UNSENT_NETWORK,
	UNSENT_SIZE,
	UNSENT_IMPORT, /* what a handler brought in */
	UNSENT_FORBIDDEN,
	UNSENT_MISFRAMED,
	UNSENT_TORN,
	UNSENT_UNREAD,
	UNSENT_GREEDY,
	UNSENT_CAUSES
};

struct group {
	struct group_context *context;
	const struct config_group *config; /* of the running configuration, or own_config */
	struct owner owner; /* of its socket file, also where it has none */
	struct config_group *own_config; /* NULL: the configuration has the group; else Join made
					    it, and it stays until the daemon stops */
	struct {
		struct membership **items;
		size_t count;
	} memberships;
	struct {
		struct outlet **items;
		size_t count;
	} outlets;
	unsigned needs; /* of all outlets, of enum need */
	struct group_counters *counters;
	bool shares_counters; /* with the group that it replaces or is replaced by, which owns them
			       */
	struct log_limit unsent_limits[UNSENT_CAUSES]; /* for warnings about each */
	struct group_socket *socket; /* NULL: none */
	struct outgoing outgoing;
	struct same_network *same_network; /* NULL: it was never on several interfaces */
	struct sender_watch sender_watch;
	struct numbered numbered;
	struct merged *merged; /* NULL: it is not made of others */
	struct link feeds; /* legs of merged groups that get what it receives */
	uint32_t hinted_s; /* when the log last had a hint about it (hints.h),
			      CLOCK_MONOTONIC_COARSE; 0: never */
	struct silence silence;
	struct expected *expected; /* NULL: nothing is expected */
	struct refresh refresh;
	bool is_settled; /* it was joined as was asked for: what its memberships do from now on is
			    told */
	struct link due; /* in the list of those that follow a change of the links */
};

/* A group without memberships. config must live as long as the group, or until group_set_config().
 * replaced is the running group that it will replace with group_inherit(), or NULL. Returns 0 or
 * -ENOMEM. */
int group_new(struct group_context *context, const struct config_group *config,
	const struct group *replaced, struct group **ret);

/* Leaves all of its memberships, whose last datagrams are delivered. */
void group_leave(struct group *group);

/* Leaves, disconnects the programs at its socket, and frees it all. Accepts NULL. */
void group_free(struct group *group);

/* Gives it a copy of its configuration as its own_config. Returns 0 or -ENOMEM. */
int group_own_config(struct group *group);

/* Replaces its configuration by an equal one. */
void group_set_config(struct group *group, const struct config_group *config);

/* Takes over from a replaced group the counters, the programs at its socket and, where both receive
 * the same, the memberships. */
void group_inherit(struct group *group, struct group *from);

/* At the start: restores the sockets of an earlier run. Returns 0 or -ENOMEM. */
int group_restore(struct group *group, const struct interface_list *interfaces);

/* Makes the memberships and the ways of sending what the configuration wants on these interfaces.
 * Returns 0 or -ENOMEM. */
int group_reconcile(struct group *group, const struct interface_list *interfaces);

/* Whether group_reconcile() may do anything after these changes, and after what the kernel was
 * found to have forgotten. */
bool group_is_concerned(const struct group *group, const struct interface_changes *changes);

/* The membership on an interface, by its name or the pattern that matches none; or NULL. */
static inline struct membership *group_find_membership(
	const struct group *group, const char *interface)
{
	for (size_t i = 0; i < group->memberships.count; i++)
		if (!strcmp(group->memberships.items[i]->interface, interface))
			return group->memberships.items[i];
	return NULL;
}

static inline bool group_is_joined_on(const struct group *group, const char *interface)
{
	const struct membership *membership = group_find_membership(group, interface);

	return membership && membership->state == MEMBERSHIP_JOINED;
}

/* The smallest receive buffer of its sockets, in bytes. */
uint64_t group_smallest_buffer(const struct group *group);

/* From now on the outlet gets every datagram. Not to be called from a deliver(). Return 0 or
 * -ENOMEM. */
int group_attach(struct group *group, struct outlet *outlet);
void group_detach(struct group *group, struct outlet *outlet);

bool group_delivers_to(const struct group *group, const struct outlet *outlet);

/* The group of events, while nobody gets any. */
static inline bool group_is_hidden(const struct group *group)
{
	return group->config->is_events && !group->outlets.count && !group->socket;
}

/* Whether what comes in by this handler is sent to the group. */
bool group_takes_input(const struct group *group, const char *handler);

/* Whether a user may send to it, or receive it. */
static inline bool group_permits(
	const struct group *group, const struct peer *peer, enum access access)
{
	return permission_allows(group->config, &group->owner, peer, access);
}

/* What the kernel has dropped at all sockets that the group has had, in datagrams. */
uint64_t group_kernel_dropped(struct group *group);

/* Has the kernel asked for what the outlets need, after the ways of sending have changed. */
void group_apply_needs(struct group *group);

struct send_options {
	int ttl; /* -1: the configured one */
	const char *interface; /* NULL: those that are configured */
};

/* What was not sent. Valid until the loop goes on. */
struct unsent {
	unsigned count; /* datagrams, from the first on, that failed */
	bool stayed_here; /* nothing failed: they were sent, and only this host received them, for
			     want of a carrier */
	const struct way *way; /* that refused them, or with -EAGAIN whose sender to wait for; NULL:
				  there is none */
};

/* Why a send failed with r, for people. Returns r. */
int group_explain(
	const struct group *group, int r, const struct unsent *unsent, char why[static WHY_MAX]);

/* Why nothing can be sent by a way now, or what to know about it, in why or in the way; NULL:
 * nothing is known of that. */
const char *group_way_error(const struct way *way, char why[static WHY_MAX]);

/* Sends one datagram. Returns 0, or a negative errno. */
int group_send(struct group *group, const void *payload, size_t size,
	const struct send_options *options, struct unsent *ret);

/* Sends one datagram for each vector, BATCH_MAX at most, until the network takes no more. Returns
 * how many were sent, or a negative errno when not even the first could be. What failed must not be
 * sent again, and does not count as failed yet. */
int group_send_batch(
	struct group *group, const struct iovec *vectors, unsigned count, struct unsent *ret);

/* The same from import_port, for what comes in: with -EAGAIN, wait for ret->way->importer. The
 * group's configuration must have inputs. */
int group_import_batch(
	struct group *group, const struct iovec *vectors, unsigned count, struct unsent *ret);
