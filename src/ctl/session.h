/* One run of mcastctl: which command, which daemon, and the words for what goes wrong. */
#pragma once

#include <jansson.h>

#include "base/cleanup.h"
#include "ctl/client.h"
#include "ctl/writer.h"

struct command;

struct session {
	const struct command *command; /* NULL while it is not known */
	const char *socket;
	struct client *client; /* NULL before session_connect() */
	struct writer writer;
};

/* Writes "mcastctl: COMMAND: ..." on standard error, escaped. */
void session_complain(const struct session *session, const char *format, ...) PRINTF_LIKE(2, 3);

/* Complains about the command line. Returns EXIT_MISUSED. */
int session_misuse(const struct session *session, const char *format, ...) PRINTF_LIKE(2, 3);

/* Connects to the daemon. Returns EXIT_DONE, or EXIT_NO_DAEMON and has said why. */
int session_connect(struct session *session);

/* Says what a negative errno of client_receive() means. Returns EXIT_REFUSED. */
int session_lost(const struct session *session, int error);

/* Says why the daemon refused. prefix stands before its words. Returns EXIT_REFUSED. */
int session_refused(const struct session *session, const struct reply *reply, const char *prefix);

/* Connects, and sends one call; parameters may be NULL. Returns an exit code. */
int session_request(
	struct session *session, const char *method, const json_t *parameters, bool more);

/* One call and its answer, as above. Every failure has been said. */
int session_call(
	struct session *session, const char *method, const json_t *parameters, struct reply *ret);

/* One call, and its answer on standard output: as it is with --json, else as show() has it. */
int session_show(struct session *session, const char *method, const json_t *parameters,
	void (*show)(struct writer *writer, const json_t *answer));
