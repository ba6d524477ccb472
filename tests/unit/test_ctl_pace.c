/* When the datagrams of a recording are due. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "ctl/pace.h"

#define START 5000000000ull /* of our clock */
#define S 1000000000ull
#define FIRST (1764012799 * S) /* of the recording's clock */

static void assert_speed(const char *string, uint64_t expected)
{
	uint64_t speed = 7;

	assert_int_equal(speed_parse(string, &speed), 0);
	assert_int_equal(speed, expected);
}

static void speeds_are_decimals(void **state)
{
	(void)state;
	assert_speed("1", S);
	assert_speed("0.5", S / 2);
	assert_speed("2.25", S * 9 / 4);
	assert_speed("00010", 10 * S);
	assert_speed("0.000001", 1000);
	assert_speed("1.123456789", 1123456789);
	assert_speed("1000000", 1000000 * S);
	assert_speed("max", 0);
}

static void other_speeds_are_refused(void **state)
{
	static const char *const strings[] = {"", "0", "0.0", "-1", "+1", ".5", "1.", "1e3", "1,5",
		"x", "1x", "1.5x", "Max", "inf", " 1", "1 ", "0.0000001", "1000000.1", "1000001",
		"99999999999999999999999999", "1.1234567891"};

	(void)state;
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		uint64_t speed = 7;

		assert_int_equal(speed_parse(strings[i], &speed), -EINVAL);
		assert_int_equal(speed, 7);
	}
}

static void what_has_no_time_is_due_with_the_first_that_has_one(void **state)
{
	struct pace pace = {.speed = S};

	(void)state;
	assert_int_equal(pace_due_untimed(&pace, START), START);
	assert_int_equal(pace_due_untimed(&pace, START + 7), START);
	assert_int_equal(pace_due(&pace, FIRST, START + 9), START);
	pace_repeat(&pace); /* of one: after a second */
	assert_int_equal(pace_due_untimed(&pace, START + 11), START + S);
	pace_repeat(&pace); /* of none */
	assert_int_equal(pace_due_untimed(&pace, START + 13), START + 2 * S);
}

static void spacing_is_that_of_the_recording(void **state)
{
	struct pace pace = {.speed = S};

	(void)state;
	assert_int_equal(pace_due(&pace, FIRST, START), START);
	assert_int_equal(pace_due(&pace, FIRST + 1, START + 99), START + 1);
	assert_int_equal(pace_due(&pace, FIRST + 3600 * S, START + 77), START + 3600 * S);
}

static void speed_divides(void **state)
{
	struct pace pace = {.speed = 3 * S}, slow = {.speed = S / 4}, any = {.speed = 0};

	(void)state;
	pace_due(&pace, FIRST, START);
	pace_due(&slow, FIRST, START);
	pace_due(&any, FIRST, START);
	assert_int_equal(pace_due(&pace, FIRST + 3000 * S, 0), START + 1000 * S);
	assert_int_equal(pace_due(&slow, FIRST + 3 * S, 0), START + 12 * S);
	assert_int_equal(pace_due(&any, FIRST + 3 * S, 0), START);
}

static void older_datagrams_are_due_with_the_first(void **state)
{
	struct pace pace = {.speed = S};

	(void)state;
	pace_due(&pace, FIRST, START);
	assert_int_equal(pace_due(&pace, FIRST - 5, START + 99), START);
	assert_int_equal(pace_due(&pace, 0, START + 99), START);
}

static void what_is_too_far_away_is_due_never(void **state)
{
	struct pace pace = {.speed = 1000};

	(void)state;
	pace_due(&pace, 0, START);
	assert_int_equal(pace_due(&pace, UINT64_MAX, START), UINT64_MAX);
	pace_repeat(&pace);
	assert_int_equal(pace_due(&pace, 0, START), UINT64_MAX);
}

/* At 0, 1 and 4 s: the mean distance is 2 s. Nothing adds up. */
static void a_loop_goes_on_after_the_mean_distance(void **state)
{
	struct pace pace = {.speed = 2 * S};

	(void)state;
	for (uint64_t pass = 0; pass < 1000; pass++) {
		uint64_t start = START + pass * 3 * S;

		assert_int_equal(pace_due(&pace, FIRST, START + pass), start);
		assert_int_equal(pace_due(&pace, FIRST + 4 * S, START), start + 2 * S);
		assert_int_equal(pace_due(&pace, FIRST + S, START), start + S / 2);
		pace_repeat(&pace);
	}
}

static void a_loop_of_one_datagram_is_no_flood(void **state)
{
	struct pace pace = {.speed = S};

	(void)state;
	assert_int_equal(pace_due(&pace, FIRST, START), START);
	pace_repeat(&pace);
	assert_int_equal(pace_due(&pace, FIRST, START + 1), START + S);
	assert_int_equal(pace_due(&pace, FIRST, START + 1), START + S);
	pace_repeat(&pace);
	assert_int_equal(pace_due(&pace, FIRST, START + 1), START + 2 * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(speeds_are_decimals),
		cmocka_unit_test(other_speeds_are_refused),
		cmocka_unit_test(what_has_no_time_is_due_with_the_first_that_has_one),
		cmocka_unit_test(spacing_is_that_of_the_recording),
		cmocka_unit_test(speed_divides),
		cmocka_unit_test(older_datagrams_are_due_with_the_first),
		cmocka_unit_test(what_is_too_far_away_is_due_never),
		cmocka_unit_test(a_loop_goes_on_after_the_mean_distance),
		cmocka_unit_test(a_loop_of_one_datagram_is_no_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
