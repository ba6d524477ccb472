/* Which numbers of other sites are new, and which are missing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/sites.h"

static struct sites *sites;
static int64_t gaps; /* in all */

static int make(void **state)
{
	(void)state;
	gaps = 0;
	sites = sites_new();
	return sites ? 0 : -1;
}

static int clear(void **state)
{
	(void)state;
	sites_free(sites);
	return 0;
}

static bool see_of(const char *site, uint64_t run, uint64_t number)
{
	int64_t found;
	bool is_new = sites_see(sites, site, run, number, &found);

	gaps += found;
	return is_new;
}

static bool see(uint64_t number)
{
	return see_of("plant-1", 7, number);
}

static void what_comes_twice_is_seen(void **state)
{
	(void)state;
	assert_true(see(1));
	assert_true(see(2));
	assert_false(see(1));
	assert_false(see(2));
	assert_true(see(3));
	assert_int_equal(gaps, 0);
}

static void what_is_missing_is_a_gap_until_it_comes(void **state)
{
	(void)state;
	see(1);
	assert_true(see(5));
	assert_int_equal(gaps, 3);
	assert_true(see(3));
	assert_int_equal(gaps, 2);
	assert_false(see(3));
	assert_int_equal(gaps, 2);
	assert_true(see(2));
	assert_true(see(4));
	assert_int_equal(gaps, 0);
}

static void the_first_number_of_a_run_is_no_gap(void **state)
{
	(void)state;
	assert_true(see(100));
	assert_int_equal(gaps, 0);
	assert_true(see(98));
	assert_int_equal(gaps, 0);
	assert_false(see(98));
	assert_true(see(99));
	assert_int_equal(gaps, 0);
	assert_true(see(102));
	assert_int_equal(gaps, 1);
}

static void sites_and_runs_count_for_themselves(void **state)
{
	(void)state;
	assert_true(see_of("plant-1", 1, 1));
	assert_true(see_of("plant-1", 2, 1));
	assert_true(see_of("plant-2", 1, 1));
	assert_false(see_of("plant-1", 1, 1));
	assert_false(see_of("plant-1", 2, 1));
	assert_false(see_of("plant-2", 1, 1));
}

static void older_than_the_window_counts_as_seen(void **state)
{
	(void)state;
	see(1);
	assert_true(see(SITES_WINDOW + 2));
	assert_false(see(2));
	assert_int_equal(gaps, SITES_WINDOW);
	assert_true(see(3));
	assert_int_equal(gaps, SITES_WINDOW - 1);
}

static void takes_any_number(void **state)
{
	(void)state;
	assert_true(see(0));
	assert_false(see(0));
	assert_true(see(UINT64_MAX));
	assert_true(gaps == INT64_MAX);
	assert_false(see(UINT64_MAX));
	assert_false(see(0));
	assert_false(see(1));
	assert_true(see(UINT64_MAX - 1));
	assert_true(see(UINT64_MAX - SITES_WINDOW + 1));
	assert_false(see(UINT64_MAX - SITES_WINDOW));
	assert_true(see_of("plant-1", 8, UINT64_MAX));
	assert_true(see_of("", UINT64_MAX, UINT64_MAX));
}

static void the_run_that_was_silent_for_longest_makes_room(void **state)
{
	(void)state;
	for (uint64_t run = 0; run < SITES_RUNS_MAX; run++)
		assert_true(see_of("plant-1", run, 1));
	assert_false(see_of("plant-1", 0, 1));
	assert_true(see_of("plant-2", 0, 1));
	assert_false(see_of("plant-1", 0, 1));
	assert_true(see_of("plant-1", 1, 1));
	assert_int_equal(gaps, 0);
}

/* ---- Against a naive model ---- */

#define NUMBERS 60000

static uint8_t seen[NUMBERS];

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void does_as_a_naive_model(void **state)
{
	uint64_t highest = 1000, first = 1000;
	int64_t missing = 0;
	uint32_t seed = 14;

	(void)state;
	memset(seen, 0, sizeof(seen));
	assert_true(see(first));
	seen[first] = 1;
	for (unsigned round = 0; round < 100000; round++) {
		uint64_t number;
		bool is_new;

		if (next_random(&seed) % 3)
			number = highest + 1 +
				 (next_random(&seed) % 50 ? 0 : next_random(&seed) % 9);
		else
			number = highest - next_random(&seed) % (highest < 5000 ? 900 : 5000);
		if (next_random(&seed) % 20000 == 0)
			number = highest + 4000 + next_random(&seed) % 200;
		if (number >= NUMBERS)
			break;
		is_new = number > highest || (highest - number < SITES_WINDOW && !seen[number]);
		assert_int_equal(see(number), is_new);
		if (number > highest)
			missing += (int64_t)(number - highest - 1);
		else if (is_new && number > first)
			missing--;
		highest = number > highest ? number : highest;
		seen[number] = 1;
		assert_int_equal(gaps, missing);
	}
	assert_true(highest > NUMBERS / 2);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_comes_twice_is_seen),
		TEST(what_is_missing_is_a_gap_until_it_comes),
		TEST(the_first_number_of_a_run_is_no_gap),
		TEST(sites_and_runs_count_for_themselves),
		TEST(older_than_the_window_counts_as_seen),
		TEST(takes_any_number),
		TEST(the_run_that_was_silent_for_longest_makes_room),
		TEST(does_as_a_naive_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
