/* The users behind the connections: how many each has, and how much memory what they left unread
 * takes. A user who holds too much is served no faster than they read; the others do not notice. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "control/turns.h"

/* What may wait for the connections of one user together. Above it only those of the user's
 * connections are served that have read all they were sent, so that nobody is shut out by
 * themselves either. */
#define USER_WAITING_MAX (8 * 1024 * 1024)

/* The same for all users together; root and the daemon's own user do not depend on what the others
 * hold. */
#define ALL_WAITING_MAX (64 * 1024 * 1024)

#define USER_BUCKETS 64

struct users;

struct user {
	struct users *users;
	struct user *next;
	uid_t uid;
	unsigned connections;
	size_t waiting; /* bytes */
	struct turn turn;
	struct turn_queue ready; /* connections that have something to do */
	bool privileged; /* root, or the daemon's own */
};

/* Those who have a connection, hashed by uid. */
struct users {
	struct turns turns;
	struct user *buckets[USER_BUCKETS];
	size_t waiting; /* of all but the privileged */
};

void users_init(struct users *users, struct event_base *base);
void users_clear(struct users *users);

/* How many connections a user has. */
unsigned users_count(const struct users *users, uid_t uid);

/* The user, with one more connection; NULL without memory. */
struct user *user_connect(struct users *users, uid_t uid);

/* One connection less; the last one takes the user along. Accepts NULL. */
void user_disconnect(struct user *user);

/* Counts memory that waits for the user to read, and no longer does. */
void user_hold(struct user *user, size_t size);
void user_release(struct user *user, size_t size);

/* A connection of the user has something to do. */
void user_wait(struct user *user, struct turn *turn);

bool user_holds_too_much(const struct user *user);

/* Whether this user may change the daemon: root, or the daemon's own. */
bool user_is_privileged(uid_t uid);
