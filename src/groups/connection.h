/* A program at a group socket: what it writes is sent, what arrives is handed to its reader. */
#pragma once

#include <event2/event_struct.h>

#include "base/list.h"
#include "groups/group.h"
#include "groups/reader.h"

struct backlog;

struct connection {
	struct reader reader;
	struct group *group;
	struct link link; /* in the group socket's list */
	struct event readable;
	struct send_waiter waiter;
	struct backlog *backlog;
	int fd;
};

/* Takes fd over, and adds the connection to the list. Without memory the program is disconnected.
 */
void connection_open(struct group *group, struct link *list, int fd);

/* Moves it to another group and its list. */
void connection_move(struct connection *connection, struct group *group, struct link *list);

/* Disconnects the program. What it wrote and the network has not taken counts as not sent. */
void connection_free(struct connection *connection);
