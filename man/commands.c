/* The commands of mcastctl and their options. */
#include <inttypes.h>

#include "ctl/command.h"
#include "tables.h"

/* "[GROUP...]": placeholders are underlined, brackets and dots are not. */
static void append_arguments(struct text *out, const char *string)
{
	size_t size;

	for (; *string; string += size) {
		const char *dots = strstr(string, "...");

		size = strspn(string, " []|.");
		text_append(out, string, size);
		string += size;
		size = strcspn(string, " []|");
		if (dots >= string && dots < string + size)
			size = (size_t)(dots - string);
		if (!size)
			continue;
		text_append_string(out, "_");
		append_plain(out, string, size);
		text_append_string(out, "_");
	}
}

static void append_option(struct text *out, const struct option_row *row, const char *indent)
{
	text_append_string(out, indent);
	if (row->letter)
		text_printf(out, "*-%c*, ", row->letter);
	text_printf(out, "*--%s*", row->name);
	if (row->value)
		text_printf(out, " _%s_", row->value);
	text_printf(out, "\n%s\t", indent);
	append_sentence(out, row->help);
	/* A limit that nobody can reach is not worth mentioning. */
	if (row->kind == OPTION_NUMBER && row->max <= UINT32_MAX)
		text_printf(out, " %" PRIu64 " to %" PRIu64 ".", row->min, row->max);
	text_append_string(out, "\n\n");
}

static void append_options(struct text *out, const struct option_row *rows, const char *indent)
{
	for (const struct option_row *row = rows; row && row->name; row++)
		append_option(out, row, indent);
}

void put_options(struct text *out, const char *argument)
{
	(void)argument;
	append_options(out, global_options, "");
}

void put_command(struct text *out, const char *argument)
{
	const struct command *command = command_find(argument);

	if (!command)
		fail("there is no command %s", argument);
	text_append_string(out, "*mcastctl ");
	append_plain_string(out, command->name);
	text_append_string(out, *command->arguments ? "* " : "*");
	append_arguments(out, command->arguments);
	text_append_string(out, command->options ? " [_OPTION_...]\n\t" : "\n\t");
	append_sentence(out, command->help);
	text_append_string(out, "\n\n");
	append_options(out, command->options, "\t");
}
