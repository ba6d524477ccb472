/* A group: its memberships, the outlets that it delivers to, and sending to it. */
#pragma once

#include "base/log.h"
#include "groups/membership.h"
#include "groups/senders.h"
#include "net/link_monitor.h"

struct group_socket;

/* A record of data/counters.h. */
COUNTERS_RECORD(group_counters, {
	uint64_t received, received_bytes, truncated;
	uint64_t last_received_ns; /* CLOCK_REALTIME; 0: nothing yet */
	uint64_t sent, sent_bytes;
	uint64_t send_failed; /* datagrams of local programs that were not sent */
	uint64_t unread; /* not taken by programs at the group socket, each counted for itself */
	uint64_t kernel_dropped; /* of all memberships, when they were last looked at */
});

/* What a reload that is being prepared will do with a running group. */
enum group_fate { GROUP_GOES, GROUP_IS_REPLACED, GROUP_STAYS };

struct group {
	struct membership_owner owner;
	const struct config_group *config; /* of the configuration that runs, or own_config */
	struct config_group *own_config; /* of a group that Join made */
	struct membership **memberships;
	size_t membership_count;
	struct outlet **outlets;
	size_t outlet_count;
	struct group_counters *counters;
	bool shares_counters; /* with the group that it replaces, or that replaces it, whose they
				 are */
	struct log_limit send_limit; /* of what is said about them */
	struct group_socket *socket; /* NULL: none; freed by group_set_free_group() */
	unsigned send_ifindex; /* 0: the kernel's route */
	enum group_fate fate;
	const struct config_group
		*wanted; /* of the configuration that is being prepared; NULL: it has none */
	bool until_stop; /* made by Join, and no part of the configuration */
};

/* A group without memberships. config must live as long as the group, or until group_set_config().
 * replaced is the running one whose place it takes with group_inherit(), or NULL. Returns 0 or
 * -ENOMEM. */
int group_new(const struct group_context *context, const struct config_group *config,
	const struct group *replaced, struct group **ret);

/* Gives it a copy of its configuration that is its own. Returns 0 or -ENOMEM. */
int group_own_config(struct group *group);

/* Puts an equal one in the place of its configuration. */
void group_set_config(struct group *group, const struct config_group *config);
void group_free(struct group *group);

/* Takes over what outlives a change: the counters and, where both receive the same, the
 * memberships. */
void group_inherit(struct group *group, struct group *from);

/* At the start: takes back the sockets that an earlier run has left for the group. Returns 0 or
 * -ENOMEM. */
int group_take_back(struct group *group, const struct interface_list *interfaces);

/* Makes the memberships what the configuration wants on these interfaces. change says which of them
 * may have been made anew; NULL: none. Returns 0 or -ENOMEM. */
int group_reconcile(struct group *group, const struct interface_list *interfaces,
	const struct link_change *change);

/* From now on the outlet gets every datagram. Not to be called from a deliver(). Return 0 or
 * -ENOMEM. */
int group_attach(struct group *group, struct outlet *outlet);
void group_detach(struct group *group, struct outlet *outlet);

/* What the kernel dropped at all sockets that the group has had. */
uint64_t group_kernel_dropped(struct group *group);

struct send_options {
	int ttl; /* -1: the configured one */
	const char *interface; /* NULL: the configured one, the only one, or the kernel's route */
};

/* Sends one datagram. Returns 0, or a negative errno with the reason in why. With -EAGAIN,
 * *ret_busy is the sender to wait for. */
int group_send(struct group *group, const void *payload, size_t size,
	const struct send_options *options, char why[static WHY_MAX], struct sender **ret_busy);

/* Sends one datagram for each vector, as far as the network takes them. Returns how many, or a
 * negative errno when not even the first could be sent; with -EAGAIN as group_send(). */
int group_send_batch(
	struct group *group, const struct iovec *vectors, unsigned count, struct sender **ret_busy);
