/* What client.c, requests.c and reply.c share, and nobody else. */
#pragma once

#include <event2/event_struct.h>

#include "control/client.h"

/* How its requests come to an end. */
enum client_state {
	CLIENT_OPEN,
	CLIENT_ENDED, /* the client writes no more: what it asked is still answered */
	CLIENT_CLOSING, /* nothing more is looked at; it goes when all is written */
};

struct client {
	struct client_set *set;
	struct client *next, **link; /* in the set */
	struct user *user;
	int fd;
	enum client_state state;
	struct turn turn;
	struct event readable, writable;
	struct event timer; /* an unfinished message, or a half-closed subscription */
	struct text input;
	struct framing framing;
	struct outbox output;
	struct send_waiter waiter;
	struct answer *answer; /* NULL: none is under way */
	struct client_stream *stream; /* NULL: requests are answered one by one */
	char terminator; /* of the request at hand */
	bool oneway; /* the request at hand wants no answer */
	bool looked; /* all whole messages in input are done with */
};

/* Whether requests may be looked at now. */
bool client_is_open(const struct client *client);

/* Looks at the requests that have come in, as many as there is time for, and watches that what is
 * unfinished ends. */
void client_look(struct client *client);

/* Goes on with the answer that is under way, if any. */
void client_go_on(struct client *client);

/* Switches the timer on or off; it goes on when it is on. */
void client_set_timer(struct client *client, bool on, int seconds);

/* Answers about a message that is none. */
void client_fail_message(struct client *client, const char *error, json_t *parameters);

/* Stands in the queue of those who have something to do. */
void client_wake(struct client *client);
