/* One run of mcastctl: the daemon it talks to, and the messages for what goes wrong. */
#pragma once

#include <jansson.h>

#include "base/cleanup.h"
#include "ctl/client.h"
#include "ctl/writer.h"

/* What mcastctl exits with. Functions that return an exit code have explained any failure on
 * standard error. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1, /* refused or failed, by the daemon or here */
	EXIT_MISUSED = 2, /* the command line is wrong */
	EXIT_NO_DAEMON = 3, /* nobody listens at the socket, or it may not be used */
};

#define SESSION_SOCKET_DEFAULT "/run/mcastd.sock"

struct session {
	const char *command; /* its name; NULL while it is not known */
	const char *socket;
	bool socket_given; /* on the command line: then the daemon must be there */
	uint64_t deadline_ns; /* for the daemon's answers, of CLOCK_MONOTONIC; 0: none */
	struct client *client; /* NULL before session_connect() */
	struct text parameters; /* JSON members for the next call, see session_put_name() */
	int code; /* EXIT_MISUSED when one of them cannot be sent */
	struct writer writer;
};

void session_clear(struct session *session);

/* Writes "mcastctl: COMMAND: ..." on standard error, escaped; to EXIT_MISUSED it adds where help
 * is. Returns code. */
int session_fail(const struct session *session, enum exit_code code, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* Adds a string from the command line to the parameters, as json_put_string() does; NULL: nothing.
 * Where it is not UTF-8, the next call fails. Other members are added by base/json.h. */
void session_put_name(struct session *session, const char *key, const char *name);
void session_put_names(
	struct session *session, const char *key, const char *const *names, size_t count);

/* Connects, without a word where that fails. While the daemon reads nothing, standard error says
 * so. Returns as client_connect(). */
int session_open(struct session *session);

/* Returns an exit code. */
int session_connect(struct session *session);

/* Explains a negative errno of client_connect(). Returns EXIT_NO_DAEMON. */
int session_no_daemon(const struct session *session, int error);

/* Explains a negative errno of client_receive(). Returns EXIT_REFUSED, or EXIT_NO_DAEMON where no
 * daemon has read anything. */
int session_lost(const struct session *session, int error);

/* Explains why the daemon refused, after a prefix. Returns EXIT_REFUSED. */
int session_refused(const struct session *session, const struct reply *reply, const char *prefix);

/* Connects, and sends one call with the parameters. Returns an exit code. */
int session_request(struct session *session, const char *method, bool more);

/* One call and its answer. Returns an exit code. */
int session_call(struct session *session, const char *method, struct reply *ret);

/* The same without parameters, by a connection of its own, as more answers may be under way on that
 * of the session. Nothing is said: returns 0; -EAGAIN where the daemon accepts nothing now;
 * -ETIMEDOUT at the deadline, a time of CLOCK_MONOTONIC; or another negative errno. */
int session_call_apart(
	const struct session *session, const char *method, uint64_t deadline_ns, struct reply *ret);

/* One call, and its answer on standard output: as it is with --json, else by show(). Returns an
 * exit code. */
int session_show(struct session *session, const char *method,
	void (*show)(struct writer *writer, const json_t *answer));

#define AUTO_SESSION CLEANUP(session_clear)
