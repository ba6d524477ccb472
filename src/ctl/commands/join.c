#include <string.h>

#include "base/json.h"
#include "ctl/command.h"
#include "ctl/targets.h"

enum { JOIN_NAME, JOIN_INTERFACE, JOIN_SOURCE, JOIN_HANDLER };

static const struct option_row options[] = {
	[JOIN_NAME] = {"name", 0, OPTION_STRING, "NAME",
		"Name of the group; default: TARGET without its sources"},
	[JOIN_INTERFACE] = {"interface", 0, OPTION_LIST, "NAME",
		"Join on this interface; may be repeated; default: every suitable one"},
	[JOIN_SOURCE] = {"source", 0, OPTION_LIST, "ADDRESS",
		"Only from this sender (source-specific); may be repeated"},
	[JOIN_HANDLER] = {"handler", 0, OPTION_LIST, "NAME",
		"Deliver to this handler; may be repeated"},
	{0},
};

/* What is given in the target and as options. A list without items is absent, so that the daemon's
 * default holds. */
static void put_interfaces(
	struct session *session, const struct target *target, const struct option_value *value)
{
	if (!target->interface && !value->given)
		return;
	json_put_open(&session->parameters, "interfaces", '[');
	session_put_name(session, NULL, target->interface);
	for (size_t i = 0; i < value->count; i++)
		session_put_name(session, NULL, value->items[i]);
	json_put_close(&session->parameters, ']');
}

static void put_sources(struct session *session, const struct target *target)
{
	char string[INET6_ADDRSTRLEN];

	if (!target->sources.count)
		return;
	json_put_open(&session->parameters, "sources", '[');
	for (size_t i = 0; i < target->sources.count; i++)
		json_put_string(&session->parameters, NULL,
			address_format(&target->sources.items[i], string));
	json_put_close(&session->parameters, ']');
}

static const char *member(const json_t *object, const char *name)
{
	const char *string = json_string_value(json_object_get(object, name));

	return string ? string : "";
}

/* Says on standard error what is hardly meant, and where the group is not joined, and why. Returns
 * an exit code: what waits for an interface is no failure. */
static int explain(const struct session *session, const json_t *answer)
{
	const json_t *memberships = json_object_get(answer, "memberships");
	const json_t *warnings = json_object_get(answer, "warnings");
	int code = EXIT_DONE;

	for (size_t i = 0; i < json_array_size(warnings); i++)
		session_fail(
			session, EXIT_DONE, "%s", json_string_value(json_array_get(warnings, i)));
	for (size_t i = 0; i < json_array_size(memberships); i++) {
		const json_t *membership = json_array_get(memberships, i);
		const char *state = member(membership, "state");

		if (!strcmp(state, "joined"))
			continue;
		session_fail(session, EXIT_REFUSED, "%s on %s: %s%s", state,
			member(membership, "interface"), member(membership, "error"),
			!strcmp(state, "waiting") ? "; joined as soon as that changes"
						  : "; tried again");
		if (strcmp(state, "waiting"))
			code = EXIT_REFUSED;
	}
	if (json_is_array(memberships) && !json_array_size(memberships))
		session_fail(session, EXIT_REFUSED,
			"waiting: no interface can do multicast; joined as soon as one does");
	return code;
}

/* Prints the name alone, for "mcastctl leave". */
static int join(struct session *session)
{
	AUTO_REPLY struct reply reply = {0};
	int code = session_call(session, "Join", &reply);

	if (code)
		return code;
	if (session->writer.json)
		writer_value(&session->writer, reply.parameters);
	else
		writer_line(&session->writer, member(reply.parameters, "name"));
	return explain(session, reply.parameters);
}

static int run(struct session *session, const struct arguments *arguments)
{
	const struct option_value *values = arguments->options;
	char string[INET6_ADDRSTRLEN];
	AUTO_TARGET struct target target = {0};
	AUTO_FREE char *name = NULL;
	int code = target_read(session, arguments->words[0], &target);

	if (!code)
		code = target_take_sources(
			session, &target, values[JOIN_SOURCE].items, values[JOIN_SOURCE].count);
	if (code)
		return code;
	json_put_string(&session->parameters, "address", address_format(&target.address, string));
	json_put_number(&session->parameters, "port", target.port);
	name = target_group_name(&target);
	session_put_name(
		session, "name", values[JOIN_NAME].given ? values[JOIN_NAME].string : name);
	put_interfaces(session, &target, &values[JOIN_INTERFACE]);
	put_sources(session, &target);
	if (values[JOIN_HANDLER].given)
		session_put_names(session, "handlers", values[JOIN_HANDLER].items,
			values[JOIN_HANDLER].count);
	return join(session);
}

const struct command join_command = {
	.name = "join",
	.arguments = "TARGET",
	.words_min = 1,
	.words_max = 1,
	.help = "Join a group until the daemon stops, and print its name",
	.options = options,
	.run = run,
};
