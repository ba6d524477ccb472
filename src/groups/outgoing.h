/* The interfaces that a group sends on: those of send_interface, else all that it is joined on
 * where interfaces is given, else the one of the kernel's route. Each is a way with a sender, or
 * with the reason why it has none. Nothing leaves by another interface.
 *
 * A datagram that goes several ways is sent once it has left by one. Only the first usable way may
 * be waited for; what another one does not take at once is counted as not sent there. */
#pragma once

#include <event2/event_struct.h>

#include "base/errors.h"
#include "config/config.h"
#include "data/counters.h"
#include "data/echoes.h"
#include "groups/retry.h"
#include "groups/senders.h"
#include "net/interface.h"

struct arena_received;
struct group;
struct origin;

/* A record of data/counters.h. */
COUNTERS_RECORD(way_counters, {
	uint64_t not_sent; /* datagrams */
});

struct way {
	struct group *group;
	char *interface; /* its name, or what is configured where there is none; NULL: the kernel's
			    route */
	unsigned ifindex;
	int failure; /* negative errno: why it has no sender; 0: it has one */
	char *error; /* the failure, or what to know about it; NULL: nothing */
	int refused; /* negative errno: why its socket took nothing of the last datagrams; 0: it
			took some, or the interfaces have changed since; see group_way_error() */
	struct sender *sender;
	const struct udp_out *out; /* of the sender */
	struct sender *importer; /* sends from import_port; NULL: the group has no inputs, or the
				    way cannot be used */
	struct send_target target;
	struct way_counters *counters; /* NULL: it is none of the configuration's */
	bool is_named; /* by the configuration, not only matched by a glob: what it cannot take is
			  missed, whatever the reason */
	bool is_joined; /* the group is, there: what is sent comes back */
	bool is_loopback; /* it is by lo: nothing leaves this host */
	bool has_no_carrier; /* nothing leaves: only this host receives what is sent */
	uint32_t link_changes; /* the context's at the last outgoing_read_carrier() */
	struct origin *origin; /* of replies; NULL: none are received */
	struct event *replied; /* NULL: none are received */
	struct event *resumed; /* when they are tried again */
	bool is_unread; /* the kernel refused to have them read */
	bool asks_again; /* the kernel did not take what replies need: before the next are read */
	uint32_t dropped; /* replies that the kernel dropped at the socket, when last read */
};

struct ways {
	struct way **items;
	size_t count;
};

struct outgoing {
	struct ways ways; /* in the order of the configuration */
	size_t usable; /* of them */
	struct ways extras; /* that programs chose beside them, the latest last */
	struct echoes *echoes; /* NULL: no more than one copy comes back */
	struct echoes *own; /* the first copies; NULL: nobody needs to know them */
	struct retry retry; /* for a port that was not to be had */
	uint32_t examined_ms; /* CLOCK_MONOTONIC_COARSE */
};

/* Makes the ways what the group's configuration, its memberships and these interfaces allow.
 * Returns 0 or -ENOMEM. */
int outgoing_update(struct group *group, const struct interface_list *interfaces);

/* Reads whether the interface of the kernel's route has a carrier, for a way that is not bound to
 * one, and whether the group is joined there. Called by a send after a change. */
void outgoing_read_carrier(struct way *way);

/* A membership was joined since then. */
void outgoing_membership_changed(struct group *group);

/* Reads the interfaces again, where nothing can be sent; not more often than every 100 ms. */
void outgoing_examine(struct group *group);

/* Whether its ways depend on the kernel's route, and outgoing_update() must follow a change. */
bool outgoing_follows_route(const struct group *group);

/* The name of the interface that the kernel's route to the group leads to. Returns 0 or
 * -ENETUNREACH, or what a route that refuses says (net/route_refusal.h):
 * outgoing_explain_no_route() explains and returns it. */
int outgoing_find_route(const struct config_group *config, char ret_name[static IF_NAMESIZE]);
int outgoing_explain_no_route(const struct config_group *config, int r, char why[static WHY_MAX]);

/* The callback of retries_new(). */
void outgoing_retry(struct retry *retry, const struct interface_list *interfaces);

/* Moves the ways to the group that replaces this one. */
void outgoing_move(struct group *group, struct group *from);

/* Closes all, and hands out what is queued. */
void outgoing_clear(struct group *group);

/* The way by this interface, whether the configuration names it or not. It has a sender, or the
 * reason why not. Returns 0 or a negative errno. */
int outgoing_choose(struct group *group, const char *name, struct way **ret);

/* How many datagrams were not sent on this interface; 0 where none are to be. */
uint64_t outgoing_not_sent(const struct outgoing *outgoing, const char *interface);

/* Asks the kernel for what the group's outlets need of replies. */
void outgoing_apply_needs(struct group *group);

/* How many replies the kernel has dropped since the last call, in datagrams. */
uint64_t outgoing_count_drops(struct group *group);

/* Marks own datagrams in the arena, takes those that came back more than once out, and counts them.
 */
void outgoing_find_own(struct group *group, unsigned ifindex, struct arena_received *received);
