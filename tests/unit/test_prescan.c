/* What the bytes of a file show before libconfig sees them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "config/prescan.h"

/* The bytes are copied without a terminator, so that reading past their end is found. */
static int scan_bytes(
	const char *bytes, size_t size, struct errors *errors, struct refused_lines *refused)
{
	AUTO_FREE char *copy = malloc(size);
	int r;

	if (size)
		memcpy(copy, bytes, size);
	r = prescan("F", copy, size, errors, refused);
	return r;
}

static void accept(const char *text)
{
	AUTO_ERRORS struct errors errors = {0};
	struct refused_lines refused;

	if (scan_bytes(text, strlen(text), &errors, &refused))
		fail_msg("%s: %s", text, errors.count ? errors.lines[0] : "no reason");
	assert_int_equal(errors_total(&errors), 0);
	assert_int_equal(refused.count, 0);
	refused_lines_clear(&refused);
}

static void refuse_bytes(const char *bytes, size_t size, const char *expected)
{
	AUTO_ERRORS struct errors errors = {0};
	struct refused_lines refused;

	assert_int_equal(scan_bytes(bytes, size, &errors, &refused), -EINVAL);
	assert_int_equal(errors.count, 1);
	assert_string_equal(errors.lines[0], expected);
	refused_lines_clear(&refused);
}

static void refuse(const char *text, const char *expected)
{
	refuse_bytes(text, strlen(text), expected);
}

/* An integer is refused, but libconfig may go on. */
static void refuse_integer(const char *text, const char *expected)
{
	AUTO_ERRORS struct errors errors = {0};
	struct refused_lines refused;

	assert_int_equal(scan_bytes(text, strlen(text), &errors, &refused), 0);
	assert_int_equal(errors.count, 1);
	assert_string_equal(errors.lines[0], expected);
	assert_int_equal(refused.count, 1);
	refused_lines_clear(&refused);
}

static void a_file_as_in_the_manual_is_accepted(void **state)
{
	(void)state;
	accept("");
	accept("# only a comment");
	accept("groups: {\n  news: { address = \"233.252.0.1\"; port = 5004, loop = TRUE };\n};\n"
	       "a = [1, 2]; b = ( { x = 1.5e3; }, { x = 0x1F; } ); c = -5L;\r\n*d-e_ = [];");
}

static void the_separator_may_be_left_out(void **state)
{
	(void)state;
	accept("a = 1\nb = \"x\"\nc = { d = 1 }\ne = 2");
}

static void include_is_refused(void **state)
{
	(void)state;
	refuse("a = 1;\n@include \"/etc\"\n",
		"F:2: @include is not supported, put the file into conf.d instead");
	refuse("  @include \"x\"",
		"F:1: @include is not supported, put the file into conf.d instead");
}

static void include_behind_something_that_is_no_string_is_refused(void **state)
{
	(void)state;
	refuse("a = \"\\\\\"; @include \"x\"",
		"F:1: @include is not supported, put the file into conf.d instead");
	refuse("/* \" */\n@include \"x\" # \"",
		"F:2: @include is not supported, put the file into conf.d instead");
	refuse("# \"\n@include \"x\"",
		"F:2: @include is not supported, put the file into conf.d instead");
	refuse("// /*\n@include \"x\"",
		"F:2: @include is not supported, put the file into conf.d instead");
}

static void include_in_a_string_or_comment_is_accepted(void **state)
{
	(void)state;
	accept("a = \" @include \\\" @include\"; # @include\n// @include\n/*\n@include \"/\"\n*/");
}

static void a_nul_byte_is_refused(void **state)
{
	static const char bytes[] = "a = 1;\n\nb = 2;\0 c = 3;";

	(void)state;
	refuse_bytes(bytes, sizeof(bytes) - 1,
		"F:3: there is a NUL byte, which no text has: is this the right file?");
}

static void a_nul_byte_in_a_comment_or_string_is_refused(void **state)
{
	(void)state;
	refuse_bytes(
		"# \0", 3, "F:1: there is a NUL byte, which no text has: is this the right file?");
	refuse_bytes("a=\"\0\"", 5,
		"F:1: there is a NUL byte, which no text has: is this the right file?");
}

static void an_escaped_nul_is_refused(void **state)
{
	(void)state;
	refuse("a = \"/x\\x00y\";", "F:1: \\x00 cannot be in a string, remove it");
	refuse("a = \"\\X00\";", "F:1: \\x00 cannot be in a string, remove it");
	accept("a = \"\\\\x00\";");
	accept("a = \"\\x01\";");
}

static void a_byte_order_mark_is_refused(void **state)
{
	(void)state;
	refuse("\xef\xbb\xbf"
	       "a = 1;",
		"F:1: the file begins with a byte order mark, save it without");
}

#define TOO_LONG                                                                                \
	" has more than 9 digits, use a smaller number (a size or a duration is a string with " \
	"its "                                                                                  \
	"unit: \"4G\", \"5s\")"

static void integers_of_more_than_nine_digits_are_refused(void **state)
{
	(void)state;
	refuse_integer("a = 1;\nb = 5000000000;", "F:2: 5000000000" TOO_LONG);
	refuse_integer("b = 2147483647;", "F:1: 2147483647" TOO_LONG);
	refuse_integer("b = -5000000000;", "F:1: -5000000000" TOO_LONG);
	refuse_integer("b = 5000000000L;", "F:1: 5000000000L" TOO_LONG);
	refuse_integer("b = [1, 5000000000];", "F:1: 5000000000" TOO_LONG);
	refuse_integer("b=5000000000", "F:1: 5000000000" TOO_LONG);
	accept("a = 999999999; b = -999999999;");
}

#define LEADING_ZERO                                                                             \
	" begins with 0, which some versions of libconfig take for octal, remove the 0 (a file " \
	"mode "                                                                                  \
	"is a string: \"0660\")"

static void integers_with_a_leading_zero_are_refused(void **state)
{
	(void)state;
	refuse_integer("a = 010;", "F:1: 010" LEADING_ZERO);
	refuse_integer("a = 00;", "F:1: 00" LEADING_ZERO);
	refuse_integer("a = -07;", "F:1: -07" LEADING_ZERO);
	refuse_integer("a = 0660", "F:1: 0660" LEADING_ZERO);
	accept("a = 0; b = -0; c = 0.5; d = 00.5; e = 0e1;");
}

static void hexadecimal_integers_that_do_not_fit_are_refused(void **state)
{
	(void)state;
	refuse_integer("a = 0xFFFFFFFF;",
		"F:1: 0xFFFFFFFF has more than 7 hexadecimal digits, use a smaller number");
	refuse_integer("a = 0X80000000L;",
		"F:1: 0X80000000L has more than 7 hexadecimal digits, use a smaller number");
	accept("a = 0xFFFFFFF; b = 0x000000000001;");
}

static void digits_in_names_strings_and_comments_are_accepted(void **state)
{
	(void)state;
	accept("a0123456789012 = \"5000000000 010\"; # 5000000000 010\n/* 010 */ b-010 = 1; // "
	       "010");
}

static void a_slash_or_hash_in_a_string_begins_no_comment(void **state)
{
	(void)state;
	refuse_integer("a = \"http://x\"; b = 010;", "F:1: 010" LEADING_ZERO);
	refuse_integer("a = \"/*\"; b = 010; c = \"*/\";", "F:1: 010" LEADING_ZERO);
	refuse_integer("a = \"#\"; b = 010;", "F:1: 010" LEADING_ZERO);
	refuse_integer("a = \"\\\"#\"; b = 010;", "F:1: 010" LEADING_ZERO);
}

static void a_comment_of_stars_ends_where_it_should(void **state)
{
	(void)state;
	refuse_integer("/***/ a = 010;", "F:1: 010" LEADING_ZERO);
	refuse_integer("/* / * */ a = 010;", "F:1: 010" LEADING_ZERO);
	refuse("/*/ a = 1;", "F:1: the comment that begins here is never closed, add */");
}

static void lines_are_counted_through_comments(void **state)
{
	(void)state;
	refuse_integer("/*\n\n*/ # x\n// y\n\r\n a = 010;", "F:6: 010" LEADING_ZERO);
}

static void odd_lines_are_remembered(void **state)
{
	static const char text[] = "a = 1;\nb = 010;\nc = 2;\nd = [010,\n5000000000];";
	AUTO_ERRORS struct errors errors = {0};
	struct refused_lines refused;

	(void)state;
	assert_int_equal(prescan("F", text, strlen(text), &errors, &refused), 0);
	assert_int_equal(errors.count, 3);
	assert_false(refused_lines_contain(&refused, 1));
	assert_true(refused_lines_contain(&refused, 2));
	assert_false(refused_lines_contain(&refused, 3));
	assert_true(refused_lines_contain(&refused, 4));
	assert_true(refused_lines_contain(&refused, 5));
	refused_lines_clear(&refused);
	assert_false(refused_lines_contain(&refused, 2));
}

static void an_unclosed_comment_is_refused_where_it_begins(void **state)
{
	(void)state;
	refuse("a = 1;\n/* b = 2;\nc = 3;\n",
		"F:2: the comment that begins here is never closed, add */");
}

static void an_unclosed_string_is_refused_on_its_line(void **state)
{
	static const char expected[] =
		"F:1: syntax error, the string has no closing \" on its line "
		"(a line break within is \\n)";

	(void)state;
	refuse("a = [\"eth0];\nb = \"x\";\n", expected);
	refuse("a = \"x", expected);
	refuse("a = \"x\\", expected);
	refuse("a = \"x\\\"", expected);
}

static void strings_without_a_comma_are_refused(void **state)
{
	(void)state;
	refuse("a = [\"eth0\"\n\"eth1\"];",
		"F:2: two strings without a comma between them become one, write the comma");
	accept("a = \"eth0\"\nb = \"eth1\"");
}

static void values_without_quotes_are_refused(void **state)
{
	(void)state;
	refuse("a = eth0;", "F:1: syntax error, the value eth0 needs double quotes: \"eth0\"");
	refuse("a = 8M;", "F:1: syntax error, the value 8M needs double quotes: \"8M\"");
	refuse("a = 233.252.0.1;",
		"F:1: syntax error, the value 233.252.0.1 needs double quotes: \"233.252.0.1\"");
	refuse("a = ff15::1;",
		"F:1: syntax error, the value ff15::1 needs double quotes: \"ff15::1\"");
	refuse("a : /run/x;",
		"F:1: syntax error, the value /run/x needs double quotes: \"/run/x\"");
	refuse("a = [eth0];", "F:1: syntax error, the value eth0 needs double quotes: \"eth0\"");
	refuse("a = 'eth0';",
		"F:1: syntax error at 'eth0', strings take plain double quotes: \"eth0\"");
}

static void typographic_quotes_are_shown_as_plain_ones(void **state)
{
	(void)state;
	refuse("address = \u201c239.1.1.1\u201d;",
		"F:1: syntax error at \u201c239.1.1.1\u201d, strings take plain double quotes: "
		"\"239.1.1.1\"");
	refuse("a = [\u00abeth0\u00bb];",
		"F:1: syntax error at \u00abeth0\u00bb, strings take plain double quotes: "
		"\"eth0\"");
	refuse("a = eth0\u201d;",
		"F:1: syntax error at eth0\u201d, strings take plain double quotes: \"eth0\"");
	refuse("port = \u201c5004\u201d;",
		"F:1: syntax error at \u201c5004\u201d, write 5004 without quotes");
	refuse("a = \"eth0\u201d;",
		"F:1: syntax error, the string ends with \", and not with a typographic quote");
}

static void what_only_looks_like_a_space_is_named(void **state)
{
	(void)state;
	refuse("port = \u00a05004;",
		"F:1: syntax error, a character in \"\u00a05004\" only looks like a space, as in "
		"text from a web page: remove it");
}

static void a_value_that_ends_with_a_colon_gets_a_semicolon(void **state)
{
	(void)state;
	refuse("port = 5001:",
		"F:1: syntax error, a value ends with ; and not with :, write 5001;");
	refuse("loop = false:\n",
		"F:1: syntax error, a value ends with ; and not with :, write false;");
	refuse("address = ff15::;", "F:1: syntax error, the value ff15:: needs double quotes: "
				    "\"ff15::\"");
}

static void what_a_key_of_another_type_takes_is_named(void **state)
{
	(void)state;
	refuse("port = 50O1;", "F:1: syntax error, 50O1 is no whole number, write digits alone");
	refuse("loop = ture;", "F:1: syntax error, write true or false instead of ture");
	refuse("max_size = 1k;", "F:1: syntax error, 1k is no whole number, write digits alone");
	/* of control a path, of a group a boolean */
	refuse("socket = /run/x;",
		"F:1: syntax error, the value /run/x needs double quotes: \"/run/x\"");
}

static void a_section_in_brackets_is_refused_with_braces(void **state)
{
	(void)state;
	refuse("[groups]\n", "F:1: syntax error, a section has its name in front of braces and no "
			     "[ ]: write groups: { ... };");
	refuse("{ }", "F:1: syntax error, this { stands where a name belongs: a setting is NAME = "
		      "VALUE;");
}

static void truth_in_other_words_is_refused(void **state)
{
	(void)state;
	refuse("a = yes;", "F:1: syntax error, write true instead of yes");
	refuse("a = Off;", "F:1: syntax error, write false instead of Off");
}

static void a_missing_value_is_refused(void **state)
{
	static const char expected[] = "F:1: syntax error, there is no value after =";

	(void)state;
	refuse("a = ;", expected);
	refuse("a =", expected);
	refuse("a =\nb = 2;", expected);
	refuse("a = { b = }", expected);
}

static void a_name_alone_is_refused(void **state)
{
	(void)state;
	refuse("a = 1;\nb 2;", "F:2: syntax error at \"b\", a setting is NAME = VALUE;");
}

static void a_name_that_is_none_is_refused(void **state)
{
	static const char *const names[] = {
		"1a", "233.252.0.1", "a.b", "_a", "true", "-a", "\xc3\xa4"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char text[64], expected[128];

		snprintf(text, sizeof(text), "%s = 1;", names[i]);
		snprintf(expected, sizeof(expected),
			"F:1: syntax error, \"%s\" cannot be a name: use a letter, then letters, "
			"digits, "
			"- and _",
			names[i]);
		refuse(text, expected);
	}
}

static void separators_too_many_are_refused(void **state)
{
	(void)state;
	refuse("a = 1;;", "F:1: syntax error, remove the second ;");
	refuse("a = [1, , 2];", "F:1: syntax error, remove the second ,");
	refuse("a = [1, 2,];", "F:1: syntax error, remove the , before ]");
	refuse("a = (1,\n2,\n);", "F:2: syntax error, remove the , before )");
}

static void brackets_that_do_not_pair_are_refused_once(void **state)
{
	(void)state;
	refuse("a = {\n  b = [1;\n};\nc = {\n d = 1;\n};\n",
		"F:3: syntax error, this } cannot close the [ of line 2, is one missing in "
		"between?");
	refuse("a = 1;\n};\n};",
		"F:2: syntax error, this } closes nothing, is there one too many above?");
	refuse("a = {\n  b = {\n    c = 1;\n  };\n",
		"F:1: syntax error, the { that is opened here is never closed");
}

static void brackets_in_strings_and_comments_do_not_count(void **state)
{
	(void)state;
	accept("a = \"{[(\"; # {\n/* [ */ b = \"}\"; // (");
}

static void deep_brackets_are_refused(void **state)
{
	char text[100000 + 4] = "a = ";

	(void)state;
	memset(text + 4, '(', sizeof(text) - 4);
	refuse_bytes(text, sizeof(text),
		"F:1: syntax error, brackets are more than 16 deep, is one not closed?");
}

static void a_name_twice_is_refused_naming_both_places(void **state)
{
	(void)state;
	refuse("a = 1;\nb = 2;\na = 3;\n", "F:3: a: already defined at F:1, remove one of them");
	refuse("groups: {\n  news: { port = 1; };\n  x: {};\n  news: { port = 2; };\n};\n",
		"F:4: groups.news: already defined at F:2, remove one of them");
	refuse("groups: {\n  news: {\n    port = 1;\n    ttl = 1;\n    port = 2;\n  };\n};\n",
		"F:5: groups.news.port: already defined at F:3, remove one of them");
}

static void blocks_twice_are_not_to_be_removed(void **state)
{
	(void)state;
	refuse("groups: {\n  a: { port = 1; };\n};\ngroups: {\n  b: { port = 1; };\n};\n",
		"F:4: groups: already defined at F:1: put its groups into that block, or this "
		"block into a file of its own in conf.d (NAME.d beside NAME.conf)");
	refuse("handlers: { };\nhandlers: { };\n",
		"F:2: handlers: already defined at F:1: put its handlers into that block, or this "
		"block into a file of its own in conf.d (NAME.d beside NAME.conf)");
	refuse("control: { };\ncontrol: { };\n",
		"F:2: control: already defined at F:1, remove one of them");
}

static void the_same_name_in_different_groups_is_accepted(void **state)
{
	(void)state;
	accept("a = { x = 1; y = { x = 1; }; }; b = { x = 1; }; x = ( { x = 1; }, { x = 1; } );"
	       "X = 1; xx = 1;");
}

static void every_error_is_found_in_one_run(void **state)
{
	static const char text[] =
		"a = 010;\nb = yes;\n@include \"x\"\nc = \"x\" \"y\";\nb = 1;\nd = ;\n";
	AUTO_ERRORS struct errors errors = {0};
	struct refused_lines refused;

	(void)state;
	assert_int_equal(prescan("F", text, strlen(text), &errors, &refused), -EINVAL);
	assert_int_equal(errors.count, 6);
	for (size_t i = 0; i < errors.count; i++) /* what is defined twice is found at the end */
		assert_int_equal(errors.lines[i][2], "123465"[i]);
	refused_lines_clear(&refused);
}

/* count times "n0 = 1; " with its number, in a { } of this depth. */
static void put_settings(struct text *text, unsigned depth, unsigned count)
{
	text_clear(text);
	for (unsigned i = 0; i < depth; i++)
		text_append_string(text, "a: {\n");
	for (unsigned i = 0; i < count; i++)
		text_printf(text, "n%u = 1; ", i);
	for (unsigned i = 0; i < depth; i++)
		text_append_string(text, "}");
}

static void more_settings_than_any_block_has_are_refused(void **state)
{
	AUTO_TEXT struct text text = {0};

	(void)state;
	put_settings(&text, 2, 128);
	accept(text_string(&text));
	put_settings(&text, 2, 100000);
	refuse(text_string(&text), "F:3: the { of line 2 has more than 128 settings: is this the "
				   "right file?");
}

static void sections_and_the_top_may_have_any_number_of_settings(void **state)
{
	AUTO_TEXT struct text text = {0};

	(void)state;
	put_settings(&text, 0, 100000);
	accept(text_string(&text));
	put_settings(&text, 1, 100000);
	accept(text_string(&text));
}

static void more_items_than_any_list_takes_are_refused(void **state)
{
	AUTO_TEXT struct text text = {0};

	(void)state;
	text_append_string(&text, "a = [1");
	for (unsigned i = 1; i < 1024; i++)
		text_append_string(&text, ", 1");
	text_append_string(&text, "];");
	accept(text_string(&text));
	text.length -= 2;
	text_append_string(&text, ",\n 1, 1];");
	refuse(text_string(&text),
		"F:1: the [ of line 1 has more than 1024 items, the most that are allowed");
}

static void hostile_words_are_shown_escaped_and_cut(void **state)
{
	char text[10000];
	AUTO_ERRORS struct errors errors = {0};
	struct refused_lines refused;

	(void)state;
	memset(text, '\x1b', sizeof(text));
	memcpy(text, "a = ", 4);
	assert_int_equal(prescan("F", text, sizeof(text), &errors, &refused), -EINVAL);
	assert_int_equal(errors.count, 1);
	assert_null(strchr(errors.lines[0], '\x1b'));
	assert_true(strlen(errors.lines[0]) < WHY_MAX + 8);
	refused_lines_clear(&refused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_as_in_the_manual_is_accepted),
		cmocka_unit_test(the_separator_may_be_left_out),
		cmocka_unit_test(include_is_refused),
		cmocka_unit_test(include_behind_something_that_is_no_string_is_refused),
		cmocka_unit_test(include_in_a_string_or_comment_is_accepted),
		cmocka_unit_test(a_nul_byte_is_refused),
		cmocka_unit_test(a_nul_byte_in_a_comment_or_string_is_refused),
		cmocka_unit_test(an_escaped_nul_is_refused),
		cmocka_unit_test(a_byte_order_mark_is_refused),
		cmocka_unit_test(integers_of_more_than_nine_digits_are_refused),
		cmocka_unit_test(integers_with_a_leading_zero_are_refused),
		cmocka_unit_test(hexadecimal_integers_that_do_not_fit_are_refused),
		cmocka_unit_test(digits_in_names_strings_and_comments_are_accepted),
		cmocka_unit_test(a_slash_or_hash_in_a_string_begins_no_comment),
		cmocka_unit_test(a_comment_of_stars_ends_where_it_should),
		cmocka_unit_test(lines_are_counted_through_comments),
		cmocka_unit_test(odd_lines_are_remembered),
		cmocka_unit_test(an_unclosed_comment_is_refused_where_it_begins),
		cmocka_unit_test(an_unclosed_string_is_refused_on_its_line),
		cmocka_unit_test(strings_without_a_comma_are_refused),
		cmocka_unit_test(values_without_quotes_are_refused),
		cmocka_unit_test(typographic_quotes_are_shown_as_plain_ones),
		cmocka_unit_test(what_only_looks_like_a_space_is_named),
		cmocka_unit_test(a_value_that_ends_with_a_colon_gets_a_semicolon),
		cmocka_unit_test(what_a_key_of_another_type_takes_is_named),
		cmocka_unit_test(a_section_in_brackets_is_refused_with_braces),
		cmocka_unit_test(truth_in_other_words_is_refused),
		cmocka_unit_test(a_missing_value_is_refused),
		cmocka_unit_test(a_name_alone_is_refused),
		cmocka_unit_test(a_name_that_is_none_is_refused),
		cmocka_unit_test(separators_too_many_are_refused),
		cmocka_unit_test(brackets_that_do_not_pair_are_refused_once),
		cmocka_unit_test(brackets_in_strings_and_comments_do_not_count),
		cmocka_unit_test(deep_brackets_are_refused),
		cmocka_unit_test(a_name_twice_is_refused_naming_both_places),
		cmocka_unit_test(blocks_twice_are_not_to_be_removed),
		cmocka_unit_test(the_same_name_in_different_groups_is_accepted),
		cmocka_unit_test(every_error_is_found_in_one_run),
		cmocka_unit_test(more_settings_than_any_block_has_are_refused),
		cmocka_unit_test(sections_and_the_top_may_have_any_number_of_settings),
		cmocka_unit_test(more_items_than_any_list_takes_are_refused),
		cmocka_unit_test(hostile_words_are_shown_escaped_and_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
