#include "ctl/help.h"

#include "ctl/commands.h"

/* Where the explanations start. */
#define HELP_COLUMN 28

static void append_row(struct text *text, struct text *left, const char *help)
{
	text_printf(text, "  %-*s%s\n", HELP_COLUMN - 2, text_string(left), help);
}

static void append_options(struct text *text, const struct option_row *rows)
{
	for (const struct option_row *row = rows; row && row->name; row++) {
		AUTO_TEXT struct text left = {0};

		if (row->letter)
			text_printf(&left, "-%c, ", row->letter);
		text_printf(&left, "--%s", row->name);
		if (row->value)
			text_printf(&left, " %s", row->value);
		append_row(text, &left, row->help);
	}
}

void help_program(struct text *text)
{
	text_append_string(text,
		"Usage: mcastctl [-s SOCKET] [--json] COMMAND [ARGUMENT...]\n\n"
		"Sends to multicast groups through mcastd, and shows what it does.\n\nCommands:\n");
	for (const struct command *const *command = commands; *command; command++) {
		AUTO_TEXT struct text left = {0};

		text_append_string(&left, (*command)->name);
		if (*(*command)->arguments)
			text_printf(&left, " %s", (*command)->arguments);
		append_row(text, &left, (*command)->help);
	}
	text_append_string(text, "\nOptions:\n");
	append_options(text, global_options);
	text_append_string(text,
		"\n'mcastctl COMMAND --help' shows the options of a command.\n"
		"Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no daemon there.\n");
}

void help_command(struct text *text, const struct command *command)
{
	text_printf(text, "Usage: mcastctl %s%s%s [OPTION...]\n\n%s.\n", command->name,
		*command->arguments ? " " : "", command->arguments, command->help);
	if (command->options) {
		text_append_string(text, "\nOptions:\n");
		append_options(text, command->options);
	}
	text_append_string(text, "\nOptions of every command:\n");
	append_options(text, global_options);
}
