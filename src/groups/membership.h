/* A membership: one group on one interface, and the socket that receives it. */
#pragma once

#include "data/counters.h"
#include "data/datagram.h"
#include "groups/arena.h"
#include "groups/forgotten.h"
#include "groups/hints.h"
#include "groups/refresh.h"
#include "groups/retry.h"
#include "groups/rounds.h"
#include "groups/transitions.h"
#include "net/interface.h"
#include "net/report.h"
#include "service/store.h"

struct group;
struct loop_guard;
struct notice_sink;
struct refreshes;
struct same_groups;
struct sender_watches;
struct senders;
struct turns;
struct twins;
struct users;

/* What was found of an earlier run. */
struct restored {
	unsigned sockets;
	unsigned programs; /* at group sockets that stay connected */
	uint64_t kernel_dropped; /* datagrams, since the counters were last read */
	uint64_t lost; /* datagrams at sockets that no membership needs any more */
};

/* What the earlier run had read when it was killed, of one group, and which its handlers may not
 * all have received. */
struct uncounted {
	uint64_t group; /* counters_key() of its counters; 0: nothing */
	uint64_t read; /* the number of the read */
	uint64_t count; /* datagrams */
};

/* What all groups share. */
struct group_context {
	struct event_base *base;
	struct users *users; /* of the programs at group sockets */
	struct turns *accepting; /* of the listeners of group sockets */
	struct arena *arena;
	struct senders *senders;
	struct rounds *rounds;
	uint64_t full_turn_ns; /* CLOCK_MONOTONIC: end of the last turn with more to read */
	uint32_t link_changes; /* how often links or routes have changed */
	struct retries *retries; /* of memberships that could not be joined */
	struct retries *send_retries; /* of ports to send from */
	struct reports *reports;
	struct same_groups *same_groups;
	struct link unicasts; /* memberships with a socket, of no multicast group */
	struct link postponed; /* memberships that join at the end of a reload */
	struct refreshes *refreshes;
	struct silences *silences;
	struct expectations *expectations;
	struct link merged; /* groups that are made of others (merged.h) */
	void (*apply_needs)(struct group *group); /* group_apply_needs() */
	struct sender_watches *sender_watches;
	struct notice_sink *notices; /* for events; NULL: nobody takes them */
	struct counters *counters;
	struct store *store;
	struct loop_guard *guard; /* of all relays; NULL: there are none */
	struct twins *twins; /* of groups that keep duplicates, made when the first is watched */
	struct transitions *transitions;
	struct forgotten *forgotten;
	const struct interface_list *interfaces; /* as last read for all groups */
	void (*look)(struct group_context *context); /* reads them again, and has all groups follow,
							before their change is noticed */
	struct restored restored;
	pid_t running; /* as in struct groups_setup */
	struct uncounted uncounted; /* until the start is over */
	const char *mcastctl; /* the beginning of a command that asks this daemon */
	uint16_t import_port; /* that what comes in is sent from; 0: none */
	bool is_changing; /* a reload goes on: a port may be another group's until its end */
	bool receive_only; /* nothing can be sent: there is neither a control socket nor a group's
			    */
	bool stopping; /* stored sockets stay joined */
};

/* The fd store's names of the memberships' sockets begin with it. */
#define STORED_PREFIX "membership-"

enum membership_state {
	MEMBERSHIP_WAITING, /* for an interface that is absent or down */
	MEMBERSHIP_JOINED,
	MEMBERSHIP_FAILED, /* the kernel refused */
	MEMBERSHIP_STATES,
};

/* A record of data/counters.h. */
COUNTERS_RECORD(membership_counters, {
	uint64_t joins;
	uint64_t unjoined_ns; /* total time that it was not joined, until it was last joined; also
				 between two runs, where the first one ended in order */
	uint64_t unjoined_since_ns; /* CLOCK_BOOTTIME; 0: it is joined */
	uint64_t kernel_dropped; /* over all sockets that it has had */
	uint64_t socket_dropped; /* by the current socket, when last read, modulo 2^32 */
	/* What its sockets brought to the group, which counts the same: memberships that are gone,
	 * replies, and what a killed run had read last are only there. */
	uint64_t received, received_bytes;
	uint64_t last_received_ns; /* CLOCK_REALTIME; 0: nothing yet */
});

/* Whether datagrams of senders that the group does not take reach the daemon, and are refused
 * there. For groups the kernel does it, but while a membership is reported again. */
enum check_sources {
	CHECK_NEVER,
	CHECK_WHILE_REPORTED,
	CHECK_UNTIL_DRAINED,
	CHECK_ALWAYS, /* the address is no multicast, so the kernel does not know the sources */
};

struct membership {
	struct group *group;
	struct event *prompt; /* the loop reads it at once; NULL: it does not */
	struct round_member round;
	struct origin *origin;
	struct {
		struct origin **items;
		size_t count;
	} arrivals; /* of datagrams from other interfaces; until the links change */
	char *error; /* why it is not joined */
	char *last_error; /* the previous one */
	uint64_t since_ns; /* when it entered its state, CLOCK_REALTIME */
	uint64_t receive_buffer; /* granted, in bytes */
	struct membership_counters *counters;
	uint32_t drops_read_s; /* when the kernel's drops were last read, CLOCK_MONOTONIC_COARSE */
	uint64_t guard_pause_ns; /* until when the guard against rings has it pause,
				    CLOCK_MONOTONIC; 0: it does not */
	bool is_stored; /* the fd store has a copy of the socket */
	bool coalesces; /* the socket does */
	bool any_interface; /* datagrams come from whatever interface */
	uint8_t asked; /* what the kernel was asked for, of enum need */
	bool asks_again; /* it did not take it: before the next datagrams are read */
	bool is_unread; /* the kernel refused a read: retried, or else joined again */
	uint8_t check_sources; /* enum check_sources */
	bool is_reported; /* to the network, since the link last changed */
	enum membership_state state;
	int fd;
	uint64_t attachment; /* of the interface, when last reported */
	uint32_t touched; /* when it was last joined or reported, by the clock of forgotten */
	struct report report;
	struct link same_group; /* while it is joined */
	struct link unicast; /* among all that have a socket of their own address */
	struct link postponed; /* until the end of the reload */
	struct refreshed refreshed;
	struct retry retry;
	struct hint_member hint;
	bool wanted; /* mark of a reconciliation that is under way */
	char *interface; /* its name, or the pattern that matches none */
};

/* Tells that it is left, as a change of the links has made it unwanted: it is to be freed next. */
void membership_tell_left(const struct membership *membership, const char *why);

/* A waiting membership, or NULL without memory. group must live longer. */
struct membership *membership_new(struct group *group, const char *interface);

/* Leaves the group, and delivers what is queued at the socket. While the daemon stops, a stored
 * socket is closed without leaving. Accepts NULL. */
void membership_free(struct membership *membership);

/* At the start, before anything is joined: restores the socket of an earlier run, if it fits and is
 * still joined. What is queued at one that does not fit is delivered. interface is NULL when there
 * is none of that name. */
void membership_restore(struct membership *membership, const struct interface *interface);

/* Brings it to the state that its interface allows. A membership ends with its interface: where
 * that may have been replaced, the group is joined again on a new socket. A change of state is
 * logged. */
void membership_update(struct membership *membership, const struct interface_list *interfaces);

/* Gives its socket the receive buffer that is configured now. What is queued stays. */
void membership_apply_buffer(struct membership *membership);

/* The callback of retries_new(). */
void membership_retry(struct retry *retry, const struct interface_list *interfaces);

/* The callbacks of reports_new(). */
extern const struct report_callbacks membership_report_callbacks;

/* "waiting", "joined" or "failed". */
const char *membership_state_name(enum membership_state state);

/* Closes a socket of an earlier run that no membership needs any more. Returns how many datagrams
 * were queued there; they are lost. */
uint64_t stored_socket_discard(int fd, const struct interface_list *interfaces);
