/* One connection to the daemon: Varlink calls, each message ended by NUL. Calls may be pipelined;
 * answers come in the same order.
 *
 * Blocking, with one exception that prevents a deadlock of pipelined calls: while requests are
 * being written, answers are read as they come, so that the daemon can always write them. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

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

/* Returns 0 or a negative errno of socket(2) and connect(2), -ENAMETOOLONG. */
int client_connect(const char *path, struct client **ret);

void client_close(struct client *client);
DEFINE_CLEANUP(struct client *, client_close)

/* Queues a call of io.mcastd.METHOD for the next client_flush(). parameters are the members of a
 * JSON object, as base/json.h writes them. more: several answers follow. */
void client_request(
	struct client *client, const char *method, const struct text *parameters, bool more);

/* Bytes of requests that are not written yet. */
size_t client_unsent(const struct client *client);

/* Writes the requests. A daemon that has gone away is no error here but in client_receive(), after
 * its last answer. Returns 0, -ENOMEM, or what client_fill() returns. */
int client_flush(struct client *client);

/* Readable when answers have come. */
int client_fd(const struct client *client);

/* Reads what has arrived, without waiting. Returns 0; -ECONNRESET when the daemon has gone away
 * and every answer was taken; -EMSGSIZE when one is over REPLY_MAX; -ENOMEM; another negative errno
 * of recv(2). */
int client_fill(struct client *client);

/* Whether client_receive() would return without waiting. */
bool client_ready(struct client *client);

/* Writes the requests, then waits for one answer. Returns as client_fill(), or -EBADMSG when the
 * answer is not one. */
int client_receive(struct client *client, struct reply *ret);

void reply_clear(struct reply *reply);

#define AUTO_REPLY CLEANUP(reply_clear)
