/* A file in chunks is what libconfig makes of the whole file, with the lines of the file. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <libconfig.h>
#include <stdlib.h>
#include <string.h>

#include "config/chunks.h"
#include "config/prescan.h"

#define ROUNDS 3000

static unsigned below(unsigned limit)
{
	return (unsigned)random() % limit;
}

static bool one_in(unsigned number)
{
	return below(number) == 0;
}

/* ---- What was read, as text ---- */

/* "NAME@LINE=VALUE ", and the same of its members. first_line: of the chunk. */
static void put_setting(struct text *text, const config_setting_t *setting, unsigned first_line)
{
	const char *name = config_setting_name(setting);

	text_printf(text, "%s@%u=", name ? name : "",
		first_line - 1 + config_setting_source_line(setting));
	if (config_setting_type(setting) == CONFIG_TYPE_STRING)
		text_printf(text, "%s ", config_setting_get_string(setting));
	else if (!config_setting_is_aggregate(setting))
		text_printf(text, "%lld ", config_setting_get_int64(setting));
	else
		text_printf(text, "<%d ", config_setting_type(setting));
	for (int i = 0; i < config_setting_length(setting); i++)
		put_setting(text, config_setting_get_elem(setting, (unsigned)i), first_line);
	if (config_setting_is_aggregate(setting))
		text_append_string(text, "> ");
}

/* Sections are not closed, and are named once, with the line where they begin first: a section that
 * goes on in another chunk continues there. last_section holds the name of the last one. */
static void put_top(struct text *text, const config_setting_t *root, unsigned first_line,
	struct text *last_section)
{
	for (int i = 0; i < config_setting_length(root); i++) {
		const config_setting_t *section = config_setting_get_elem(root, (unsigned)i);
		const char *name = config_setting_name(section);
		bool goes_on = !strcmp(text_string(last_section), name);

		text_clear(last_section);
		text_append_string(last_section, name);
		if (!config_setting_is_group(section)) {
			put_setting(text, section, first_line);
			continue;
		}
		if (!goes_on)
			text_printf(text, "\n%s@%u: ", name,
				first_line - 1 + config_setting_source_line(section));
		for (int j = 0; j < config_setting_length(section); j++)
			put_setting(
				text, config_setting_get_elem(section, (unsigned)j), first_line);
	}
}

/* Parses one text. Returns whether libconfig took it; else the text is the error. */
static bool put_parsed(
	struct text *text, const char *string, unsigned first_line, struct text *last_section)
{
	CLEANUP(config_destroy) config_t parsed;
	bool is_read;

	config_init(&parsed);
	is_read = config_read_string(&parsed, string);
	if (is_read) {
		put_top(text, config_root_setting(&parsed), first_line, last_section);
	} else {
		text_clear(text);
		text_printf(text, "%u: %s", first_line - 1 + (unsigned)config_error_line(&parsed),
			config_error_text(&parsed));
	}
	return is_read;
}

static void put_whole(struct text *text, const char *string)
{
	AUTO_TEXT struct text last_section = {0};

	put_parsed(text, string, 1, &last_section);
}

/* The number of settings of the section, or at the top, with the most. */
static int most_settings(const char *string)
{
	CLEANUP(config_destroy) config_t parsed;
	const config_setting_t *root;
	int most;

	config_init(&parsed);
	if (!config_read_string(&parsed, string))
		return 0;
	root = config_root_setting(&parsed);
	most = config_setting_length(root);
	for (int i = 0; i < config_setting_length(root); i++) {
		const config_setting_t *section = config_setting_get_elem(root, (unsigned)i);
		int length = config_setting_is_group(section) ? config_setting_length(section) : 0;

		most = length > most ? length : most;
	}
	return most;
}

/* Returns the number of chunks. */
static unsigned put_chunks(struct text *text, const char *string)
{
	AUTO_TEXT struct text last_section = {0}, part = {0};
	unsigned count = 0, line;
	struct chunker chunker;

	chunker_init(&chunker, string, strlen(string));
	for (; chunk_next(&chunker, &part, &line); count++) {
		assert_true(most_settings(text_string(&part)) <= CHUNK_SETTINGS);
		if (!put_parsed(text, text_string(&part), line, &last_section))
			break;
	}
	return count;
}

/* Returns the number of chunks. */
static unsigned compare(const char *string)
{
	AUTO_TEXT struct text whole = {0}, chunks = {0};
	unsigned count;

	put_whole(&whole, string);
	count = put_chunks(&chunks, string);
	if (strcmp(text_string(&whole), text_string(&chunks)))
		fail_msg("%s\n--- whole:\n%s\n--- in chunks:\n%s", string, text_string(&whole),
			text_string(&chunks));
	return count;
}

/* ---- Random files ---- */

static void put_blank(struct text *text)
{
	static const char *const blanks[] = {" ", "\n", "\t", "", "\r\n", "# a = { \" \n",
		"// } b = 1\n", "/* c = \n { */", "\n\n"};

	text_append_string(text, blanks[below(ARRAY_SIZE(blanks))]);
}

/* libconfig leaks a string that an error follows. */
static bool without_strings;

static void put_members(struct text *text, unsigned count, unsigned depth);

static void put_value(struct text *text, unsigned depth)
{
	static const char *const values[] = {"1", "true", "0x1f", "1.5", "[1, 2]", "( )", "[ ]",
		"(1, {a = 2; b = {}})", "\"x\"", "\"a; b = { \\\" }\""};

	if (depth && one_in(2)) {
		text_append_string(text, "{");
		put_members(text, one_in(3) ? below(150) : below(4), depth - 1);
		text_append_string(text, "}");
	} else {
		text_append_string(
			text, values[below(ARRAY_SIZE(values) - (without_strings ? 2 : 0))]);
	}
}

static void put_members(struct text *text, unsigned count, unsigned depth)
{
	for (unsigned i = 0; i < count; i++) {
		put_blank(text);
		text_printf(text, "n%u", i);
		put_blank(text);
		text_append_string(text, one_in(2) ? "=" : ":");
		put_blank(text);
		put_value(text, count > 20 && !one_in(8) ? 0 : depth);
		text_append_string(text, one_in(2) ? ";" : one_in(2) ? "," : " ");
	}
	put_blank(text);
}

static void chunks_have_what_the_whole_file_has(void **state)
{
	unsigned chunks = 0;

	(void)state;
	srandom(1);
	for (unsigned i = 0; i < ROUNDS / 10; i++) {
		AUTO_TEXT struct text text = {0};

		put_members(&text, one_in(4) ? below(150) : below(6), 3);
		chunks += compare(text_string(&text));
	}
	assert_true(chunks > ROUNDS / 10);
}

/* Those that the pre-scan lets pass. */
static void a_broken_file_has_the_error_and_the_line_of_the_whole(void **state)
{
	unsigned passed = 0;

	(void)state;
	srandom(2);
	without_strings = true;
	for (unsigned i = 0; i < ROUNDS; i++) {
		AUTO_ERRORS struct errors errors = {0};
		AUTO_TEXT struct text text = {0};
		struct refused_lines refused;
		size_t at;

		put_members(&text, below(80), 2);
		text_string(&text);
		at = text.length ? below((unsigned)text.length) : 0;
		if (text.length)
			text.data[at] = " =;{}[]()a1,"[below(12)];
		if (!prescan("F", text_string(&text), text.length, &errors, &refused)) {
			passed++;
			compare(text_string(&text));
		}
		refused_lines_clear(&refused);
	}
	assert_true(passed > ROUNDS / 10);
	without_strings = false;
}

static void an_empty_file_is_one_chunk(void **state)
{
	(void)state;
	assert_int_equal(compare(""), 1);
	assert_int_equal(compare("# nothing\n"), 1);
}

static void a_full_section_is_one_chunk_and_one_member_more_makes_two(void **state)
{
	AUTO_TEXT struct text text = {0};

	(void)state;
	text_append_string(&text, "s: {");
	for (unsigned i = 0; i < CHUNK_SETTINGS; i++)
		text_printf(&text, "n%u = 1;\n", i);
	text_append_string(&text, "}");
	assert_int_equal(compare(text_string(&text)), 1);
	text.length--;
	text_append_string(&text, "more = 1 } t = 2");
	assert_int_equal(compare(text_string(&text)), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_have_what_the_whole_file_has),
		cmocka_unit_test(a_broken_file_has_the_error_and_the_line_of_the_whole),
		cmocka_unit_test(an_empty_file_is_one_chunk),
		cmocka_unit_test(a_full_section_is_one_chunk_and_one_member_more_makes_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
