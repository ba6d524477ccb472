/* Command lines of mcastctl: they are taken, within the limits of their options, or refused with a
 * reason. */
#include "ctl/command.h"
#include "fuzz.h"

static void check_values(const struct option_value *values, const struct option_row *rows)
{
	for (int i = 0; rows && rows[i].name; i++) {
		if (rows[i].kind == OPTION_NUMBER && values[i].given)
			CHECK(values[i].number >= rows[i].min && values[i].number <= rows[i].max);
		CHECK(!values[i].count || (rows[i].kind == OPTION_LIST && values[i].given));
	}
}

static void try_arguments(int count, char *words[])
{
	AUTO_ARGUMENTS struct arguments arguments = {0};
	AUTO_TEXT struct text error = {0}, help = {0};

	if (arguments_parse(count, words, &arguments, &error) < 0) {
		CHECK(error.length);
		return;
	}
	check_values(arguments.global, global_options);
	if (arguments.command)
		check_values(arguments.options, arguments.command->options);
	help_append(&help, arguments.command);
	CHECK(help.length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = calloc(1, size + 1);
	char *words[WORDS_MAX + 1];

	CHECK(text);
	if (size)
		memcpy(text, data, size);
	try_arguments(split_words(text, size, words), words);
	return 0;
}
