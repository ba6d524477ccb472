/* Sizes, durations and numbers as people write them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/cleanup.h"
#include "base/units.h"

static void assert_size(const char *string, uint64_t expected)
{
	uint64_t bytes = 0;

	assert_int_equal(parse_size(string, &bytes), 0);
	assert_int_equal(bytes, expected);
}

static void assert_duration(const char *string, uint64_t expected)
{
	uint64_t ns = 1;

	assert_int_equal(parse_duration(string, &ns), 0);
	assert_int_equal(ns, expected);
}

static void assert_formatted(uint64_t bytes, const char *expected)
{
	char string[UNIT_STRING_MAX];

	assert_string_equal(format_size(bytes, string), expected);
}

static void size_units_are_powers_of_1024(void **state)
{
	(void)state;
	assert_size("0", 0);
	assert_size("65536", 65536);
	assert_size("64K", 64 << 10);
	assert_size("4M", 4 << 20);
	assert_size("1G", 1 << 30);
	assert_size("1T", 1ull << 40);
}

static void size_refuses_what_is_not_one(void **state)
{
	static const char *const wrong[] = {
		"", " 1", "1 ", "1 M", "-1", "+1", "M", "1.5M", "4m", "4MB", "4MiB", "0x10", "4K4"};
	uint64_t bytes = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(parse_size(wrong[i], &bytes), -EINVAL);
	assert_int_equal(bytes, 7);
}

static void size_does_not_overflow(void **state)
{
	uint64_t bytes = 7;

	(void)state;
	assert_int_equal(parse_size("1099511627777", &bytes), -ERANGE);
	assert_int_equal(parse_size("2T", &bytes), -ERANGE);
	assert_int_equal(parse_size("16777216T", &bytes), -ERANGE);
	assert_int_equal(parse_size("18446744073709551616", &bytes), -ERANGE);
	assert_int_equal(parse_size("99999999999999999999999G", &bytes), -ERANGE);
	assert_int_equal(bytes, 7);
}

static void duration_knows_every_unit(void **state)
{
	(void)state;
	assert_duration("7ns", 7);
	assert_duration("7us", 7000);
	assert_duration("250ms", 250000000);
	assert_duration("5s", 5000000000);
	assert_duration("10m", 600000000000);
	assert_duration("2h", 7200000000000);
	assert_duration("1d", 86400000000000);
}

static void duration_without_unit_is_refused_except_zero(void **state)
{
	uint64_t ns = 7;

	(void)state;
	assert_int_equal(parse_duration("5", &ns), -EINVAL);
	assert_int_equal(parse_duration("00", &ns), -EINVAL);
	assert_int_equal(parse_duration("", &ns), -EINVAL);
	assert_int_equal(parse_duration("5S", &ns), -EINVAL);
	assert_int_equal(parse_duration("5 s", &ns), -EINVAL);
	assert_int_equal(ns, 7);
	assert_duration("0", 0);
	assert_duration("0s", 0);
}

static void duration_ends_at_ten_years(void **state)
{
	uint64_t ns = 7;

	(void)state;
	assert_duration("3650d", 3650ull * 86400 * 1000000000);
	assert_int_equal(parse_duration("3651d", &ns), -ERANGE);
	assert_int_equal(parse_duration("99999999999999d", &ns), -ERANGE);
}

static void number_takes_all_of_the_string(void **state)
{
	uint64_t number = 0;

	(void)state;
	assert_int_equal(parse_number("65535", 65535, &number), 0);
	assert_int_equal(number, 65535);
	assert_int_equal(parse_number("5004x", 65535, &number), -EINVAL);
	assert_int_equal(parse_number("", 65535, &number), -EINVAL);
	assert_int_equal(parse_number("-1", 65535, &number), -EINVAL);
	assert_int_equal(parse_number("65536", 65535, &number), -ERANGE);
	assert_int_equal(number, 65535);
}

static void size_is_formatted_in_its_shortest_exact_form(void **state)
{
	(void)state;
	assert_formatted(0, "0");
	assert_formatted(1023, "1023");
	assert_formatted(4194304, "4M");
	assert_formatted(4194305, "4194305");
	assert_formatted(1536, "1536");
	assert_formatted(1ull << 40, "1T");
	assert_formatted(1025ull << 30, "1025G");
	assert_formatted(UINT64_MAX, "18446744073709551615");
}

static void assert_formatted_duration(uint64_t ns, const char *expected)
{
	char string[UNIT_STRING_MAX];

	assert_string_equal(format_duration(ns, string), expected);
}

static void duration_is_formatted_in_its_shortest_exact_form(void **state)
{
	(void)state;
	assert_formatted_duration(0, "0");
	assert_formatted_duration(1, "1ns");
	assert_formatted_duration(250000000, "250ms");
	assert_formatted_duration(1500000000, "1500ms");
	assert_formatted_duration(90000000000, "90s");
	assert_formatted_duration(3600000000000, "1h");
	assert_formatted_duration(2 * 86400000000000, "2d");
	assert_formatted_duration(UINT64_MAX, "18446744073709551615ns");
}

static void formatted_sizes_read_back(void **state)
{
	(void)state;
	for (uint64_t bytes = 1; bytes <= 1ull << 40; bytes = bytes * 3 + 1) {
		char string[UNIT_STRING_MAX];

		assert_size(format_size(bytes, string), bytes);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(size_units_are_powers_of_1024),
		cmocka_unit_test(size_refuses_what_is_not_one),
		cmocka_unit_test(size_does_not_overflow),
		cmocka_unit_test(duration_knows_every_unit),
		cmocka_unit_test(duration_without_unit_is_refused_except_zero),
		cmocka_unit_test(duration_ends_at_ten_years),
		cmocka_unit_test(number_takes_all_of_the_string),
		cmocka_unit_test(size_is_formatted_in_its_shortest_exact_form),
		cmocka_unit_test(duration_is_formatted_in_its_shortest_exact_form),
		cmocka_unit_test(formatted_sizes_read_back),
	};

	return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
