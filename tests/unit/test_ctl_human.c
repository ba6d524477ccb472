/* What mcastctl shows to people: sizes, ages, bytes from elsewhere. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/clock.h"
#include "ctl/human.h"
#include "ctl/json.h"

#define SOME_TIME "2025-11-24T19:33:19.123456789Z"
#define SOME_TIME_NS 1764012799123456789ull

static void assert_size(uint64_t bytes, const char *expected)
{
	struct text text = {0};

	text_append_size(&text, bytes);
	assert_string_equal(text_string(&text), expected);
	text_free(&text);
}

static void sizes_have_two_digits_or_more(void **state)
{
	(void)state;
	assert_size(0, "0");
	assert_size(1023, "1023");
	assert_size(1024, "1.0K");
	assert_size(10239, "9.9K");
	assert_size(10240, "10K");
	assert_size(1048575, "1023K");
	assert_size(1048576, "1.0M");
	assert_size(123456789, "117M");
	assert_size(UINT64_MAX, "15E");
}

static void timestamps_are_read_to_the_nanosecond(void **state)
{
	uint64_t ns = 7;

	(void)state;
	assert_int_equal(parse_timestamp(SOME_TIME, &ns), 0);
	assert_int_equal(ns, SOME_TIME_NS);
	assert_int_equal(parse_timestamp("1970-01-01T00:00:00Z", &ns), 0);
	assert_int_equal(ns, 0);
	assert_int_equal(parse_timestamp("1970-01-01T00:00:01.5Z", &ns), 0);
	assert_int_equal(ns, 1500000000);
}

static void other_timestamps_are_refused(void **state)
{
	uint64_t ns = 7;

	(void)state;
	assert_int_equal(parse_timestamp("", &ns), -EINVAL);
	assert_int_equal(parse_timestamp("yesterday", &ns), -EINVAL);
	assert_int_equal(parse_timestamp("2025-11-24T19:33:19", &ns), -EINVAL);
	assert_int_equal(parse_timestamp("2025-11-24T19:33:19+01:00", &ns), -EINVAL);
	assert_int_equal(parse_timestamp("1969-12-31T23:59:59Z", &ns), -EINVAL);
	assert_int_equal(parse_timestamp("2554-07-21T23:34:34Z", &ns), -EINVAL);
	assert_int_equal(parse_timestamp("9999-12-31T23:59:59Z", &ns), -EINVAL);
	assert_int_equal(ns, 7);
}

static void assert_age(uint64_t seconds, const char *expected)
{
	struct text text = {0};

	text_append_age(&text, SOME_TIME, SOME_TIME_NS + seconds * NS_PER_S);
	assert_string_equal(text_string(&text), expected);
	text_free(&text);
}

static void ages_have_one_unit(void **state)
{
	(void)state;
	assert_age(0, "now");
	assert_age(1, "1s ago");
	assert_age(59, "59s ago");
	assert_age(60, "1m ago");
	assert_age(3599, "59m ago");
	assert_age(3600, "1h ago");
	assert_age(47 * 3600, "47h ago");
	assert_age(48 * 3600, "2d ago");
	assert_age(400 * 86400, "400d ago");
}

static void a_clock_that_went_back_is_now(void **state)
{
	struct text text = {0};

	(void)state;
	text_append_age(&text, SOME_TIME, SOME_TIME_NS - NS_PER_S);
	assert_string_equal(text_string(&text), "now");
	text_free(&text);
}

static void assert_wait(double seconds, const char *expected)
{
	struct text text = {0};

	text_append_wait(&text, seconds);
	assert_string_equal(text_string(&text), expected);
	text_free(&text);
}

static void waits_have_two_digits_or_more(void **state)
{
	(void)state;
	assert_wait(0, "0ms");
	assert_wait(-1, "0ms");
	assert_wait(0.0125, "12ms");
	assert_wait(0.9999, "999ms");
	assert_wait(1, "1.0s");
	assert_wait(9.99, "9.9s");
	assert_wait(10, "10s");
	assert_wait(60, "1m");
	assert_wait(86400, "24h");
	assert_wait(1e300, "11574074d");
}

static void assert_shown(const char *string, const char *expected)
{
	struct text text = {0};

	text_append_shown(&text, string, strlen(string));
	assert_string_equal(text_string(&text), expected);
	text_free(&text);
}

static void only_backslashes_stay_as_they_are(void **state)
{
	(void)state;
	assert_shown("", "");
	assert_shown("plain h\xc3\xa9llo", "plain h\xc3\xa9llo");
	assert_shown("a\\x1b\\", "a\\x1b\\");
	assert_shown("\x1b[2J\n\xff\\\xc2\x9b", "\\x1b[2J\\n\\xff\\\\xc2\\x9b");
}

static void json_keeps_its_order_and_hides_controls(void **state)
{
	static const char json[] =
		"{\"b\":[1,-2,null,true,false,1.5,{}],\"a\":\"x\\u001b\\u0000\\u009b\"}";
	json_t *value = json_loads(json, JSON_ALLOW_NUL, NULL);
	struct text text = {0};

	(void)state;
	assert_non_null(value);
	text_append_value(&text, value);
	assert_string_equal(text_string(&text), json);
	text_free(&text);
	json_decref(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_have_two_digits_or_more),
		cmocka_unit_test(timestamps_are_read_to_the_nanosecond),
		cmocka_unit_test(other_timestamps_are_refused),
		cmocka_unit_test(ages_have_one_unit),
		cmocka_unit_test(a_clock_that_went_back_is_now),
		cmocka_unit_test(waits_have_two_digits_or_more),
		cmocka_unit_test(only_backslashes_stay_as_they_are),
		cmocka_unit_test(json_keeps_its_order_and_hides_controls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
