/* Untrusted bytes: what is shown is harmless, and can be read back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "base/escape.h"

static void assert_escaped(const void *bytes, size_t size, const char *expected)
{
	struct text text = {0};

	text_append_escaped(&text, bytes, size);
	assert_string_equal(text_string(&text), expected);
	text_free(&text);
}

static void assert_json(const char *string, const char *expected)
{
	struct text text = {0};

	text_append_json(&text, string, strlen(string));
	assert_string_equal(text_string(&text), expected);
	text_free(&text);
}

static void assert_reversible(const void *bytes, size_t size)
{
	struct text escaped = {0}, back = {0};

	text_append_escaped(&escaped, bytes, size);
	assert_int_equal(text_append_unescaped(&back, escaped.data, escaped.length), 0);
	assert_int_equal(back.length, size);
	assert_memory_equal(back.data, bytes, size);
	text_free(&escaped);
	text_free(&back);
}

static void printable_text_is_left_alone(void **state)
{
	(void)state;
	assert_escaped("", 0, "");
	assert_escaped("hello, \"world\" ~", 16, "hello, \"world\" ~");
	assert_escaped("Gr\u00fc\u00dfe \u65e5\u672c \U0001f600", 19,
		"Gr\u00fc\u00dfe \u65e5\u672c \U0001f600");
}

static void line_breaks_and_backslash_have_short_forms(void **state)
{
	(void)state;
	assert_escaped("a\nb\rc\td\\", 8, "a\\nb\\rc\\td\\\\");
}

static void controls_are_escaped_bytewise(void **state)
{
	(void)state;
	assert_escaped("\0\x1b[31m\x7f", 7, "\\x00\\x1b[31m\\x7f");
	assert_escaped("\xc2\x85\xc2\x9b", 4, "\\xc2\\x85\\xc2\\x9b");
}

static void characters_that_reorder_or_split_a_line_are_escaped(void **state)
{
	(void)state;
	assert_escaped("\u2028\u202e", 6, "\\xe2\\x80\\xa8\\xe2\\x80\\xae");
	assert_escaped("\u2066\u200b", 6, "\\xe2\\x81\\xa6\\xe2\\x80\\x8b");
}

static void bytes_that_are_not_utf8_are_escaped(void **state)
{
	(void)state;
	assert_escaped("\xff\xc3", 2, "\\xff\\xc3");
	assert_escaped("a\xe2\x82", 3, "a\\xe2\\x82");
	assert_escaped("\xc0\xaf", 2, "\\xc0\\xaf");
	assert_escaped("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");
}

static void escaped_text_has_no_control_byte(void **state)
{
	struct text text = {0};
	uint8_t bytes[2];

	(void)state;
	for (unsigned i = 0; i < 65536; i++) {
		bytes[0] = (uint8_t)(i >> 8);
		bytes[1] = (uint8_t)i;
		text_clear(&text);
		text_append_escaped(&text, bytes, 2);
		for (size_t at = 0; at < text.length; at++)
			assert_false(iscntrl((unsigned char)text.data[at]));
		assert_true(utf8_valid(text.data, text.length));
	}
	text_free(&text);
}

static void every_byte_pair_is_reversible(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 65536; i++)
		assert_reversible((uint8_t[]){(uint8_t)(i >> 8), (uint8_t)i}, 2);
}

static void all_256_bytes_are_reversible(void **state)
{
	uint8_t bytes[256];

	(void)state;
	for (unsigned i = 0; i < 256; i++)
		bytes[i] = (uint8_t)i;
	assert_reversible(bytes, sizeof(bytes));
}

static void unescape_refuses_malformed_escapes(void **state)
{
	static const char *const wrong[] = {
		"\\", "a\\", "\\q", "\\x", "\\x1", "\\xg0", "\\x0g", "\\X00"};
	struct text text = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(text_append_unescaped(&text, wrong[i], strlen(wrong[i])), -EINVAL);
	text_free(&text);
}

static void unescape_stays_inside_its_size(void **state)
{
	struct text text = {0};

	(void)state;
	assert_int_equal(text_append_unescaped(&text, "\\x41", 3), -EINVAL);
	assert_int_equal(text_append_unescaped(&text, "\\n", 1), -EINVAL);
	assert_int_equal(text_append_unescaped(&text, "\\", 2), -EINVAL);
	text_free(&text);
}

static void utf8_follows_rfc_3629(void **state)
{
	(void)state;
	assert_true(utf8_valid("", 0));
	assert_true(utf8_valid("a\0b", 3));
	assert_true(utf8_valid("\xf4\x8f\xbf\xbf", 4));
	assert_false(utf8_valid("\xf4\x90\x80\x80", 4));
	assert_false(utf8_valid("\xc1\xbf", 2));
	assert_false(utf8_valid("\xe0\x9f\xbf", 3));
	assert_false(utf8_valid("\xf0\x8f\xbf\xbf", 4));
	assert_false(utf8_valid("\xed\xbf\xbf", 3));
	assert_false(utf8_valid("\xe2\x82\xac", 2));
	assert_false(utf8_valid("\x80", 1));
	assert_false(utf8_valid("\xf8\x88\x80\x80\x80", 5));
}

static void json_strings_are_quoted(void **state)
{
	(void)state;
	assert_json("", "\"\"");
	assert_json("a\"b\\c/d", "\"a\\\"b\\\\c/d\"");
	assert_json("\n\r\t\x1f\x7f", "\"\\n\\r\\t\\u001f\\u007f\"");
	assert_json("\u00e4", "\"\u00e4\"");
}

static void json_hides_what_the_escaped_form_hides(void **state)
{
	(void)state;
	assert_json("\u2028\u202e\xc2\x85", "\"\\u2028\\u202e\\u0085\"");
	assert_json("\U000e0041", "\"\\udb40\\udc41\"");
	assert_json("\U0001f600", "\"\U0001f600\"");
}

static void json_replaces_bytes_that_are_not_utf8(void **state)
{
	(void)state;
	assert_json("a\xff\xe2\x82z", "\"a\\ufffd\\ufffd\\ufffdz\"");
}

/* The escaped form of one byte below 0x80. */
static const char *escape_ascii(char byte, char string[static 5])
{
	static const char *const short_forms[0x80] = {
		['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t", ['\\'] = "\\\\"};

	if (short_forms[(int)byte])
		return short_forms[(int)byte];
	snprintf(string, 5, byte >= 0x20 && byte < 0x7f ? "%c" : "\\x%02x", byte);
	return string;
}

/* Bytes are compared in blocks of 16. */
static void every_byte_is_escaped_at_every_place(void **state)
{
	(void)state;
	for (size_t size = 1; size < 40; size++)
		for (size_t i = 0; i < size * 0x80; i++) {
			char *bytes = malloc(size), expected[50], string[5];
			size_t at = i % size;

			memset(bytes, 'x', size);
			bytes[at] = (char)(i / size);
			snprintf(expected, sizeof(expected), "%.*s%s%.*s", (int)at, bytes,
				escape_ascii(bytes[at], string), (int)(size - at - 1),
				bytes + at + 1);
			assert_escaped(bytes, size, expected);
			free(bytes);
		}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(printable_text_is_left_alone),
		cmocka_unit_test(line_breaks_and_backslash_have_short_forms),
		cmocka_unit_test(controls_are_escaped_bytewise),
		cmocka_unit_test(characters_that_reorder_or_split_a_line_are_escaped),
		cmocka_unit_test(bytes_that_are_not_utf8_are_escaped),
		cmocka_unit_test(escaped_text_has_no_control_byte),
		cmocka_unit_test(every_byte_pair_is_reversible),
		cmocka_unit_test(all_256_bytes_are_reversible),
		cmocka_unit_test(unescape_refuses_malformed_escapes),
		cmocka_unit_test(unescape_stays_inside_its_size),
		cmocka_unit_test(utf8_follows_rfc_3629),
		cmocka_unit_test(json_strings_are_quoted),
		cmocka_unit_test(json_hides_what_the_escaped_form_hides),
		cmocka_unit_test(json_replaces_bytes_that_are_not_utf8),
		cmocka_unit_test(every_byte_is_escaped_at_every_place),
	};

	return cmocka_run_group_tests_name("escape", tests, NULL, NULL);
}
