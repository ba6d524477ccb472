#include "ctl/session.h"

#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "ctl/command.h"
#include "ctl/json.h"

/* One line, written at once so that it does not mix with those of others. */
static void complain(const struct session *session, const char *format, va_list arguments)
{
	AUTO_FREE char *words = NULL;
	AUTO_TEXT struct text line = {0};
	int length = vasprintf(&words, format, arguments);

	if (length < 0)
		return;
	text_append_string(&line, "mcastctl: ");
	if (session->command)
		text_printf(&line, "%s: ", session->command->name);
	text_append_shown(&line, words, (size_t)length);
	text_append(&line, "\n", 1);
	write_all(STDERR_FILENO, line.data, line.length);
}

void session_complain(const struct session *session, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain(session, format, arguments);
	va_end(arguments);
}

int session_misuse(const struct session *session, const char *format, ...)
{
	const char *name = session->command ? session->command->name : "";
	AUTO_FREE char *with_advice = NULL;
	va_list arguments;

	if (asprintf(&with_advice, "%s; try 'mcastctl %s%s--help'", format, name,
		    *name ? " " : "") < 0)
		return EXIT_MISUSED;
	va_start(arguments, format);
	complain(session, with_advice, arguments);
	va_end(arguments);
	return EXIT_MISUSED;
}

/* Who may open it, when that can be found out. */
static void explain_permission(const struct session *session)
{
	struct stat status;
	struct group *group;

	if (stat(session->socket, &status) == 0 && status.st_mode & S_IWGRP && status.st_gid != 0 &&
		(group = getgrgid(status.st_gid)))
		session_complain(session,
			"no permission to use %s: be root, or a member of the group '%s'",
			session->socket, group->gr_name);
	else
		session_complain(session,
			"no permission to use %s: be root, or ask who runs mcastd for access",
			session->socket);
}

/* The path, the reason, and what would mend it. */
static void explain_no_daemon(const struct session *session, int error)
{
	static const char elsewhere[] =
		"start mcastd, or name its socket with -s SOCKET or $MCASTD_SOCKET";

	switch (-error) {
	case ENOENT:
	case ENOTDIR:
		session_complain(
			session, "no mcastd at %s: no such file: %s", session->socket, elsewhere);
		break;
	case ECONNREFUSED:
		session_complain(
			session, "no mcastd at %s: nobody listens: %s", session->socket, elsewhere);
		break;
	case EACCES:
	case EPERM:
		explain_permission(session);
		break;
	case EPROTOTYPE:
		session_complain(session,
			"no mcastd at %s: not a control socket, maybe a group's: name the right "
			"one with -s SOCKET",
			session->socket);
		break;
	default:
		session_complain(session, "no mcastd at %s: %s: %s", session->socket,
			strerror(-error), elsewhere);
	}
}

int session_connect(struct session *session)
{
	int r;

	if (session->client)
		return EXIT_DONE;
	r = client_connect(session->socket, &session->client);
	if (r == 0)
		return EXIT_DONE;
	explain_no_daemon(session, r);
	return EXIT_NO_DAEMON;
}

int session_lost(const struct session *session, int error)
{
	switch (-error) {
	case ECONNRESET:
		session_complain(session, "mcastd at %s has gone away", session->socket);
		break;
	case EBADMSG:
		session_complain(session,
			"what answers at %s does not speak mcastd's language: is it mcastd?",
			session->socket);
		break;
	case EMSGSIZE:
		session_complain(session, "the answer of %s is larger than %u MiB: is it mcastd?",
			session->socket, REPLY_MAX >> 20);
		break;
	default:
		session_complain(session, "%s: %s", session->socket, strerror(-error));
	}
	return EXIT_REFUSED;
}

int session_refused(const struct session *session, const struct reply *reply, const char *prefix)
{
	const json_t *errors = json_object_get(reply->parameters, "errors");
	const char *message = json_string_value(json_object_get(reply->parameters, "message"));
	AUTO_TEXT struct text parameters = {0};

	for (size_t i = 0; i < json_array_size(errors); i++) {
		const char *line = json_string_value(json_array_get(errors, i));

		if (line && (!message || strcmp(line, message)))
			session_complain(session, "%s%s", prefix, line);
	}
	if (message) {
		session_complain(session, "%s%s", prefix, message);
		return EXIT_REFUSED;
	}
	/* Varlink's own errors have no words: MethodNotFound of an older daemon. */
	text_append_value(&parameters, reply->parameters);
	session_complain(
		session, "%smcastd answers %s %s", prefix, reply->error, text_string(&parameters));
	return EXIT_REFUSED;
}

int session_request(
	struct session *session, const char *method, const json_t *parameters, bool more)
{
	AUTO_TEXT struct text object = {0};
	int code = session_connect(session), r;

	if (code)
		return code;
	if (parameters)
		text_append_value(&object, parameters);
	else
		text_append_string(&object, "{}");
	client_request(session->client, method, object.data, object.length, more);
	r = text_failed(&object) ? -ENOMEM : client_flush(session->client);
	return r < 0 ? session_lost(session, r) : EXIT_DONE;
}

int session_call(
	struct session *session, const char *method, const json_t *parameters, struct reply *ret)
{
	AUTO_REPLY struct reply reply = {0};
	int code = session_request(session, method, parameters, false), r;

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

int session_show(struct session *session, const char *method, const json_t *parameters,
	void (*show)(struct writer *writer, const json_t *answer))
{
	AUTO_REPLY struct reply reply = {0};
	int code = session_call(session, method, parameters, &reply);

	if (code)
		return code;
	if (session->writer.json)
		writer_value(&session->writer, reply.parameters);
	else
		show(&session->writer, reply.parameters);
	return EXIT_DONE;
}
