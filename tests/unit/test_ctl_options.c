/* mcastctl's command line, and that its tables are sound. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "ctl/command.h"

#define WORDS_MAX 16

/* The command line starts at argv[1], as in main(). It is NULL at the end. */
static int parse(struct arguments *ret, struct text *error, const char *const *line)
{
	char *argv[WORDS_MAX + 1] = {(char *)"mcastctl"};
	int argc = 1;

	for (; *line; line++) {
		assert_true(argc < WORDS_MAX);
		argv[argc++] = (char *)*line;
	}
	*ret = (struct arguments){0};
	*error = (struct text){0};
	return arguments_parse(argc, argv, ret, error);
}

#define LINE(...) ((const char *const[]){__VA_ARGS__, NULL})

#define BEHIND "; put -- before a word that begins with -"

static void assert_refused(const char *const *line, const char *expected)
{
	struct arguments arguments;
	struct text error;

	assert_int_equal(parse(&arguments, &error, line), -EINVAL);
	assert_string_equal(text_string(&error), expected);
	text_free(&error);
	arguments_clear(&arguments);
}

static void options_and_words_may_mix(void **state)
{
	struct arguments arguments;
	struct text error;

	(void)state;
	assert_int_equal(parse(&arguments, &error,
				 LINE("-s", "/sock", "send", "--count", "3", "news", "--json",
					 "--interval=250ms", "-", "--", "--ttl")),
		0);
	assert_string_equal(arguments.command->name, "send");
	assert_string_equal(arguments.global[GLOBAL_SOCKET].string, "/sock");
	assert_true(arguments.global[GLOBAL_JSON].given);
	assert_false(arguments.global[GLOBAL_HELP].given);
	assert_int_equal(arguments.word_count, 3);
	assert_string_equal(arguments.words[0], "news");
	assert_string_equal(arguments.words[1], "-");
	assert_string_equal(arguments.words[2], "--ttl");
	arguments_clear(&arguments);
}

static const struct option_value *option(const struct arguments *arguments, const char *name)
{
	for (size_t i = 0; arguments->command->options[i].name; i++)
		if (!strcmp(arguments->command->options[i].name, name))
			return &arguments->options[i];
	fail_msg("there is no option %s", name);
	return NULL;
}

static void numbers_and_durations_are_read(void **state)
{
	struct arguments arguments;
	struct text error;
	unsigned given = 0;

	(void)state;
	assert_int_equal(
		parse(&arguments, &error, LINE("send", "--count", "3", "--interval=250ms")), 0);
	assert_int_equal(option(&arguments, "count")->number, 3);
	assert_int_equal(option(&arguments, "interval")->number, 250000000);
	for (size_t i = 0; arguments.command->options[i].name; i++)
		given += arguments.options[i].given;
	assert_int_equal(given, 2);
	arguments_clear(&arguments);
}

static void lists_grow(void **state)
{
	struct arguments arguments;
	struct text error;
	const struct option_value *interfaces;

	(void)state;
	assert_int_equal(
		parse(&arguments, &error, LINE("join", "--interface", "a", "x", "--interface=b")),
		0);
	interfaces = option(&arguments, "interface");
	assert_int_equal(interfaces->count, 2);
	assert_string_equal(interfaces->items[0], "a");
	assert_string_equal(interfaces->items[1], "b");
	arguments_clear(&arguments);
}

static void mistakes_are_named(void **state)
{
	(void)state;
	assert_refused(LINE("sned"), "there is no command 'sned' (did you mean send?)");
	assert_refused(LINE("--count", "3", "send"), "there is no option --count" BEHIND);
	assert_refused(
		LINE("send", "--cuont=3"), "there is no option --cuont (did you mean --count?)");
	assert_refused(LINE("send", "-x"), "there is no option -x" BEHIND);
	assert_refused(LINE("send", "-Vx"), "there is no option -x" BEHIND);
	assert_refused(LINE("send", "news", "-5.2"), "there is no option -5" BEHIND);
	assert_refused(LINE("send", "--json=yes"), "--json takes no value");
	assert_refused(LINE("send", "--file"), "--file needs a FILE");
	assert_refused(LINE("status", "-s"), "--socket needs a SOCKET");
	assert_refused(LINE("send", "--ttl", "256"), "--ttl: '256' is not a number from 0 to 255");
	assert_refused(LINE("send", "--ttl="), "--ttl: '' is not a number from 0 to 255");
	assert_refused(LINE("send", "--interval", "5"),
		"--interval: '5' is not a duration like 250ms, 5s or 10m");
}

static void short_options_take_their_value_at_once(void **state)
{
	struct arguments arguments;
	struct text error;

	(void)state;
	assert_int_equal(parse(&arguments, &error, LINE("-s/first", "status", "-hs/second")), 0);
	assert_string_equal(arguments.global[GLOBAL_SOCKET].string, "/second");
	assert_true(arguments.global[GLOBAL_HELP].given);
	assert_int_equal(arguments.word_count, 0);
	arguments_clear(&arguments);
}

static void long_options_may_be_abbreviated(void **state)
{
	struct arguments arguments;
	struct text error;

	(void)state;
	assert_int_equal(
		parse(&arguments, &error, LINE("--js", "send", "--interv=1s", "--cou", "3")), 0);
	assert_true(arguments.global[GLOBAL_JSON].given);
	assert_int_equal(option(&arguments, "interval")->number, 1000000000);
	assert_int_equal(option(&arguments, "count")->number, 3);
	arguments_clear(&arguments);
	assert_refused(LINE("send", "--int=1s"),
		"there is no option --int (did you mean --interface or --interval?)");
}

static void an_option_that_is_spelled_nearly_so_is_suggested(void **state)
{
	(void)state;
	assert_refused(
		LINE("send", "--tll", "4"), "there is no option --tll (did you mean --ttl?)");
	assert_refused(LINE("send", "--inteface=eth0"),
		"there is no option --inteface (did you mean --interface?)");
	assert_refused(LINE("--jsn", "status"), "there is no option --jsn (did you mean --json?)");
}

static void after_two_dashes_all_are_words(void **state)
{
	struct arguments arguments;
	struct text error;

	(void)state;
	assert_int_equal(parse(&arguments, &error, LINE("--", "send", "news", "--", "--json")), 0);
	assert_string_equal(arguments.command->name, "send");
	assert_int_equal(arguments.word_count, 3);
	assert_string_equal(arguments.words[1], "--");
	assert_false(arguments.global[GLOBAL_JSON].given);
	arguments_clear(&arguments);
	assert_int_equal(parse(&arguments, &error, LINE("-s", "--", "status")), 0);
	assert_string_equal(arguments.global[GLOBAL_SOCKET].string, "--");
	arguments_clear(&arguments);
}

/* getopt(3) would then take the options before the first word only. */
static void options_and_words_may_mix_where_posix_is_asked_for(void **state)
{
	setenv("POSIXLY_CORRECT", "1", 1);
	options_and_words_may_mix(state);
	unsetenv("POSIXLY_CORRECT");
}

static void nothing_is_no_mistake_here(void **state)
{
	struct arguments arguments;
	struct text error;

	(void)state;
	assert_int_equal(parse(&arguments, &error, LINE("--json")), 0);
	assert_null(arguments.command);
	arguments_clear(&arguments);
}

static void the_commands_stand_beside_their_help(void **state)
{
	AUTO_TEXT struct text help = {0};

	(void)state;
	help_append(&help, NULL);
	for (const struct command *const *command = commands; *command; command++) {
		const char *at = strstr(text_string(&help), (*command)->help);

		assert_non_null(at);
		assert_int_equal(strncmp(at - 2, "  ", 2), 0);
	}
}

static void tables_fit_and_have_help(void **state)
{
	(void)state;
	for (const struct command *const *command = commands; *command; command++) {
		const struct option_row *row = (*command)->options;
		struct text help = {0};

		help_append(&help, *command);
		assert_ptr_equal(command_find((*command)->name), *command);
		assert_int_equal(!(*command)->run, !strcmp((*command)->name, "help"));
		assert_true((*command)->words_min <= (*command)->words_max);
		for (; row && row->name; row++) {
			assert_true(row - (*command)->options < OPTIONS_MAX);
			assert_int_equal(row->kind == OPTION_FLAG, row->value == NULL);
			assert_non_null(strstr(text_string(&help), row->help));
		}
		text_free(&help);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_and_words_may_mix),
		cmocka_unit_test(numbers_and_durations_are_read),
		cmocka_unit_test(lists_grow),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(short_options_take_their_value_at_once),
		cmocka_unit_test(long_options_may_be_abbreviated),
		cmocka_unit_test(an_option_that_is_spelled_nearly_so_is_suggested),
		cmocka_unit_test(after_two_dashes_all_are_words),
		cmocka_unit_test(options_and_words_may_mix_where_posix_is_asked_for),
		cmocka_unit_test(nothing_is_no_mistake_here),
		cmocka_unit_test(the_commands_stand_beside_their_help),
		cmocka_unit_test(tables_fit_and_have_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
