/* The users behind the connections: how many connections each has, and how much memory their unread
 * output takes. A user over the limit is served only as fast as they read; other users do not
 * notice. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "control/turns.h"

/* Unread output of all connections of one user. Above it only connections that have read everything
 * are served, so that users do not shut themselves out either. */
#define USER_WAITING_MAX (8 * 1024 * 1024)

/* The same for all users together; root and the daemon's own user are exempt. */
#define ALL_WAITING_MAX (64 * 1024 * 1024)

struct users;

struct user {
	struct users *users;
	struct link link; /* in the list of users */
	uid_t uid;
	unsigned connections;
	size_t waiting; /* bytes */
	struct turn turn;
	struct link ready; /* turns of connections that have something to do */
	bool privileged; /* root, or the daemon's own */
};

/* Those who have a connection. */
struct users {
	struct turns turns;
	struct link list;
	size_t waiting; /* bytes of all but the privileged */
};

void users_init(struct users *users, struct event_base *base);
void users_clear(struct users *users);

/* How many connections a user has. */
unsigned users_count(const struct users *users, uid_t uid);

/* Adds a connection to the user. Returns NULL without memory. */
struct user *user_connect(struct users *users, uid_t uid);

/* Removes a connection, and with the last one the user. Accepts NULL. */
void user_disconnect(struct user *user);

/* Charge and discharge memory that waits for the user to read. */
void user_hold(struct user *user, size_t size);
void user_release(struct user *user, size_t size);

/* Queues a connection of the user that has something to do. */
void user_wait(struct user *user, struct turn *turn);

bool user_holds_too_much(const struct user *user);

/* Whether this user may change the daemon: root, or the daemon's own. */
bool user_is_privileged(uid_t uid);
