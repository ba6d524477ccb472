/* One connection to the control socket: requests in, replies out in their order.
 *
 * Connections are served in turn, a few messages each (turns.h). Back-pressure: requests are not
 * looked at while OUTPUT_MAX bytes of replies wait to be read, while the user's connections
 * together hold too much (user.h), or while the network is too busy for a Send; the kernel then
 * stops the writer. Once the connection is a subscription, what it writes is thrown away. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/log.h"
#include "base/text.h"
#include "control/answer.h"
#include "control/control.h"
#include "control/framing.h"
#include "control/outbox.h"
#include "control/press.h"
#include "control/user.h"

/* Replies that wait to be read; a subscriber that is slower loses datagrams. */
#define OUTPUT_MAX (512 * 1024)

/* A message that has begun must end within this time. */
#define MESSAGE_SECONDS 10

/* A client that reads nothing for so long while something waits for it is cut: a minute, and a
 * little for one that was stopped just so long. */
#define STALL_SECONDS 65

struct client;

enum call_result {
	CALL_DONE, /* answered */
	CALL_RETRY, /* client_wait() was called */
};

/* All clients, and what they serve. */
struct client_set {
	struct event_base *base;
	const struct control_backend *backend;
	struct client *first;
	unsigned count, streaming;
	struct users users;
	struct audience *audiences; /* of the subscribers, see audience.h */
	struct press press;
	struct log_limit stall_limit;

	/* Carries out one message. */
	enum call_result (*dispatch)(struct client *client, const char *message, size_t size);
};

/* What a connection has become when its replies have no end: a subscription. Embedded in it. */
struct client_stream {
	void (*written)(struct client_stream *stream); /* the client has read some of what waited */
	void (*free)(struct client_stream *stream);
};

/* Serves a connection, as part of the set; fd is the client's then. Without memory fd is closed. */
void client_new(struct client_set *set, int fd, uid_t uid);
void client_free(struct client *client);

struct client_set *client_set(const struct client *client);
struct user *client_user(const struct client *client);

/* With which the request at hand ended, and its answers do. */
char client_terminator(const struct client *client);

/* Whether the request at hand wants no answer. */
void client_set_oneway(struct client *client, bool oneway);
bool client_is_oneway(const struct client *client);

/* Answers the request at hand. parameters is taken over; NULL: out of memory, or none where
 * json_object() would do. A one-way request gets no answer. */
void client_reply(struct client *client, json_t *parameters);
void client_fail(struct client *client, const char *error, json_t *parameters);

/* The same by hand: the object after "parameters": is appended to what client_begin_reply()
 * returns; NULL: none is wanted. */
struct text *client_begin_reply(struct client *client);
void client_end_reply(struct client *client);

/* Answers the request at hand piece by piece, as the client reads; what is left to do then is freed
 * with the client. */
void client_start_answer(struct client *client, struct answer *answer);

/* Stops looking at requests until the sender can take more; the request at hand is then tried
 * again. */
void client_wait(struct client *client, struct sender *busy);

/* From now on the connection belongs to the stream, which client_free() frees. */
void client_start_stream(struct client *client, struct client_stream *stream);

/* Whether more may wait to be read by the client. */
bool client_has_room(const struct client *client);

/* For streams, also from a deliver(): nothing is freed before the client's next turn. client_try()
 * writes what the socket takes, and returns how many bytes that was; client_watch() writes what is
 * added to the output later, when it takes more. */
struct outbox *client_output(struct client *client);
size_t client_try(struct client *client, const char *data, size_t size);
void client_watch(struct client *client);
void client_break(struct client *client); /* it is of no use any more */
