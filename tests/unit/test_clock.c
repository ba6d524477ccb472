/* Time as RFC 3339 text. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/clock.h"

static void assert_timestamp(uint64_t ns, const char *expected)
{
	char string[TIMESTAMP_MAX];

	assert_string_equal(format_timestamp(ns, string), expected);
}

static void the_epoch_has_nine_decimals(void **state)
{
	(void)state;
	assert_timestamp(0, "1970-01-01T00:00:00.000000000Z");
	assert_timestamp(1, "1970-01-01T00:00:00.000000001Z");
	assert_timestamp(1764012799123456789, "2025-11-24T19:33:19.123456789Z");
}

static void leap_days_follow_the_gregorian_calendar(void **state)
{
	(void)state;
	assert_timestamp(951782400 * NS_PER_S, "2000-02-29T00:00:00.000000000Z");
	assert_timestamp(951868800 * NS_PER_S, "2000-03-01T00:00:00.000000000Z");
	assert_timestamp(1709164800 * NS_PER_S, "2024-02-29T00:00:00.000000000Z");
	assert_timestamp(4107542400 * NS_PER_S, "2100-03-01T00:00:00.000000000Z");
	assert_timestamp(4107542399 * NS_PER_S, "2100-02-28T23:59:59.000000000Z");
}

static void every_day_agrees_with_gmtime(void **state)
{
	(void)state;
	for (time_t second = 86399; second < 200 * 365 * 86400ll; second += 86400 + 61) {
		char expected[64], string[TIMESTAMP_MAX];
		struct tm date;
		size_t length;

		gmtime_r(&second, &date);
		length = strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S", &date);
		snprintf(expected + length, sizeof(expected) - length, ".000000042Z");
		assert_string_equal(
			format_timestamp((uint64_t)second * NS_PER_S + 42, string), expected);
	}
}

static void the_largest_time_stays_in_its_buffer(void **state)
{
	(void)state;
	assert_timestamp(UINT64_MAX, "2554-07-21T23:34:33.709551615Z");
}

static void timespec_becomes_nanoseconds(void **state)
{
	(void)state;
	assert_int_equal(timespec_ns(&(struct timespec){.tv_sec = 5, .tv_nsec = 7}), 5000000007);
}

static void the_monotonic_clock_does_not_go_back(void **state)
{
	uint64_t first = clock_ns(CLOCK_MONOTONIC);

	(void)state;
	assert_true(clock_ns(CLOCK_MONOTONIC) >= first);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_epoch_has_nine_decimals),
		cmocka_unit_test(leap_days_follow_the_gregorian_calendar),
		cmocka_unit_test(every_day_agrees_with_gmtime),
		cmocka_unit_test(the_largest_time_stays_in_its_buffer),
		cmocka_unit_test(timespec_becomes_nanoseconds),
		cmocka_unit_test(the_monotonic_clock_does_not_go_back),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
