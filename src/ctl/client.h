/* One connection to the daemon: Varlink calls, each message ended by NUL. Calls may be pipelined;
 * answers come in the same order.
 *
 * Blocking, with one exception that prevents a deadlock of pipelined calls: while requests are
 * being written, answers are read as they come, so that the daemon can always write them. */
#pragma once

#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

/* ListGroups of 10,000 groups is a few MB; an answer over this is not mcastd's. */
#define REPLY_MAX (64u * 1024 * 1024)

struct client;

struct reply {
	json_t *message; /* owns the rest */
	const char *error; /* the error's full name, or NULL */
	const json_t *parameters; /* an object, maybe empty */
	bool continues; /* more answers to the same call follow */
};

/* When it is said that the daemon reads nothing. */
#define CLIENT_PATIENCE_S 5

/* What to do, once, where the daemon has not accepted a connection, or has not read a call, for
 * CLIENT_PATIENCE_S. It is waited for all the same. A call that was read may take as long as it
 * likes. */
struct client_patience {
	void (*unread)(void *argument);
	void *argument;
};

/* patience: NULL, or copied. Returns 0 or a negative errno of socket(2) and connect(2),
 * -ENAMETOOLONG. */
int client_connect(const char *path, const struct client_patience *patience, struct client **ret);

/* The same, without waiting for a daemon that accepts nothing now: -EAGAIN. */
int client_connect_at_once(const char *path, struct client **ret);

/* From now on nothing is done where the daemon reads nothing. */
void client_end_patience(struct client *client);

void client_close(struct client *client);

/* Whether anything has come. */
bool client_was_answered(const struct client *client);

/* After -ECONNRESET: whether no daemon has ever read from this connection. */
bool client_was_ignored(const struct client *client);

/* Until when client_flush() and client_receive() wait, of CLOCK_MONOTONIC; then they return
 * -ETIMEDOUT. UINT64_MAX: for ever, as they do unless told otherwise. */
void client_set_deadline(struct client *client, uint64_t deadline_ns);
DEFINE_CLEANUP(struct client *, client_close)

/* Queues a call of io.mcastd.METHOD; writes only once many bytes are queued. parameters are the
 * members of a JSON object, as base/json.h writes them. more: several answers follow. Returns as
 * client_flush(). */
int client_request(
	struct client *client, const char *method, const struct text *parameters, bool more);

/* Writes the requests. A daemon that has gone away is no error here but when its last answer has
 * been received. Returns 0; -EMSGSIZE when an answer that came meanwhile is over REPLY_MAX;
 * -ENOMEM; or another negative errno. */
int client_flush(struct client *client);

/* poll(2) until a time of CLOCK_MONOTONIC (UINT64_MAX: none). Returns the number of descriptors
 * that are ready, or a negative errno. */
int poll_until(struct pollfd *fds, size_t count, uint64_t deadline_ns);

/* Waits until bytes of an answer arrive, until one of the other descriptors is ready, or until a
 * time of CLOCK_MONOTONIC (UINT64_MAX: none). fds[0] is for the client; the revents of the others
 * must be 0. Returns 0 at the deadline, else 1; -ECONNRESET when the daemon has gone away; or as
 * client_flush(). */
int client_wait(struct client *client, struct pollfd *fds, size_t count, uint64_t deadline_ns);

/* Whether client_receive() would return without waiting. */
bool client_ready(struct client *client);

/* Writes the requests, then waits for one answer. Returns 0; -EBADMSG when the answer is not one;
 * or as client_wait(). */
int client_receive(struct client *client, struct reply *ret);

void reply_clear(struct reply *reply);

#define AUTO_REPLY CLEANUP(reply_clear)
