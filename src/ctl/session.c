#include "ctl/session.h"

#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/io.h"
#include "base/json.h"
#include "base/words.h"
#include "ctl/human.h"
#include "ctl/json.h"
#include "net/target.h"

#define START "start mcastd, or name its socket with -s SOCKET or $MCASTD_SOCKET"

/* Room for the name of a unit of mcastd. */
#define UNIT_MAX 128

void session_clear(struct session *session)
{
	client_closep(&session->client);
	text_free(&session->parameters);
	text_free(&session->writer.out);
}

int session_fail(const struct session *session, enum exit_code code, const char *format, ...)
{
	const char *command = session->command ? session->command : "";
	AUTO_TEXT struct text line = {0};
	AUTO_FREE char *words = NULL;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vasprintf(&words, format, arguments);
	va_end(arguments);
	if (length < 0)
		return code;
	text_printf(&line, "mcastctl: %s%s", command, *command ? ": " : "");
	text_append_shown(&line, words, (size_t)length);
	if (code == EXIT_MISUSED)
		text_printf(&line, "; try 'mcastctl %s%s--help'", command, *command ? " " : "");
	text_append(&line, "\n", 1);
	/* At once, so that the line does not mix with those of other programs. */
	write_all(STDERR_FILENO, line.data, line.length);
	return code;
}

void session_put_name(struct session *session, const char *key, const char *name)
{
	if (!name)
		return;
	if (!session->code && !utf8_valid(name, strlen(name)))
		session->code = session_fail(session, EXIT_MISUSED, "'%s' is not UTF-8", name);
	json_put_string(&session->parameters, key, name);
}

void session_put_names(
	struct session *session, const char *key, const char *const *names, size_t count)
{
	json_put_open(&session->parameters, key, '[');
	for (size_t i = 0; i < count; i++)
		session_put_name(session, NULL, names[i]);
	json_put_close(&session->parameters, ']');
}

/* Names the group whose members may open the socket, if there is one. */
static int explain_permission(const struct session *session)
{
	const struct group *group = NULL;
	struct stat status;

	if (stat(session->socket, &status) == 0 && status.st_mode & S_IWGRP && status.st_gid != 0)
		group = getgrgid(status.st_gid);
	if (group)
		return session_fail(session, EXIT_NO_DAEMON,
			"no permission to use %s: be root, or a member of the group '%s'",
			session->socket, group->gr_name);
	return session_fail(session, EXIT_NO_DAEMON,
		"no permission to use %s: be root, or ask whoever runs mcastd for access",
		session->socket);
}

/* The unit whose control socket this is, as those of systemd/ have it: "mcastd", "mcastd@lab".
 * False: none, or systemd does not run here. */
static bool name_unit(const char *socket, char unit[static UNIT_MAX])
{
	static const char start[] = "/run/mcastd", end[] = ".sock";
	size_t length = strlen(socket), head = strlen(start), tail = strlen(end);
	bool is_first;

	if (length < head + tail || length >= UNIT_MAX || strncmp(socket, start, head) ||
		strcmp(socket + length - tail, end) || access("/run/systemd/system", F_OK) < 0)
		return false;
	is_first = length == head + tail;
	if (!is_first && socket[head] != '-')
		return false;
	snprintf(unit, UNIT_MAX, "mcastd%s%.*s", is_first ? "" : "@",
		is_first ? 0 : (int)(length - head - tail - 1), socket + head + 1);
	return true;
}

#define HINT_MAX (UNIT_MAX + sizeof(" (systemctl restart )"))

/* What stands behind "restart": the command, where systemd runs the daemon. */
static const char *restart_hint(const struct session *session, char hint[static HINT_MAX])
{
	char unit[UNIT_MAX];

	if (!name_unit(session->socket, unit))
		return "";
	snprintf(hint, HINT_MAX, " (systemctl restart %s)", unit);
	return hint;
}

/* Nobody has read what was written to the socket: where systemd listens, it could not start the
 * daemon. */
static int explain_ignored(const struct session *session)
{
	char unit[UNIT_MAX];

	if (!name_unit(session->socket, unit))
		return session_fail(session, EXIT_NO_DAEMON,
			"mcastd at %s has ended, or was not started, before it read this: see its "
			"log, and mcastd --check",
			session->socket);
	return session_fail(session, EXIT_NO_DAEMON,
		"mcastd at %s has ended, or was not started, before it read this: journalctl -u %s "
		"says why, and mcastd --check what is wrong",
		session->socket, unit);
}

static int explain_missing(const struct session *session)
{
	char unit[UNIT_MAX];

	if (!name_unit(session->socket, unit))
		return session_fail(session, EXIT_NO_DAEMON,
			"no mcastd at %s: no such file: " START, session->socket);
	return session_fail(session, EXIT_NO_DAEMON,
		"no mcastd at %s: no such file: " START
		"; if it runs, its socket was removed: systemctl restart %s.socket",
		session->socket, unit);
}

static bool is_socket(const char *path)
{
	struct stat status;

	return stat(path, &status) < 0 || S_ISSOCK(status.st_mode);
}

/* The stream of a group takes what is asked for the length of a datagram, and ends. */
static bool is_stream_of_group(const char *path)
{
	size_t length = strlen(path), end = strlen(STREAM_SUFFIX);

	return length > end && !strcmp(path + length - end, STREAM_SUFFIX);
}

/* The path, the reason, and the fix. */
int session_no_daemon(const struct session *session, int error)
{
	const char *why = strerror(-error);

	switch (-error) {
	case EACCES:
	case EPERM:
		return explain_permission(session);
	case EPROTOTYPE:
		return session_fail(session, EXIT_NO_DAEMON,
			"no mcastd at %s: not a control socket, maybe a group's: name the right "
			"one with -s SOCKET",
			session->socket);
	case ENOENT:
	case ENOTDIR:
		return explain_missing(session);
	case ENAMETOOLONG:
		return session_fail(session, EXIT_NO_DAEMON,
			"no mcastd at %s: the path of a socket has at most %d bytes (unix(7))",
			session->socket, SOCKET_PATH_MAX);
	case ECONNREFUSED:
		if (!is_socket(session->socket))
			return session_fail(session, EXIT_NO_DAEMON,
				"no mcastd at %s: it is no socket: name that of mcastd with -s "
				"SOCKET or $MCASTD_SOCKET",
				session->socket);
		why = "nobody listens";
		break;
	}
	return session_fail(
		session, EXIT_NO_DAEMON, "no mcastd at %s: %s: " START, session->socket, why);
}

/* client_patience.unread */
static void tell_unread(void *argument)
{
	const struct session *session = argument;

	session_fail(session, EXIT_DONE,
		"mcastd at %s has not read this for %d s: it is starting, busy, stopped, or out of "
		"descriptors; its log may say which (journalctl -u mcastd); still waiting",
		session->socket, CLIENT_PATIENCE_S);
}

int session_open(struct session *session)
{
	const struct client_patience patience = {tell_unread, session};

	return client_connect(session->socket, &patience, &session->client);
}

int session_connect(struct session *session)
{
	int r;

	if (session->code || session->client)
		return session->code;
	r = session_open(session);
	if (r < 0)
		return session_no_daemon(session, r);
	if (session->deadline_ns)
		client_set_deadline(session->client, session->deadline_ns);
	return EXIT_DONE;
}

int session_lost(const struct session *session, int error)
{
	bool is_answered = session->client && client_was_answered(session->client);
	char restart[HINT_MAX];

	if (is_stream_of_group(session->socket) &&
		(error == -EBADMSG || (error == -ECONNRESET && !is_answered)))
		return session_no_daemon(session, -EPROTOTYPE);
	switch (-error) {
	case ECONNRESET:
		if (session->client && client_was_ignored(session->client))
			return explain_ignored(session);
		return session_fail(
			session, EXIT_REFUSED, "mcastd at %s has gone away", session->socket);
	case ETIMEDOUT:
		return session_fail(session, EXIT_REFUSED,
			"mcastd at %s does not answer: it is stopped, or has no time",
			session->socket);
	case EBADMSG:
		return session_fail(session, EXIT_REFUSED,
			"what answers at %s does not answer as this mcastctl expects it: is it "
			"mcastd? After an upgrade it has to be restarted%s",
			session->socket, restart_hint(session, restart));
	case EMSGSIZE:
		return session_fail(session, EXIT_REFUSED,
			"the answer of %s is larger than %u MiB: is it mcastd?", session->socket,
			REPLY_MAX >> 20);
	default:
		return session_fail(
			session, EXIT_REFUSED, "%s: %s", session->socket, strerror(-error));
	}
}

/* What a daemon says where a name is unknown, and the list that has the others. */
static const struct {
	const char *error, *key, *method, *list;
} unknown_names[] = {
	{"io.mcastd.NoSuchGroup", "group", "ListGroups", "groups"},
	{"io.mcastd.NoSuchHandler", "handler", "ListHandlers", "handlers"},
};

int session_call_apart(
	const struct session *session, const char *method, uint64_t deadline_ns, struct reply *ret)
{
	CLEANUP(client_closep) struct client *client = NULL;
	int r = client_connect_at_once(session->socket, &client);

	if (r == 0) {
		client_set_deadline(client, deadline_ns);
		r = client_request(client, method, &(struct text){0}, false);
	}
	return r == 0 ? client_receive(client, ret) : r;
}

/* Appends the name that was meant, where one is spelled nearly so. */
static void suggest(const struct session *session, const struct reply *refusal, struct text *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(unknown_names); i++) {
		AUTO_REPLY struct reply reply = {0};
		struct guess guess = {.word = json_string_value(json_object_get(
					      refusal->parameters, unknown_names[i].key))};
		const json_t *list;

		if (strcmp(refusal->error, unknown_names[i].error) || !guess.word ||
			session_call_apart(session, unknown_names[i].method,
				clock_ns(CLOCK_MONOTONIC) + CLIENT_PATIENCE_S * NS_PER_S,
				&reply) < 0)
			continue;
		list = json_object_get(reply.parameters, unknown_names[i].list);
		for (size_t j = 0; j < json_array_size(list); j++) {
			const char *name = json_string_value(
				json_object_get(json_array_get(list, j), "name"));

			if (name && strcmp(name, guess.word)) /* that would be no answer */
				guess_offer(&guess, name);
		}
		if (guess.nearest)
			text_printf(text, "; did you mean \"%s\"?", guess.nearest);
	}
}

/* What of a request the daemon does not know, which only one of another version does not: this
 * program asks for nothing that its own has not. NULL: it knows all. */
static const char *unknown_part(const struct reply *reply)
{
	const char *message = json_string_value(json_object_get(reply->parameters, "message"));
	const char *key = NULL;

	if (!strcmp(reply->error, "org.varlink.service.MethodNotFound"))
		key = "method";
	else if (!strcmp(reply->error, "org.varlink.service.InvalidParameter") && message &&
		 (strstr(message, "is not known") || strstr(message, "no such parameter")))
		key = "parameter";
	return key ? json_string_value(json_object_get(reply->parameters, key)) : NULL;
}

int session_refused(const struct session *session, const struct reply *reply, const char *prefix)
{
	const json_t *errors = json_object_get(reply->parameters, "errors");
	const char *message = json_string_value(json_object_get(reply->parameters, "message"));
	const char *unknown = unknown_part(reply);
	char restart[HINT_MAX];
	AUTO_TEXT struct text parameters = {0};

	if (unknown)
		return session_fail(session, EXIT_REFUSED,
			"%sthe mcastd that runs is of another version than this mcastctl, and does "
			"not know \"%s\": restart it%s",
			prefix, unknown, restart_hint(session, restart));
	for (size_t i = 0; i < json_array_size(errors); i++) {
		const char *line = json_string_value(json_array_get(errors, i));

		if (line && (!message || strcmp(line, message)))
			session_fail(session, EXIT_REFUSED, "%s%s", prefix, line);
	}
	if (message) {
		AUTO_TEXT struct text hint = {0};

		suggest(session, reply, &hint);
		return session_fail(
			session, EXIT_REFUSED, "%s%s%s", prefix, message, text_string(&hint));
	}
	/* Varlink's own errors have no message. */
	text_append_value(&parameters, reply->parameters);
	return session_fail(session, EXIT_REFUSED, "%smcastd answers %s %s", prefix, reply->error,
		text_string(&parameters));
}

int session_request(struct session *session, const char *method, bool more)
{
	int code = session_connect(session), r;

	if (code)
		return code;
	r = client_request(session->client, method, &session->parameters, more);
	text_clear(&session->parameters);
	if (r == 0)
		r = client_flush(session->client);
	return r < 0 ? session_lost(session, r) : EXIT_DONE;
}

int session_call(struct session *session, const char *method, struct reply *ret)
{
	AUTO_REPLY struct reply reply = {0};
	int code = session_request(session, method, false), r;

	if (code)
		return code;
	r = client_receive(session->client, &reply);
	if (r < 0)
		return session_lost(session, r);
	if (reply.error)
		return session_refused(session, &reply, "");
	*ret = reply;
	reply.message = NULL;
	return EXIT_DONE;
}

int session_show(struct session *session, const char *method,
	void (*show)(struct writer *writer, const json_t *answer))
{
	AUTO_REPLY struct reply reply = {0};
	int code = session_call(session, method, &reply);

	if (code)
		return code;
	if (session->writer.json)
		writer_value(&session->writer, reply.parameters);
	else
		show(&session->writer, reply.parameters);
	return EXIT_DONE;
}
