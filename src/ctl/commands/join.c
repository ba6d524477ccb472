#include "base/json.h"
#include "ctl/command.h"
#include "ctl/target.h"

enum { JOIN_NAME, JOIN_INTERFACE, JOIN_SOURCE, JOIN_HANDLER };

static const struct option_row options[] = {
	[JOIN_NAME] = {"name", 0, OPTION_STRING, "NAME",
		"Name of the group; default: ADDRESS:PORT"},
	[JOIN_INTERFACE] = {"interface", 0, OPTION_LIST, "NAME",
		"Join on this interface; may be repeated; default: every suitable one"},
	[JOIN_SOURCE] = {"source", 0, OPTION_LIST, "ADDRESS",
		"Only from this sender (source-specific); may be repeated"},
	[JOIN_HANDLER] = {"handler", 0, OPTION_LIST, "NAME",
		"Deliver to this handler; may be repeated"},
	{0},
};

/* An option that was not given is absent, so that the daemon's default holds. */
static void put_list(struct session *session, const char *key, const struct option_value *value)
{
	if (value->given)
		session_put_names(session, key, value->items, value->count);
}

/* The name alone, for "mcastctl leave". */
static void show(struct writer *writer, const json_t *answer)
{
	const char *name = json_string_value(json_object_get(answer, "name"));

	if (name)
		writer_line(writer, name);
}

static int run(struct session *session, const struct arguments *arguments)
{
	const struct option_value *values = arguments->options;
	char why[WHY_MAX], string[INET6_ADDRSTRLEN];
	struct address address;
	uint16_t port;

	if (target_parse(arguments->words[0], &address, &port, why) < 0)
		return session_fail(session, EXIT_MISUSED, "'%s': %s", arguments->words[0], why);
	json_put_string(&session->parameters, "address", address_format(&address, string));
	json_put_number(&session->parameters, "port", port);
	session_put_name(session, "name", values[JOIN_NAME].string);
	put_list(session, "interfaces", &values[JOIN_INTERFACE]);
	put_list(session, "sources", &values[JOIN_SOURCE]);
	put_list(session, "handlers", &values[JOIN_HANDLER]);
	return session_show(session, "Join", show);
}

const struct command join_command = {
	.name = "join",
	.arguments = "ADDRESS:PORT",
	.words_min = 1,
	.words_max = 1,
	.help = "Join a group until the daemon stops, and print its name",
	.options = options,
	.run = run,
};
