/* The local users behind the connections to the control socket and to group sockets: their turns,
 * their connections (slots.h has how many), and the memory and the time that those take. A user
 * over a limit waits for itself; other users do not notice. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "net/turns.h"

/* What memory is for, and its limits: for one user, and for all together but root and the daemon's
 * own user. */
enum user_memory {
	/* Answers that wait to be read, and what subscriptions need. Above the limit only
	 * connections that have read everything are served, so that users do not shut themselves
	 * out either. */
	MEMORY_OUTPUT,
	/* Requests that were not served yet, most of them because they are not complete. Above the
	 * limit those that are not are discarded. */
	MEMORY_INPUT,
	MEMORY_KINDS,
};

#define USER_OUTPUT_MAX (8 * 1024 * 1024)
#define ALL_OUTPUT_MAX (64 * 1024 * 1024)
#define USER_INPUT_MAX (4 * 1024 * 1024)
#define ALL_INPUT_MAX (32 * 1024 * 1024)

/* Writing datagrams to the connections of one user takes at most as much of the loop's time as it
 * leaves to the rest, and this much beyond it at a time: so a thousand readers keep neither others
 * from being answered nor groups from being received. The share of one connection is free: a single
 * reader has to be as fast as its group. Root and the daemon's own user are exempt. */
#define USER_DELIVERY_NS (20 * NS_PER_MS)

struct users;

struct user {
	struct users *users;
	struct link link; /* in the list of users */
	uid_t uid;
	unsigned connections;
	size_t held[MEMORY_KINDS]; /* bytes */
	struct turn turn;
	struct link ready; /* turns of connections that have something to do */
	struct link slots; /* of its connections: slots.h */
	uint64_t none_gone_ns; /* when none of those that were checked had gone */
	bool privileged; /* root, or the daemon's own */
	uint64_t delivery_ns; /* time taken beyond the share */
	uint64_t marked_ns; /* when that was last known, CLOCK_MONOTONIC */
};

/* Those who have a connection. */
struct users {
	struct turns turns;
	const struct turn *last; /* served; may be freed */
	struct link list;
	unsigned connections;
	size_t held[MEMORY_KINDS]; /* bytes of all but the privileged */
};

void users_init(struct users *users, struct event_base *base);
void users_clear(struct users *users);

/* How many connections a user has. */
unsigned users_count(const struct users *users, uid_t uid);

/* Adds a connection to the user. Returns NULL without memory. */
struct user *user_connect(struct users *users, uid_t uid);

/* Removes a connection, and with the last one the user. Accepts NULL. */
void user_disconnect(struct user *user);

/* Charge and discharge memory. */
void user_hold(struct user *user, enum user_memory kind, size_t size);
void user_release(struct user *user, enum user_memory kind, size_t size);

/* Queues a connection of the user that has something to do. */
void user_wait(struct user *user, struct turn *turn);

/* Whether this connection was the last one served, and none waits: then it may do a little at once,
 * which costs less than a turn. */
static inline bool user_is_alone(const struct user *user, const struct turn *turn)
{
	return user->users->last == turn && list_is_empty(&user->users->turns.queue);
}

bool user_holds_too_much(const struct user *user, enum user_memory kind);

/* Whether there is time to write datagrams to a connection of the user; else it misses them. After
 * that, user_delivered() charges the time since then, and says whether there is time for more. */
bool user_may_deliver(struct user *user);
bool user_delivered(struct user *user);

/* Whether this user may change the daemon: root, or the daemon's own. */
bool user_is_privileged(uid_t uid);
