#include "ctl/command.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/units.h"
#include "base/words.h"
#include "config/where.h"

/* Where the explanations of --help start. */
#define HELP_COLUMN 30

const struct option_row global_options[] = {
	[GLOBAL_SOCKET] = {"socket", 's', OPTION_STRING, "SOCKET",
		"The daemon's control socket; default: $MCASTD_SOCKET, else /run/mcastd.sock"},
	[GLOBAL_JSON] = {"json", 0, OPTION_FLAG, NULL,
		"Print the daemon's own answers, one per line"},
	[GLOBAL_HELP] = {"help", 'h', OPTION_FLAG, NULL, "Print this help"},
	[GLOBAL_VERSION] = {"version", 'V', OPTION_FLAG, NULL, "Print the version"},
	{0},
};

/* The options that are known at this point: the global ones and, after the command's name, its own.
 */
struct parser {
	const struct option_row *rows[2 * OPTIONS_MAX];
	struct option_value *values[2 * OPTIONS_MAX];
	struct option longs[2 * OPTIONS_MAX + 1]; /* in the order of rows */
	/* "-": getopt_long() returns words in their place, as option 1. ":": it prints nothing. */
	char letters[2 + 4 * OPTIONS_MAX + 1];
	int count;
};

/* What getopt_long() returns for the first long option; behind all letters. */
#define FIRST_LONG 256

static void add_rows(
	struct parser *parser, const struct option_row *row, struct option_value *value)
{
	char *letters = parser->letters + strlen(parser->letters);

	for (; row && row->name; row++, value++) {
		int i = parser->count++, has_value = row->kind != OPTION_FLAG;

		parser->rows[i] = row;
		parser->values[i] = value;
		parser->longs[i] = (struct option){row->name, has_value, NULL, FIRST_LONG + i};
		if (row->letter)
			letters += sprintf(letters, "%c%s", row->letter, has_value ? ":" : "");
	}
}

/* The row of what getopt_long() returned or has in optopt; -1: none. */
static int find_row(const struct parser *parser, int option)
{
	if (option >= FIRST_LONG)
		return option - FIRST_LONG;
	for (int i = 0; i < parser->count; i++)
		if (parser->rows[i]->letter && parser->rows[i]->letter == option)
			return i;
	return -1;
}

/* A negative number, say, is a word, where -- stands in front. */
#define BEHIND "; put -- before a word that begins with -"

/* The option that was meant, where one is spelled nearly so. Returns whether there is. */
static bool suggest_option(const struct parser *parser, const char *word, struct text *text)
{
	struct guess guess = {.word = word};

	for (int i = 0; i < parser->count; i++)
		guess_offer(&guess, parser->rows[i]->name);
	if (guess.nearest)
		text_printf(text, " (did you mean --%s?)", guess.nearest);
	return guess.nearest;
}

static int refuse_unknown(const struct parser *parser, const char *argument, struct text *error)
{
	int length = (int)strcspn(argument, "=");
	AUTO_FREE char *word = NULL;
	bool similar = false;

	if (optopt) {
		text_printf(error, "there is no option -%c" BEHIND, optopt);
		return -EINVAL;
	}
	text_printf(error, "there is no option %.*s", length, argument);
	for (int i = 0; i < parser->count; i++) {
		if (strncmp(parser->rows[i]->name, argument + 2, (size_t)length - 2))
			continue;
		text_printf(error, "%s--%s", similar ? " or " : " (did you mean ",
			parser->rows[i]->name);
		similar = true;
	}
	text_append_string(error, similar ? "?)" : "");
	word = similar ? NULL : strndup(argument + 2, (size_t)length - 2);
	if (word && !suggest_option(parser, word, error))
		text_append_string(error, BEHIND);
	return -EINVAL;
}

static int set_value(const struct option_row *row, struct option_value *value, struct text *error)
{
	value->given = true;
	value->string = optarg;
	switch (row->kind) {
	case OPTION_FLAG:
	case OPTION_STRING:
		break;
	case OPTION_LIST:
		return array_add(value, optarg);
	case OPTION_NUMBER:
		if (parse_number(optarg, row->max, &value->number) == 0 &&
			value->number >= row->min)
			break;
		text_printf(error, "--%s: '%s' is not a number from %" PRIu64 " to %" PRIu64,
			row->name, optarg, row->min, row->max);
		return -EINVAL;
	case OPTION_DURATION:
		if (parse_duration(optarg, &value->number) == 0)
			break;
		text_printf(error, "--%s: '%s' is not a duration like 250ms, 5s or 10m", row->name,
			optarg);
		return -EINVAL;
	}
	return 0;
}

/* argument is the last one that getopt_long() took. */
static int take_option(
	const struct parser *parser, int option, const char *argument, struct text *error)
{
	bool refused = option == '?' || option == ':';
	int i = find_row(parser, refused ? optopt : option);

	if (i < 0)
		return refuse_unknown(parser, argument, error);
	if (!refused)
		return set_value(parser->rows[i], parser->values[i], error);
	if (option == ':')
		text_printf(
			error, "--%s needs a %s", parser->rows[i]->name, parser->rows[i]->value);
	else
		text_printf(error, "--%s takes no value", parser->rows[i]->name);
	return -EINVAL;
}

void command_suggest(const char *name, struct text *text)
{
	struct guess guess = {.word = name};

	for (const struct command *const *command = commands; *command; command++)
		guess_offer(&guess, (*command)->name);
	if (guess.nearest)
		text_printf(text, " (did you mean %s?)", guess.nearest);
}

static int take_word(
	struct parser *parser, struct arguments *arguments, const char *word, struct text *error)
{
	if (arguments->command) {
		arguments->words[arguments->word_count++] = word;
		return 0;
	}
	arguments->command = command_find(word);
	if (!arguments->command) {
		text_printf(error, "there is no command '%s'", word);
		command_suggest(word, error);
		return -EINVAL;
	}
	add_rows(parser, arguments->command->options, arguments->options);
	return 0;
}

int arguments_parse(int argc, char *argv[], struct arguments *ret, struct text *error)
{
	struct parser parser = {.letters = "-:"};
	int option, r = 0;

	ret->words = calloc((size_t)argc + 1, sizeof(*ret->words));
	if (!ret->words)
		return -ENOMEM;
	add_rows(&parser, global_options, ret->global);
	optind = 0; /* resets glibc's scanner: the tests parse many times */
	while (r == 0 &&
		(option = getopt_long(argc, argv, parser.letters, parser.longs, NULL)) != -1) {
		if (option == 1)
			r = take_word(&parser, ret, optarg, error);
		else
			r = take_option(&parser, option, argv[optind - 1], error);
	}
	while (r == 0 && optind < argc)
		r = take_word(&parser, ret, argv[optind++], error);
	return r;
}

void arguments_clear(struct arguments *arguments)
{
	for (size_t i = 0; i < OPTIONS_MAX; i++) {
		free(arguments->options[i].items);
		free(arguments->global[i].items);
	}
	free(arguments->words);
	*arguments = (struct arguments){0};
}

/* What is too long for its column has a line of its own. */
static void append_row(struct text *text, struct text *left, const char *help)
{
	if (left->length + 2 > HELP_COLUMN - 2)
		text_printf(text, "  %s\n%*s%s\n", text_string(left), HELP_COLUMN, "", help);
	else
		text_printf(text, "  %-*s%s\n", HELP_COLUMN - 2, text_string(left), help);
}

static void append_options(struct text *text, const char *heading, const struct option_row *rows)
{
	text_printf(text, "\n%s:\n", heading);
	for (const struct option_row *row = rows; row->name; row++) {
		AUTO_TEXT struct text left = {0};

		if (row->letter)
			text_printf(&left, "-%c, ", row->letter);
		text_printf(&left, "--%s%s%s", row->name, row->value ? " " : "",
			row->value ? row->value : "");
		append_row(text, &left, row->help);
	}
}

static void append_keys(struct text *text, const struct option_row *rows)
{
	for (; rows && rows->name; rows++) {
		if (!rows->value || strcmp(rows->value, WHERE_VALUE))
			continue;
		text_append_string(text, "\nKeys, as in the filter of mcastd.conf(5): ");
		where_append_keys(text);
		text_append_string(text, ".\n");
	}
}

static void append_program(struct text *text)
{
	text_append_string(text,
		"Usage: mcastctl [-s SOCKET] [--json] COMMAND [ARGUMENT...]\n\n"
		"Sends to and receives from multicast groups, through mcastd or by itself, and "
		"shows what\nmcastd does.\n\nCommands:\n");
	for (const struct command *const *command = commands; *command; command++) {
		AUTO_TEXT struct text left = {0};

		text_printf(&left, "%s %s", (*command)->name, (*command)->arguments);
		append_row(text, &left, (*command)->help);
	}
	append_options(text, "Options", global_options);
	text_append_string(text,
		"\n'mcastctl COMMAND --help' shows the options of a command.\n"
		"Where mcastd reads nothing for 5 seconds, standard error says so, and mcastctl "
		"waits on.\n"
		"Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no daemon.\n");
}

void help_append(struct text *text, const struct command *command)
{
	if (!command) {
		append_program(text);
		return;
	}
	text_printf(text, "Usage: mcastctl %s%s%s [OPTION...]\n\n%s.\n", command->name,
		*command->arguments ? " " : "", command->arguments, command->help);
	if (strstr(command->arguments, "TARGET"))
		text_append_string(text,
			"\nA TARGET is ADDRESS:PORT[%INTERFACE][,source=ADDRESS]..., with an IPv6 "
			"address in brackets,\nsuch as 233.252.0.1:5004%eth0.\n");
	if (command->options)
		append_options(text, "Options", command->options);
	append_keys(text, command->options);
	append_options(text, "Options of every command", global_options);
}
