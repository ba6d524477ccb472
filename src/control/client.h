/* One connection to the control socket: requests in, replies out in their order.
 *
 * Connections are served in round-robin turns, a few messages each (turns.h). Back-pressure:
 * requests wait while OUTPUT_MAX bytes of replies are unread, while the user's connections together
 * hold too much (user.h), or while the network is too busy for a Send; the kernel then blocks the
 * writer. Requests that are not served yet are charged to the user, too. Once the connection is a
 * subscription, its input is discarded. */
#pragma once

#include "base/answer.h"
#include "base/log.h"
#include "control/control.h"
#include "control/outbox.h"
#include "net/slots.h"

/* Unread replies, in bytes; a subscriber that is slower loses datagrams. */
#define OUTPUT_MAX (512 * 1024)

/* A message must end within this time after its first byte. */
#define MESSAGE_SECONDS 10

/* A client is disconnected when it reads nothing for this time while output waits for it: a minute,
 * and a little more for one that was stopped for exactly that long. */
#define STALL_SECONDS 65

struct client;

enum call_result {
	CALL_DONE, /* answered */
	CALL_RETRY, /* client_wait() or client_wait_for_groups() was called */
};

/* Carries out one message. */
typedef enum call_result (*client_dispatch)(
	struct client *client, const char *message, size_t size);

/* All clients, and what they share. */
struct client_set {
	struct event_base *base;
	const struct control_backend *backend;
	struct link clients;
	struct slots slots;
	unsigned count, streaming;
	struct link fan_outs; /* see subscriber.c */
	struct text formatted; /* likewise */
	struct log_limit stall_limit, gaps_limit, input_limit;

	client_dispatch dispatch;
	void (*close)(struct client_set *set, int fd); /* closes a connection; NULL: close(2) */
};

void client_set_init(struct client_set *set, struct event_base *base,
	const struct control_backend *backend, client_dispatch dispatch);

/* Closes all connections. */
void client_set_clear(struct client_set *set);

/* A request that is answered later: until client_resume(), no other one is served. Embedded in the
 * object that answers. */
struct client_pending {
	void (*gone)(struct client_pending *pending); /* the client is freed */
};

/* What the connection has become when its replies have no end: a subscription. Embedded in it. */
struct client_stream {
	void (*written)(struct client_stream *stream); /* some output was written */
	void (*free)(struct client_stream *stream);
};

/* Serves a connection as part of the set, and owns fd. Returns 0; or, and then fd is the caller's,
 * -EUSERS or -EMFILE when the user has no slot (slots.h), or -ENOMEM. */
int client_new(struct client_set *set, int fd, uid_t uid);

struct client_set *client_set(const struct client *client);
struct user *client_user(const struct client *client);

/* Who has connected, in full; read when it is first asked for. NULL without memory. */
const struct peer *client_peer(struct client *client);

/* Ends the current request, and its answers. */
char client_terminator(const struct client *client);

/* Whether the current request wants no answer: then answers are discarded. */
void client_set_oneway(struct client *client, bool oneway);

/* Answer the current request: what is appended to the text until client_end() are the members of
 * the parameters of a reply or of an error. */
struct text *client_begin_reply(struct client *client);
struct text *client_begin_error(struct client *client, const char *error);
void client_end(struct client *client);

/* The same, with "message" as the last member: text for people, escaped when it is not UTF-8 (a
 * stranger's name may be anything). */
void client_end_message(struct client *client, const char *format, ...) PRINTF_LIKE(2, 3);

/* Answers the current request piece by piece: each piece is the next members of the parameters.
 * Owns the answer. */
void client_start_answer(struct client *client, struct answer *answer);

/* The current request is answered later, with client_begin_reply() or client_begin_error(), and
 * then client_resume(). */
void client_defer(struct client *client, struct client_pending *pending);
void client_resume(struct client *client);

/* Whether nobody is there any more to read an answer. */
bool client_has_gone(const struct client *client);

/* No more requests; closes once flushed. For a request that memory is missing for. */
void client_close(struct client *client);

/* Pauses until the sender can take more; then the current request is tried again. */
void client_wait(struct client *client, struct sender *busy);

/* The same until the groups are not being changed any more. */
void client_wait_for_groups(struct client *client);

/* From now on the connection belongs to the stream, which client_free() frees. */
void client_start_stream(struct client *client, struct client_stream *stream);

/* Ends the stream, which is freed at once; the connection closes when its output is written. Not to
 * be called from a deliver(). */
void client_end_stream(struct client *client);

/* Whether more may be added to the output. */
bool client_has_room(const struct client *client);

/* For streams, also from a deliver(): nothing is freed before the client's next turn. client_try()
 * writes what the socket takes, and returns how many bytes that was. client_watch() writes what was
 * added to the output when the socket takes more. client_abort() discards all output, and frees the
 * client at its next turn. */
struct outbox *client_output(struct client *client);
size_t client_try(struct client *client, const char *data, size_t size);
void client_watch(struct client *client);
void client_abort(struct client *client);
