/* Decimal numbers, base64 and hexadecimal. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/codec.h"

static void fill(uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 7 + 3);
}

static void assert_base64(const char *bytes, const char *expected)
{
	struct text encoded = {0}, decoded = {0};

	text_append_base64(&encoded, bytes, strlen(bytes));
	assert_string_equal(text_string(&encoded), expected);
	assert_int_equal(text_append_base64_decoded(&decoded, expected, strlen(expected)), 0);
	assert_string_equal(text_string(&decoded), bytes);
	text_free(&encoded);
	text_free(&decoded);
}

static void base64_has_the_vectors_of_rfc_4648(void **state)
{
	(void)state;
	assert_base64("", "");
	assert_base64("f", "Zg==");
	assert_base64("fo", "Zm8=");
	assert_base64("foo", "Zm9v");
	assert_base64("foob", "Zm9vYg==");
	assert_base64("fooba", "Zm9vYmE=");
	assert_base64("foobar", "Zm9vYmFy");
	assert_base64("\xfb\xff\xbf", "+/+/");
}

static void base64_reads_back_every_length(void **state)
{
	uint8_t bytes[300];

	(void)state;
	fill(bytes, sizeof(bytes));
	for (size_t size = 0; size <= sizeof(bytes); size++) {
		struct text encoded = {0}, decoded = {0};

		text_append_base64(&encoded, bytes, size);
		assert_int_equal(encoded.length, (size + 2) / 3 * 4);
		assert_int_equal(
			text_append_base64_decoded(&decoded, encoded.data, encoded.length), 0);
		assert_int_equal(decoded.length, size);
		if (size)
			assert_memory_equal(decoded.data, bytes, size);
		text_free(&encoded);
		text_free(&decoded);
	}
}

static void base64_refuses_what_is_not_base64(void **state)
{
	static const char *const wrong[] = {"Z", "Zg", "Zg=", "Zm8", "Zm9v\n", "Zm 9", "Zm9-",
		"Zm9_", "====", "Z===", "=Zg=", "Zg==Zg==", "Zm9vYg==Zm9v", "Zg=v"};
	struct text text = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(
			text_append_base64_decoded(&text, wrong[i], strlen(wrong[i])), -EINVAL);
	text_free(&text);
}

static void base64_refuses_a_nul_among_its_digits(void **state)
{
	struct text text = {0};

	(void)state;
	assert_int_equal(text_append_base64_decoded(&text, "Zm\0v", 4), -EINVAL);
	text_free(&text);
}

static void base64_has_one_text_for_one_payload(void **state)
{
	struct text text = {0};

	(void)state;
	assert_int_equal(text_append_base64_decoded(&text, "Zh==", 4), -EINVAL);
	assert_int_equal(text_append_base64_decoded(&text, "Zm9=", 4), -EINVAL);
	text_free(&text);
}

static void base64_appends_nothing_when_it_is_malformed(void **state)
{
	struct text text = {0};

	(void)state;
	text_append_string(&text, "before");
	assert_int_equal(text_append_base64_decoded(&text, "Zm9vZm9-", 8), -EINVAL);
	assert_string_equal(text_string(&text), "before");
	text_free(&text);
}

static void numbers_have_all_their_digits(void **state)
{
	static const uint64_t numbers[] = {0, 9, 10, 65535, 1000000000000, UINT64_MAX};
	struct text text = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		text_append_number(&text, numbers[i]);
		text_append(&text, " ", 1);
	}
	assert_string_equal(text_string(&text), "0 9 10 65535 1000000000000 18446744073709551615 ");
	text_free(&text);
}

static void hex_is_lower_case_and_reads_back(void **state)
{
	struct text encoded = {0}, decoded = {0};
	uint8_t bytes[256];

	(void)state;
	fill(bytes, sizeof(bytes));
	text_append_hex(&encoded, "\x00\xff\x1b", 3);
	assert_string_equal(text_string(&encoded), "00ff1b");
	text_clear(&encoded);
	text_append_hex(&encoded, bytes, sizeof(bytes));
	assert_int_equal(text_append_hex_decoded(&decoded, encoded.data, encoded.length), 0);
	assert_int_equal(decoded.length, sizeof(bytes));
	assert_memory_equal(decoded.data, bytes, sizeof(bytes));
	text_free(&encoded);
	text_free(&decoded);
}

static void hex_skips_separators_between_bytes(void **state)
{
	struct text text = {0};
	static const char hex[] = " 48:65 6C\n6c\t6f ";

	(void)state;
	assert_int_equal(text_append_hex_decoded(&text, hex, strlen(hex)), 0);
	assert_string_equal(text_string(&text), "Hello");
	text_free(&text);
}

static void hex_refuses_what_is_not_hex(void **state)
{
	static const char *const wrong[] = {"0", "123", "0g", "g0", "4 8", "0x41", "-1", "48,65"};
	struct text text = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(
			text_append_hex_decoded(&text, wrong[i], strlen(wrong[i])), -EINVAL);
	text_free(&text);
}

static void hex_byte_knows_every_digit(void **state)
{
	(void)state;
	assert_int_equal(hex_byte("00"), 0);
	assert_int_equal(hex_byte("fF"), 255);
	assert_int_equal(hex_byte("a9"), 0xa9);
	assert_int_equal(hex_byte(""), -1);
	assert_int_equal(hex_byte("1"), -1);
	assert_int_equal(hex_byte("\x10\x11"), -1);
	for (int digit = 1; digit < 256; digit++) {
		char string[] = {(char)digit, '0', '\0'};
		bool is_hex = digit && strchr("0123456789abcdefABCDEF", digit);

		assert_int_equal(hex_byte(string) >= 0, is_hex);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_has_the_vectors_of_rfc_4648),
		cmocka_unit_test(base64_reads_back_every_length),
		cmocka_unit_test(base64_refuses_what_is_not_base64),
		cmocka_unit_test(base64_refuses_a_nul_among_its_digits),
		cmocka_unit_test(base64_has_one_text_for_one_payload),
		cmocka_unit_test(base64_appends_nothing_when_it_is_malformed),
		cmocka_unit_test(numbers_have_all_their_digits),
		cmocka_unit_test(hex_is_lower_case_and_reads_back),
		cmocka_unit_test(hex_skips_separators_between_bytes),
		cmocka_unit_test(hex_refuses_what_is_not_hex),
		cmocka_unit_test(hex_byte_knows_every_digit),
	};

	return cmocka_run_group_tests_name("codec", tests, NULL, NULL);
}
