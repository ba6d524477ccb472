/* mcastctl, the command line of mcastd. */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <string.h>

#include "base/io.h"
#include "ctl/command.h"

static const char *find_socket(const struct arguments *arguments)
{
	const char *environment = getenv("MCASTD_SOCKET");

	if (arguments->global[GLOBAL_SOCKET].given)
		return arguments->global[GLOBAL_SOCKET].string;
	return environment && *environment ? environment : SESSION_SOCKET_DEFAULT;
}

static int run_help(struct session *session, const struct arguments *arguments)
{
	const char *name = arguments->word_count ? arguments->words[0] : NULL;
	const struct command *command = name ? command_find(name) : NULL;
	AUTO_TEXT struct text hint = {0};

	if (name && !command) {
		command_suggest(name, &hint);
		session->command = NULL; /* the help to try is that which lists the commands */
		return session_fail(session, EXIT_MISUSED, "there is no command '%s'%s", name,
			text_string(&hint));
	}
	help_append(&session->writer.out, command);
	return EXIT_DONE;
}

static int run_command(struct session *session, const struct arguments *arguments)
{
	const struct command *command = arguments->command;

	if (!command)
		return session_fail(session, EXIT_MISUSED, "a command is missing");
	if (arguments->word_count < command->words_min ||
		arguments->word_count > command->words_max)
		return session_fail(session, EXIT_MISUSED, "too %s arguments: it takes %s",
			arguments->word_count < command->words_min ? "few" : "many",
			*command->arguments ? command->arguments : "none");
	return command->run ? command->run(session, arguments) : run_help(session, arguments);
}

/* --help and --version need nothing else of the command line. */
static bool show_help(struct session *session, const struct arguments *arguments)
{
	struct text *out = &session->writer.out;

	if (arguments->global[GLOBAL_HELP].given)
		help_append(out, arguments->command);
	else if (arguments->global[GLOBAL_VERSION].given)
		text_append_string(out, "mcastctl " MCASTD_VERSION "\n");
	else
		return false;
	return true;
}

/* A reader that has gone, as with "| head", is no failure: it had enough. */
static int finish(struct session *session, int code)
{
	int r = writer_flush(&session->writer);

	if (r == 0 || r == -EPIPE)
		return code;
	session_fail(session, EXIT_REFUSED, "writing the output: %s", strerror(-r));
	return code ? code : EXIT_REFUSED;
}

int main(int argc, char *argv[])
{
	AUTO_ARGUMENTS struct arguments arguments = {0};
	AUTO_SESSION struct session session = {0};
	AUTO_TEXT struct text error = {0};
	int r;

	if (occupy_standard_streams() < 0)
		return EXIT_REFUSED;
	/* The tables measure characters, and all text here is UTF-8 in every locale. */
	setlocale(LC_CTYPE, "");
	session.writer.has_utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	if (!session.writer.has_utf8)
		setlocale(LC_CTYPE, "C.UTF-8");
	signal(SIGPIPE, SIG_IGN);
	r = arguments_parse(argc, argv, &arguments, &error);
	session.command = arguments.command ? arguments.command->name : NULL;
	session.socket = find_socket(&arguments);
	session.socket_given = arguments.global[GLOBAL_SOCKET].given;
	session.writer.json = arguments.global[GLOBAL_JSON].given;
	if (r == -ENOMEM)
		return session_fail(&session, EXIT_REFUSED, "%s", strerror(ENOMEM));
	if (r < 0)
		return session_fail(&session, EXIT_MISUSED, "%s", text_string(&error));
	if (show_help(&session, &arguments))
		return finish(&session, EXIT_DONE);
	return finish(&session, run_command(&session, &arguments));
}
