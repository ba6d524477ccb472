/* Two feeds of the same datagrams as one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "data/merge.h"

enum { A, B };

static struct merge *merge;
static uint64_t now_ns, random_state = 88172645463325252ull;

static int make(void **state)
{
	(void)state;
	now_ns = NS_PER_S;
	merge = merge_new(2, 32, 1);
	return merge ? 0 : -1;
}

static int make_of_payloads(void **state)
{
	(void)state;
	now_ns = NS_PER_S;
	merge = merge_new(2, 0, 1);
	return merge ? 0 : -1;
}

static int clear(void **state)
{
	(void)state;
	merge_free(merge);
	return 0;
}

static uint64_t random_below(uint64_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % limit;
}

static enum merge_verdict take_number(unsigned leg, uint64_t number)
{
	return merge_take(
		merge, leg, &(struct merge_number){.first = number, .count = 1}, NULL, 0, now_ns);
}

static enum merge_verdict take_text(unsigned leg, const char *text)
{
	return merge_take(merge, leg, NULL, text, strlen(text), now_ns);
}

static void each_number_passes_once_and_only_what_both_lack_is_lost(void **state)
{
	enum { NUMBERS = 200000, SKEW = 1000 };
	AUTO_FREE uint8_t *lacks = calloc(NUMBERS, 1), *passed = calloc(NUMBERS, 1);
	const struct sequence_counts *sums;
	uint64_t both = 0, lacking[2] = {0};

	(void)state;
	assert_true(lacks && passed);
	for (uint64_t i = 0; i < NUMBERS + SKEW; i++, now_ns += 10000) {
		if (i < NUMBERS) {
			lacks[i] = (uint8_t)((random_below(33) ? 0 : 1) +
					     (random_below(33) ? 0 : 2));
			if (!i || i == NUMBERS - 1)
				lacks[i] = 0;
			both += lacks[i] == 3;
			lacking[A] += lacks[i] & 1;
			lacking[B] += lacks[i] >> 1;
			if (!(lacks[i] & 1) && take_number(A, i) == MERGE_PASSES)
				passed[i]++;
		}
		if (i >= SKEW && !(lacks[i - SKEW] & 2) && take_number(B, i - SKEW) == MERGE_PASSES)
			passed[i - SKEW]++;
	}
	for (uint64_t i = 0; i < NUMBERS; i++)
		assert_int_equal(passed[i], lacks[i] != 3);
	sums = merge_counts(merge);
	assert_int_equal(sums->lost + merge_open(merge), both);
	assert_int_equal(sums->unique, NUMBERS - both);
	assert_int_equal(sums->late + sums->restarts + sums->duplicates, 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(
			merge_leg_counts(merge, i)->lost + merge_leg_open(merge, i), lacking[i]);
	assert_in_range(
		merge_leg_skew_ns(merge, B, 0.5), SKEW * 10000 * 7 / 8, SKEW * 10000 * 9 / 8);
	assert_in_range(
		merge_leg_skew_ns(merge, B, 0.99), SKEW * 10000 * 7 / 8, SKEW * 10000 * 9 / 8);
}

static void a_leg_is_behind_though_it_was_read_first(void **state)
{
	enum { SKEW = 1 << 20 };

	(void)state;
	for (uint64_t i = 0; i < 100; i++, now_ns += SKEW) {
		now_ns += SKEW;
		assert_int_equal(take_number(B, i), MERGE_PASSES);
		now_ns -= SKEW;
		assert_int_equal(take_number(A, i), MERGE_DUPLICATE);
	}
	assert_in_range(merge_leg_skew_ns(merge, B, 0.5), SKEW, SKEW * 9 / 8);
	assert_int_equal(merge_leg_skew_ns(merge, A, 0.5), 0);
}

static void what_a_leg_repeats_itself_passes(void **state)
{
	(void)state;
	assert_int_equal(take_number(A, 1), MERGE_PASSES);
	assert_int_equal(take_number(A, 1), MERGE_PASSES);
	assert_int_equal(take_number(B, 1), MERGE_DUPLICATE);
	assert_int_equal(take_number(B, 1), MERGE_DUPLICATE);
	assert_int_equal(take_number(B, 1), MERGE_PASSES);
	assert_int_equal(take_number(A, 1), MERGE_DUPLICATE);
}

static void a_leg_that_is_a_day_behind_brings_nothing(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 100000; i++, now_ns += NS_PER_MS) {
		assert_int_equal(take_number(A, 10000000 + i), MERGE_PASSES);
		assert_int_equal(take_number(B, 1000000 + i), MERGE_APART);
	}
}

static void a_slow_leg_that_is_far_behind_brings_nothing_as_well(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 20; i++, now_ns += 5 * NS_PER_S) {
		assert_int_equal(take_number(A, 10000000 + i), MERGE_PASSES);
		if (i > 1)
			assert_int_equal(take_number(B, 1000000 + i), MERGE_APART);
	}
}

static void the_other_leg_goes_on_where_one_ends(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 10000; i++, now_ns += NS_PER_MS) {
		bool brings = i < 2000 || i >= 7000;

		if (brings)
			assert_int_equal(take_number(A, i), MERGE_PASSES);
		assert_int_equal(take_number(B, i), brings ? MERGE_DUPLICATE : MERGE_PASSES);
	}
}

/* B is behind by so many numbers. */
static void check_restart(uint64_t skew)
{
	uint8_t passed[2000] = {0};
	for (uint64_t i = 0; i < 1000 + skew; i++, now_ns += NS_PER_MS) {
		if (i < 1000)
			take_number(A, 1000000 + i);
		if (i >= skew)
			take_number(B, 1000000 + i - skew);
		if (i < 1000)
			continue;
		/* A has begun again. */
		passed[i - 1000] += take_number(A, i - 1000) == MERGE_PASSES;
	}
	for (uint64_t i = skew; i < 1000 + skew; i++, now_ns += NS_PER_MS) {
		if (i < 1000)
			passed[i] += take_number(A, i) == MERGE_PASSES;
		passed[i - skew] += take_number(B, i - skew) == MERGE_PASSES;
	}
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(passed[i], 1);
	assert_int_equal(merge_counts(merge)->restarts, 1);
}

static void after_a_restart_all_numbers_pass_once(void **state)
{
	(void)state;
	check_restart(0);
}

static void after_a_restart_with_skew_all_numbers_pass_once(void **state)
{
	(void)state;
	check_restart(10);
}

static void after_a_restart_of_the_only_leg_all_numbers_pass(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 100; i++, now_ns += NS_PER_MS)
		assert_int_equal(take_number(A, 1000000 + i), MERGE_PASSES);
	for (uint64_t i = 0; i < 100; i++, now_ns += NS_PER_MS)
		assert_int_equal(take_number(A, i), MERGE_PASSES);
}

static void equal_payloads_within_the_window_pass_once(void **state)
{
	(void)state;
	assert_int_equal(take_text(A, "one"), MERGE_PASSES);
	assert_int_equal(take_text(B, "one"), MERGE_DUPLICATE);
	assert_int_equal(take_text(B, "two"), MERGE_PASSES);
	assert_int_equal(take_text(A, "two"), MERGE_DUPLICATE);
	now_ns += MERGE_PAYLOAD_MS * NS_PER_MS;
	assert_int_equal(take_text(A, "one"), MERGE_PASSES);
}

/* As the legs are read one after the other. */
static void equal_payloads_pass_once_in_whatever_order_they_are_read(void **state)
{
	(void)state;
	now_ns += 10 * NS_PER_MS;
	assert_int_equal(take_text(A, "one"), MERGE_PASSES);
	now_ns -= 9 * NS_PER_MS;
	assert_int_equal(take_text(B, "one"), MERGE_DUPLICATE);
}

static void equal_payloads_of_one_leg_pass(void **state)
{
	(void)state;
	assert_int_equal(take_text(A, "one"), MERGE_PASSES);
	assert_int_equal(take_text(A, "one"), MERGE_PASSES);
	assert_int_equal(take_text(B, "one"), MERGE_DUPLICATE);
	assert_int_equal(take_text(B, "one"), MERGE_DUPLICATE);
	assert_int_equal(take_text(B, "one"), MERGE_PASSES);
}

static void a_restart_that_two_legs_tell_after_a_pause_passes_once(void **state)
{
	(void)state;
	for (uint64_t i = 5000; i < 5010; i++)
		take_number(A, i);
	now_ns += 4 * NS_PER_S;
	assert_int_equal(take_number(B, 10), MERGE_PASSES);
	now_ns += 4 * NS_PER_S;
	assert_int_equal(take_number(A, 11), MERGE_PASSES);
	assert_int_equal(take_number(A, 12), MERGE_PASSES);
	assert_int_equal(take_number(B, 11), MERGE_APART);
	assert_int_equal(take_number(B, 12), MERGE_DUPLICATE);
}

/* The first number of a restart passes by one leg before the second leg brings it. */
static void the_first_number_of_a_restart_passes_once(void **state)
{
	unsigned passed = 0;

	(void)state;
	for (uint64_t first = 3000000; first; first -= 1000000, now_ns += 4 * NS_PER_S)
		for (uint64_t i = 0; i < 200; i++, now_ns += NS_PER_MS)
			for (unsigned leg = A; leg <= B; leg++)
				passed += take_number(leg, first + i) == MERGE_PASSES;
	assert_int_equal(passed, 3 * 200);
	assert_int_equal(merge_counts(merge)->restarts, 2);
}

/* What one leg lacked the first time, the other one brought. */
static void after_a_pause_a_short_run_that_begins_again_passes_whole(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 500; i++, now_ns += 100000) {
		if (i < 10 || i >= 20)
			take_number(A, i);
		take_number(B, i);
	}
	now_ns += 10 * NS_PER_S;
	for (uint64_t i = 0; i < 500; i++, now_ns += 100000)
		assert_int_equal(take_number(A, i), MERGE_PASSES);
	assert_int_equal(merge_counts(merge)->restarts, 1);
}

static void after_a_pause_a_short_run_that_both_legs_begin_again_passes_once(void **state)
{
	unsigned passed = 0;

	(void)state;
	for (unsigned run = 0; run < 3; run++, now_ns += 10 * NS_PER_S)
		for (uint64_t i = 0; i < 500; i++, now_ns += 100000)
			for (unsigned leg = A; leg <= B; leg++)
				if (leg == B || i < 10 * run || i >= 10 * run + 10)
					passed += take_number(leg, i) == MERGE_PASSES;
	assert_int_equal(passed, 3 * 500);
	assert_int_equal(merge_counts(merge)->restarts, 2);
}

/* Each five seconds A brings a burst, and B the same, which is behind. */
static void check_bursts(uint64_t behind_ns)
{
	enum { BURST = 200, BURSTS = 20 };
	uint64_t begun_ns = now_ns, passed = 0;

	for (uint64_t ms = 0; ms < BURSTS * 5000; ms++) {
		uint64_t burst = ms / 5000, at = ms % 5000;
		uint64_t late = ms - behind_ns / NS_PER_MS;

		now_ns = begun_ns + ms * NS_PER_MS;
		if (at < BURST)
			passed += take_number(A, burst * BURST + at) == MERGE_PASSES;
		if (ms >= behind_ns / NS_PER_MS && late % 5000 < BURST)
			passed += take_number(B, late / 5000 * BURST + late % 5000) == MERGE_PASSES;
	}
	assert_int_equal(passed, BURST * BURSTS);
	assert_int_equal(merge_counts(merge)->restarts, 0);
}

static void a_leg_that_is_behind_by_more_than_a_burst_brings_nothing(void **state)
{
	(void)state;
	check_bursts(6500 * NS_PER_MS);
}

static void a_leg_that_is_behind_by_less_than_a_burst_brings_nothing(void **state)
{
	(void)state;
	check_bursts(3000 * NS_PER_MS);
}

/* Heartbeats of market data tell the next number. */
static void what_no_leg_brought_at_the_end_is_open(void **state)
{
	struct merge_number next = {.first = 14};

	(void)state;
	for (uint64_t i = 0; i < 10; i++, now_ns += NS_PER_MS)
		for (unsigned leg = A; leg <= B; leg++)
			take_number(leg, i);
	assert_int_equal(merge_take(merge, A, &next, "next", 4, now_ns), MERGE_PASSES);
	assert_int_equal(merge_take(merge, B, &next, "next", 4, now_ns), MERGE_DUPLICATE);
	assert_int_equal(merge_open(merge), 4);
	assert_int_equal(merge_leg_open(merge, A), 4);
	assert_int_equal(take_number(B, 12), MERGE_PASSES);
	assert_int_equal(merge_open(merge), 3);
	for (unsigned s = 0; s < 3; s++, now_ns += NS_PER_S)
		merge_take(merge, A, &next, "next", 4, now_ns);
	assert_int_equal(merge_counts(merge)->lost, 3);
}

static void many_streams_are_kept_apart_and_the_oldest_gives_way(void **state)
{
	(void)state;
	for (uint64_t stream = 0; stream < 3 * MERGE_STREAMS_MAX; stream++, now_ns++)
		for (uint64_t i = 0; i < 4; i++)
			for (unsigned leg = A; leg <= B; leg++)
				assert_int_equal(merge_take(merge, leg,
							 &(struct merge_number){.stream = {stream},
								 .first = 2 * i,
								 .count = 1},
							 NULL, 0, now_ns),
					leg == A ? MERGE_PASSES : MERGE_DUPLICATE);
	assert_int_equal(merge_counts(merge)->unique, 4 * 3 * MERGE_STREAMS_MAX);
	/* Three of each stream's numbers are missing; in those that are kept they may still come.
	 */
	assert_int_equal(merge_counts(merge)->lost, 2 * 3 * MERGE_STREAMS_MAX);
	assert_int_equal(merge_open(merge), 3 * MERGE_STREAMS_MAX);
}

static void numbers_that_share_a_place_of_the_window_are_told_apart(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 3 * MERGE_WINDOW; i++, now_ns += 1000)
		for (unsigned leg = A; leg <= B; leg++)
			assert_int_equal(
				take_number(leg, i), leg == A ? MERGE_PASSES : MERGE_DUPLICATE);
}

/* Below the window begins where its newest numbers are. */
static void a_datagram_that_begins_below_the_window_is_a_copy(void **state)
{
	struct merge_number many = {.first = 8, .count = 16};
	uint64_t newest = MERGE_WINDOW + 15;

	(void)state;
	for (uint64_t i = 0; i <= newest; i++, now_ns += 1000)
		take_number(A, i);
	assert_int_equal(merge_take(merge, B, &many, NULL, 0, now_ns), MERGE_DUPLICATE);
	assert_int_equal(take_number(B, newest), MERGE_DUPLICATE);
}

static void a_leg_takes_over_when_the_clock_is_set_back(void **state)
{
	(void)state;
	now_ns += 3600 * NS_PER_S;
	for (uint64_t i = 0; i < 100; i++, now_ns += NS_PER_MS)
		for (unsigned leg = A; leg <= B; leg++)
			take_number(leg, i);
	now_ns -= 3600 * NS_PER_S;
	take_number(A, 1000000);
	assert_int_equal(take_number(A, 1000001), MERGE_PASSES);
	assert_int_equal(take_number(A, 1000002), MERGE_PASSES);
}

#define NUMBERED(test) cmocka_unit_test_setup_teardown(test, make, clear)
#define BY_PAYLOAD(test) cmocka_unit_test_setup_teardown(test, make_of_payloads, clear)

static void equal_payloads_of_all_legs_pass_once(void **state)
{
	(void)state;
	merge_free(merge);
	merge = merge_new(MERGE_LEGS_MAX, 0, 1);
	assert_non_null(merge);
	assert_int_equal(take_text(0, "one"), MERGE_PASSES);
	for (unsigned leg = 1; leg < MERGE_LEGS_MAX; leg++)
		assert_int_equal(take_text(leg, "one"), MERGE_DUPLICATE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NUMBERED(each_number_passes_once_and_only_what_both_lack_is_lost),
		NUMBERED(a_leg_is_behind_though_it_was_read_first),
		NUMBERED(what_a_leg_repeats_itself_passes),
		NUMBERED(a_leg_that_is_a_day_behind_brings_nothing),
		NUMBERED(a_slow_leg_that_is_far_behind_brings_nothing_as_well),
		NUMBERED(the_other_leg_goes_on_where_one_ends),
		NUMBERED(after_a_restart_all_numbers_pass_once),
		NUMBERED(after_a_restart_with_skew_all_numbers_pass_once),
		NUMBERED(after_a_restart_of_the_only_leg_all_numbers_pass),
		NUMBERED(a_restart_that_two_legs_tell_after_a_pause_passes_once),
		NUMBERED(the_first_number_of_a_restart_passes_once),
		NUMBERED(after_a_pause_a_short_run_that_begins_again_passes_whole),
		NUMBERED(after_a_pause_a_short_run_that_both_legs_begin_again_passes_once),
		NUMBERED(a_leg_that_is_behind_by_more_than_a_burst_brings_nothing),
		NUMBERED(a_leg_that_is_behind_by_less_than_a_burst_brings_nothing),
		NUMBERED(what_no_leg_brought_at_the_end_is_open),
		NUMBERED(many_streams_are_kept_apart_and_the_oldest_gives_way),
		NUMBERED(numbers_that_share_a_place_of_the_window_are_told_apart),
		NUMBERED(a_datagram_that_begins_below_the_window_is_a_copy),
		NUMBERED(a_leg_takes_over_when_the_clock_is_set_back),
		BY_PAYLOAD(equal_payloads_within_the_window_pass_once),
		BY_PAYLOAD(equal_payloads_pass_once_in_whatever_order_they_are_read),
		BY_PAYLOAD(equal_payloads_of_one_leg_pass),
		BY_PAYLOAD(equal_payloads_of_all_legs_pass_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
