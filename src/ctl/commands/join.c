#include "ctl/command.h"
#include "ctl/json.h"
#include "ctl/target.h"

enum { JOIN_NAME, JOIN_INTERFACE, JOIN_SOURCE, JOIN_HANDLER };

static const struct option_row options[] = {
	[JOIN_NAME] = {"name", 0, OPTION_STRING, "NAME",
		"What to call the group; else ADDRESS:PORT"},
	[JOIN_INTERFACE] = {"interface", 0, OPTION_LIST, "NAME",
		"On this interface; may be repeated; else on all that can"},
	[JOIN_SOURCE] = {"source", 0, OPTION_LIST, "ADDRESS",
		"Only from this sender (source-specific); may be repeated"},
	[JOIN_HANDLER] = {"handler", 0, OPTION_LIST, "NAME",
		"Who gets the datagrams; may be repeated"},
	{0},
};

/* An option that was not given is absent, so that the daemon's default holds. Returns 0 or -1: not
 * UTF-8. */
static int set_list(json_t *parameters, const char *key, const struct option_value *value)
{
	AUTO_JSON json_t *list = NULL;

	if (!value->given)
		return 0;
	list = json_array();
	for (size_t i = 0; i < value->count; i++)
		if (json_array_append_new(list, json_string(value->list[i])) < 0)
			return -1;
	return json_object_set(parameters, key, list);
}

/* NULL: not UTF-8. */
static json_t *new_parameters(
	const struct arguments *arguments, const struct address *address, uint16_t port)
{
	const struct option_value *values = arguments->options;
	char string[INET6_ADDRSTRLEN];
	AUTO_JSON json_t *parameters = json_pack("{s:s, s:i, s:s*}", "address",
		address_format(address, string), "port", port, "name", values[JOIN_NAME].string);

	if (!parameters || set_list(parameters, "interfaces", &values[JOIN_INTERFACE]) < 0 ||
		set_list(parameters, "sources", &values[JOIN_SOURCE]) < 0 ||
		set_list(parameters, "handlers", &values[JOIN_HANDLER]) < 0)
		return NULL;
	return take(parameters);
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
	AUTO_JSON json_t *parameters = NULL;
	struct address address;
	uint16_t port;
	enum target_error error = target_parse(arguments->words[0], &address, &port);

	if (error)
		return session_misuse(
			session, "'%s': %s", arguments->words[0], target_error_words(error));
	parameters = new_parameters(arguments, &address, port);
	if (!parameters)
		return session_misuse(session, "a name is not UTF-8");
	return session_show(session, "Join", parameters, show);
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
