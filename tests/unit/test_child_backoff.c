/* The pauses between two starts of a program. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "child/backoff.h"
#include "range.h"

#define S 1000000000ull
#define MS 1000000ull

static void pauses_double_up_to_their_limit(void **state)
{
	static const uint64_t expected[] = {100 * MS, 200 * MS, 400 * MS, 800 * MS, 1600 * MS,
		3200 * MS, 6400 * MS, 12800 * MS, 25600 * MS, 40 * S, 40 * S, 40 * S};
	struct backoff backoff = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_int_equal(backoff_next(&backoff, 0, 0), expected[i]);
}

static void jitter_adds_up_to_half(void **state)
{
	struct backoff backoff = {0};

	(void)state;
	assert_in_range(backoff_next(&backoff, 0, 1024), 149 * MS, 150 * MS);
	assert_in_range(backoff_next(&backoff, 0, 512), 249 * MS, 250 * MS);
	for (int i = 0; i < 20; i++)
		backoff_next(&backoff, 0, 0);
	assert_in_range(backoff_next(&backoff, 0, 1024), 59 * S, BACKOFF_MAX_NS);
}

static void no_pause_is_out_of_range(void **state)
{
	uint32_t random = 12345;

	(void)state;
	for (int run = 0; run < 100; run++) {
		struct backoff backoff = {0};

		for (int i = 0; i < 30; i++) {
			random = random * 1664525 + 1013904223;
			assert_in_range(
				backoff_next(&backoff, 0, random), BACKOFF_MIN_NS, BACKOFF_MAX_NS);
		}
	}
}

static void a_minute_of_running_resets_the_backoff(void **state)
{
	struct backoff backoff = {0};

	(void)state;
	for (int i = 0; i < 5; i++)
		backoff_next(&backoff, 0, 0);
	assert_int_equal(backoff_next(&backoff, 60 * S - 1, 0), 3200 * MS);
	assert_int_equal(backoff_next(&backoff, 60 * S, 0), 100 * MS);
	assert_int_equal(backoff_next(&backoff, 0, 0), 200 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pauses_double_up_to_their_limit),
		cmocka_unit_test(jitter_adds_up_to_half),
		cmocka_unit_test(no_pause_is_out_of_range),
		cmocka_unit_test(a_minute_of_running_resets_the_backoff),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
