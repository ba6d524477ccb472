#include "ctl/command.h"

static const char *text_of(const json_t *row, const char *key)
{
	const char *value = json_string_value(json_object_get(row, key));

	return value ? value : "";
}

static void show_obstacle(struct writer *writer, const json_t *row)
{
	AUTO_TEXT struct text line = {0};

	text_printf(&line, "%s on %s: %s", text_of(row, "group"), text_of(row, "interface"),
		text_of(row, "why"));
	writer_line(writer, text_string(&line));
}

static void show(struct writer *writer, const json_t *answer)
{
	const json_t *impossible = json_object_get(answer, "impossible");
	json_int_t sent = json_integer_value(json_object_get(answer, "sent"));
	size_t others = json_array_size(impossible);
	AUTO_TEXT struct text line = {0};

	for (size_t i = 0; i < others; i++)
		show_obstacle(writer, json_array_get(impossible, i));
	text_printf(&line, "%lld membership%s reported again", (long long)sent,
		sent == 1 ? " is" : "s are");
	if (others)
		text_printf(&line, ", %zu cannot be", others);
	writer_line(writer, text_string(&line));
}

static int run(struct session *session, const struct arguments *arguments)
{
	AUTO_REPLY struct reply reply = {0};
	int code;

	session_put_name(session, "group", arguments->word_count ? arguments->words[0] : NULL);
	code = session_call(session, "Refresh", &reply);
	if (code)
		return code;
	if (session->writer.json)
		writer_value(&session->writer, reply.parameters);
	else
		show(&session->writer, reply.parameters);
	return json_integer_value(json_object_get(reply.parameters, "sent")) ? EXIT_DONE
									     : EXIT_REFUSED;
}

const struct command refresh_command = {
	.name = "refresh",
	.arguments = "[GROUP]",
	.words_max = 1,
	.help = "Report all memberships, or those of GROUP, to the network again",
	.run = run,
};
