#include "ctl/options.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/units.h"
#include "ctl/commands.h"

const struct option_row global_options[] = {
	[GLOBAL_SOCKET] = {"socket", 's', OPTION_STRING, "SOCKET",
		"The daemon's control socket; else $MCASTD_SOCKET, else /run/mcastd.sock"},
	[GLOBAL_JSON] = {"json", 0, OPTION_FLAG, NULL,
		"Print the daemon's own answers, one a line"},
	[GLOBAL_HELP] = {"help", 'h', OPTION_FLAG, NULL, "Print this"},
	[GLOBAL_VERSION] = {"version", 'V', OPTION_FLAG, NULL, "Print the version"},
	{0},
};

/* A walk along argv. */
struct parser {
	char **at, **end;
	int argc;
	bool words_only; /* "--" has been passed */
	struct arguments *arguments;
	struct text *error;
};

/* One option as it was found on the command line. */
struct found {
	const struct option_row *row; /* NULL: nobody knows it */
	struct option_value *value;
};

static bool names_option(const struct option_row *row, const char *argument, size_t length)
{
	if (argument[1] == '-')
		return strlen(row->name) == length - 2 &&
		       !strncmp(row->name, argument + 2, length - 2);
	return row->letter && length == 2 && argument[1] == row->letter;
}

static bool find_in(const struct option_row *rows, struct option_value *values,
	const char *argument, size_t length, struct found *ret)
{
	for (size_t i = 0; rows && rows[i].name; i++) {
		if (!names_option(&rows[i], argument, length))
			continue;
		*ret = (struct found){.row = &rows[i], .value = &values[i]};
		return true;
	}
	return false;
}

static struct found find_option(struct arguments *arguments, const char *argument, size_t length)
{
	struct found found = {0};

	if (!arguments->command ||
		!find_in(arguments->command->options, arguments->options, argument, length, &found))
		find_in(global_options, arguments->global, argument, length, &found);
	return found;
}

static int append_to_list(struct parser *parser, struct option_value *value, const char *string)
{
	if (!value->list)
		value->list = calloc((size_t)parser->argc, sizeof(*value->list));
	if (!value->list)
		return -ENOMEM;
	value->list[value->count++] = string;
	return 0;
}

static int set_number(
	struct parser *parser, const struct option_row *row, struct option_value *value)
{
	int r = parse_number(value->string, row->max, &value->number);

	if (r == 0 && value->number >= row->min)
		return 0;
	text_printf(parser->error, "--%s: '%s' is not a number from %" PRIu64 " to %" PRIu64,
		row->name, value->string, row->min, row->max);
	return -EINVAL;
}

static int set_value(struct parser *parser, struct found *found, const char *string)
{
	struct option_value *value = found->value;

	value->given = true;
	value->string = string;
	switch (found->row->kind) {
	case OPTION_FLAG:
	case OPTION_STRING:
		break;
	case OPTION_LIST:
		return append_to_list(parser, value, string);
	case OPTION_NUMBER:
		return set_number(parser, found->row, value);
	case OPTION_DURATION:
		if (parse_duration(string, &value->number) == 0)
			break;
		text_printf(parser->error, "--%s: '%s' is not a duration like 250ms, 5s or 10m",
			found->row->name, string);
		return -EINVAL;
	}
	return 0;
}

/* Takes the option at parser->at, and its value, which may be the next argument. */
static int parse_option(struct parser *parser)
{
	const char *argument = *parser->at++;
	const char *equals = argument[1] == '-' ? strchr(argument, '=') : NULL;
	size_t length = equals ? (size_t)(equals - argument) : strlen(argument);
	struct found found = find_option(parser->arguments, argument, length);
	const char *string = equals ? equals + 1 : NULL;

	if (!found.row) {
		text_printf(parser->error, "there is no option %.*s", (int)length, argument);
		return -EINVAL;
	}
	if (found.row->kind == OPTION_FLAG && string) {
		text_printf(parser->error, "--%s takes no value", found.row->name);
		return -EINVAL;
	}
	if (found.row->kind != OPTION_FLAG && !string) {
		if (parser->at == parser->end) {
			text_printf(parser->error, "--%s needs a %s", found.row->name,
				found.row->value);
			return -EINVAL;
		}
		string = *parser->at++;
	}
	return set_value(parser, &found, string);
}

static int parse_word(struct parser *parser)
{
	struct arguments *arguments = parser->arguments;
	const char *word = *parser->at++;

	if (arguments->command) {
		arguments->words[arguments->word_count++] = word;
		return 0;
	}
	arguments->command = command_find(word);
	if (arguments->command)
		return 0;
	text_printf(parser->error, "there is no command '%s'", word);
	return -EINVAL;
}

int arguments_parse(int argc, char *argv[], struct arguments *ret, struct text *error)
{
	struct parser parser = {.at = argv + (argc > 0),
		.end = argv + argc,
		.argc = argc,
		.arguments = ret,
		.error = error};
	int r = 0;

	ret->words = calloc((size_t)argc + 1, sizeof(*ret->words));
	if (!ret->words)
		return -ENOMEM;
	while (r == 0 && parser.at < parser.end) {
		const char *argument = *parser.at;

		if (!parser.words_only && !strcmp(argument, "--")) {
			parser.words_only = true;
			parser.at++;
		} else if (!parser.words_only && argument[0] == '-' && argument[1]) {
			r = parse_option(&parser);
		} else {
			r = parse_word(&parser);
		}
	}
	return r;
}

void arguments_clear(struct arguments *arguments)
{
	for (size_t i = 0; i < OPTIONS_MAX; i++) {
		free(arguments->options[i].list);
		free(arguments->global[i].list);
	}
	free(arguments->words);
	*arguments = (struct arguments){0};
}
