/* A program at a group socket: what it writes is sent, what arrives is handed to its reader. */
#pragma once

#include <event2/event_struct.h>

#include "groups/group.h"
#include "groups/reader.h"

struct backlog;

struct connection {
	struct reader reader;
	struct group *group;
	struct connection *next, **link; /* of the list it is on */
	struct event readable;
	struct send_waiter waiter;
	struct backlog *backlog;
	int fd;
};

/* Takes fd over, and puts the connection on the list. Without memory the program is cut. */
void connection_open(struct group *group, struct connection **list, int fd);

/* Takes it off its list and puts it on that of another group, which it serves from then on. */
void connection_move(struct connection *connection, struct group *group, struct connection **list);

/* Cuts the program off. What it wrote and the network has not taken counts as not sent. */
void connection_free(struct connection *connection);
