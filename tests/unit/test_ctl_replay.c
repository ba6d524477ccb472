/* What mcastctl replay selects, and how it says where the rest went to. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "ctl/replay/frequent.h"
#include "ctl/replay/selection.h"
#include "ctl/replay/when.h"

#define S 1000000000ull
#define BEGIN (1764012799 * S + 5) /* 2025-11-24T19:33:19.000000005Z */

static uint64_t time_of(const char *string)
{
	struct when when;

	assert_int_equal(when_parse(string, &when), 0);
	return when_resolve(&when, BEGIN);
}

static int in_new_york(void **state)
{
	(void)state;
	setenv("TZ", "EST5EDT,M3.2.0,M11.1.0", 1);
	tzset();
	return 0;
}

static void times_are_read_as_people_type_them(void **state)
{
	(void)state;
	assert_int_equal(time_of("2025-11-24T19:33:19Z"), 1764012799 * S);
	assert_int_equal(time_of("2025-11-24T19:33:19.123456789Z"), 1764012799 * S + 123456789);
	assert_int_equal(time_of("2025-11-24T20:33:19.5+01:00"), 1764012799 * S + S / 2);
	assert_int_equal(time_of("2025-11-24t14:03:19-05:30"), 1764012799 * S);
	assert_int_equal(time_of("2025-11-24T14:03:19-0530"), 1764012799 * S);
	assert_int_equal(time_of("2025-11-24 14:33:19"), 1764012799 * S);
	assert_int_equal(time_of("2025-11-24 14:33"), 1764012780 * S);
	assert_int_equal(time_of("2025-07-24 15:00"), 1753383600 * S); /* summer time */
	assert_int_equal(time_of("2025-11-24"), 1763960400 * S);
	assert_int_equal(time_of("14:33:20.25"), 1764012800 * S + S / 4);
	assert_int_equal(time_of("00:00"), 1763960400 * S);
	assert_int_equal(time_of("+0"), BEGIN);
	assert_int_equal(time_of("+90m"), BEGIN + 5400 * S);
}

static void assert_span(const char *from, const char *to, uint64_t from_ns, uint64_t to_ns)
{
	struct when first, end;
	uint64_t found_from_ns, found_to_ns;

	assert_int_equal(when_parse(from, &first), 0);
	assert_int_equal(when_parse(to, &end), 0);
	when_resolve_span(&first, &end, BEGIN, &found_from_ns, &found_to_ns);
	assert_int_equal(found_from_ns, from_ns);
	assert_int_equal(found_to_ns, to_ns);
}

/* The capture begins at 14:33:19 in New York. */
static void two_times_of_day_are_the_first_span_that_ends_after_the_begin(void **state)
{
	const uint64_t midnight = 1763960400 * S, hour = 3600 * S, day = 24 * hour;

	(void)state;
	assert_span("15:00", "16:00", midnight + 15 * hour, midnight + 16 * hour);
	assert_span("14:00", "15:00", midnight + 14 * hour, midnight + 15 * hour);
	assert_span("23:00", "01:00", midnight + 23 * hour, midnight + day + hour);
	assert_span("01:00", "02:00", midnight + day + hour, midnight + day + 2 * hour);
	assert_span(
		"15:00", "14:34", midnight - day + 15 * hour, midnight + 14 * hour + 34 * 60 * S);
	assert_span("15:00", "+1h", midnight + 15 * hour, BEGIN + hour);
	assert_span("+1h", "16:00", BEGIN + hour, midnight + 16 * hour);
}

static void other_times_are_refused(void **state)
{
	static const char *const strings[] = {"", "+", "+5", "+-5m", "-5m", "5m", "yesterday",
		"2025-13-24", "2025-11-24T", "2025-11-24T25:00", "2025-11-24T19:33:19X",
		"2025-11-24T19:33:19+1", "2025-11-24T19:33:19+010", "1969-12-31T23:59:59Z",
		"9999-01-01T00:00:00Z", "20:15:", "24:61", "20:15Z",
		"2025-11-24T19:33:19Z and more"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
		struct when when;

		if (when_parse(strings[i], &when) != -EINVAL)
			fail_msg("'%s' was taken", strings[i]);
	}
}

static void assert_refused(const char *string, int expected)
{
	struct when when;

	if (when_parse(string, &when) != expected)
		fail_msg("'%s' was not refused so", string);
}

static void days_that_no_month_has_are_refused(void **state)
{
	(void)state;
	assert_refused("2026-02-31", -EDOM);
	assert_refused("2026-02-29 20:15", -EDOM);
	assert_refused("2026-04-31T20:15:00Z", -EDOM);
	assert_int_equal(time_of("2024-02-29T00:00:00Z"), 1709164800 * S);
}

/* On 9 March 2025 New York went from 02:00 to 03:00. */
static void times_that_the_clocks_leave_out_are_refused(void **state)
{
	(void)state;
	assert_refused("2025-03-09 02:30", -ERANGE);
	assert_int_equal(time_of("2025-03-09 03:30"), 1741505400 * S);
	assert_int_equal(time_of("2025-03-09T02:30:00Z"), 1741487400 * S);
	assert_int_equal(time_of("2016-12-31T23:59:60Z"), 1483228800 * S); /* a leap second */
	assert_refused("2016-12-31T23:59:61Z", -EINVAL);
}

static bool matches(const char *string, const char *address, uint16_t port)
{
	struct end_pattern pattern;
	struct address parsed;

	assert_int_equal(end_pattern_parse(string, strlen(string), &pattern), 0);
	assert_int_equal(address_parse(address, &parsed), 0);
	return end_pattern_matches(&pattern, &parsed, port);
}

static void ends_are_addresses_or_networks_with_or_without_a_port(void **state)
{
	(void)state;
	assert_true(matches("233.252.0.1", "233.252.0.1", 5004));
	assert_true(matches("233.252.0.1:5004", "233.252.0.1", 5004));
	assert_false(matches("233.252.0.1:5004", "233.252.0.1", 5005));
	assert_false(matches("233.252.0.1", "233.252.0.2", 5004));
	assert_true(matches("233.252.0.0/24:5004", "233.252.0.77", 5004));
	assert_true(matches("ff15::1", "ff15::1", 7));
	assert_true(matches("[ff15::1]", "ff15::1", 7));
	assert_true(matches("[ff15::1]:7", "ff15::1", 7));
	assert_false(matches("[ff15::1]:7", "ff15::1", 8));
	assert_true(matches("ff15::/16", "ff15::5:1", 8));
	assert_false(matches("0.0.0.0/0", "ff15::1", 8));
}

static void other_ends_are_refused(void **state)
{
	static const char *const strings[] = {"", ":", ":5004", "news",
		"233.252.0.1:", "233.252.0.1:0", "233.252.0.1:65536", "233.252.0.1:x", "233.252.0",
		"[ff15::1", "[ff15::1]5", "ff15::1]:5", "[]:5", "233.252.0.1/33", "233.252.0.1/24",
		"233.252.0.1:5004%eth0",
		"111111111111111111111111111111111111111111111111111111111111111111111111111:5"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
		struct end_pattern pattern;

		if (end_pattern_parse(strings[i], strlen(strings[i]), &pattern) != -EINVAL)
			fail_msg("'%s' was taken", strings[i]);
	}
}

static void add(struct frequent *frequent, uint32_t host, uint64_t count)
{
	const struct address address = {.family = AF_INET, .v4.s_addr = htonl(0xe9fc0000 + host)};

	for (uint64_t i = 0; i < count; i++)
		frequent_add(frequent, &address, 5004);
}

/* The rare ones come in between, and are many more than there is room for. */
static void the_most_frequent_are_found_among_many(void **state)
{
	struct frequent frequent = {0};
	struct text text = {0};

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		add(&frequent, 100 + i, 1);
		add(&frequent, 1, 2);
		add(&frequent, 2, 1);
	}
	frequent_sort(&frequent);
	frequent_append(&frequent, 2, &text);
	assert_string_equal(
		text_string(&text), "233.252.0.1:5004 (2000), 233.252.0.2:5004 (1000) and others");
	text_free(&text);
}

static void a_few_are_counted_exactly(void **state)
{
	struct frequent frequent = {0};
	struct text text = {0};

	(void)state;
	add(&frequent, 2, 1);
	add(&frequent, 1, 1);
	add(&frequent, 3, 2);
	frequent_sort(&frequent);
	frequent_append(&frequent, 5, &text);
	assert_string_equal(text_string(&text),
		"233.252.0.3:5004 (2), 233.252.0.1:5004 (1), 233.252.0.2:5004 (1)");
	text_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_read_as_people_type_them),
		cmocka_unit_test(two_times_of_day_are_the_first_span_that_ends_after_the_begin),
		cmocka_unit_test(other_times_are_refused),
		cmocka_unit_test(days_that_no_month_has_are_refused),
		cmocka_unit_test(times_that_the_clocks_leave_out_are_refused),
		cmocka_unit_test(ends_are_addresses_or_networks_with_or_without_a_port),
		cmocka_unit_test(other_ends_are_refused),
		cmocka_unit_test(the_most_frequent_are_found_among_many),
		cmocka_unit_test(a_few_are_counted_exactly),
	};

	return cmocka_run_group_tests(tests, in_new_york, NULL);
}
