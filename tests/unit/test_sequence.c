/* data/sequence against a model that remembers each number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "data/sequence.h"

#define STREAMS 200
#define NUMBERS 8000 /* of a stream, at most, with its jumps */

/* One is enough for all tests. */
static struct sequence *sequence;

static int make(void **state)
{
	(void)state;
	sequence = malloc(sizeof(*sequence) + SEQUENCE_SEEN_SIZE(SEQUENCE_WINDOW));
	return sequence ? 0 : -1;
}

static int clear(void **state)
{
	(void)state;
	free(sequence);
	return 0;
}

static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % limit;
}

/* The identities, after each call. */
static void check_sums(uint64_t given)
{
	const struct sequence_counts *counts = &sequence->counts;

	assert_int_equal(counts->spanned, counts->unique + counts->lost + sequence_open(sequence));
	assert_int_equal(given, counts->unique + counts->duplicates + counts->late);
}

/* What is known of a stream by remembering all of it; numbers from 0. */
struct model {
	bool came[NUMBERS];
	uint64_t first, highest, unique, reordered, duplicates, late;
	bool is_begun;
};

static void model_take(struct model *model, uint64_t number, uint64_t window)
{
	if (!model->is_begun) {
		model->is_begun = true;
		model->first = model->highest = number;
		model->unique = 1;
	} else if (number > model->highest) {
		model->highest = number;
		model->unique++;
	} else if (number < model->first || model->highest - number >= window) {
		model->late++;
		return;
	} else if (model->came[number]) {
		model->duplicates++;
	} else {
		model->unique++;
		model->reordered++;
	}
	model->came[number] = true;
}

static uint64_t model_missing(const struct model *model, uint64_t from, uint64_t to)
{
	uint64_t missing = 0;

	for (uint64_t number = from; number < to; number++)
		missing += !model->came[number];
	return missing;
}

static void compare(const struct model *model)
{
	const struct sequence_counts *counts = &sequence->counts;
	uint64_t span = model->highest + 1 - model->first, window = sequence->window;
	uint64_t low = span > window ? model->highest + 1 - window : model->first;

	assert_int_equal(counts->unique, model->unique);
	assert_int_equal(counts->reordered, model->reordered);
	assert_int_equal(counts->duplicates, model->duplicates);
	assert_int_equal(counts->late, model->late);
	assert_int_equal(counts->restarts, 0);
	assert_int_equal(counts->lost, model_missing(model, model->first, low));
	assert_int_equal(sequence_open(sequence), model_missing(model, low, model->highest + 1));
}

/* A stream with loss, copies, displacement and one jump. Returns how many numbers there are. */
static size_t make_stream(uint64_t *numbers, uint64_t jump_max, uint64_t moves_max)
{
	uint64_t length = 2000 + random_below(1000), loss = random_below(40);
	uint64_t copies = random_below(10), moves = random_below(moves_max), number = 0;
	uint64_t jump = random_below(4) ? 0 : random_below(jump_max);
	size_t count = 0;

	for (uint64_t i = 0; i < length; i++, number++) {
		number += i == length / 2 ? jump : 0;
		if (random_below(100) < loss)
			continue;
		numbers[count++] = number;
		if (random_below(100) < copies)
			numbers[count++] = number;
	}
	for (size_t i = 0; moves && i < count; i++) {
		size_t other = i + random_below(moves);
		uint64_t number_here = numbers[i];

		if (other >= count || random_below(5))
			continue;
		numbers[i] = numbers[other];
		numbers[other] = number_here;
	}
	return count;
}

static void check_streams(unsigned bits, uint32_t step, uint64_t jump_max, uint64_t moves_max)
{
	AUTO_FREE uint64_t *numbers = calloc(2 * NUMBERS, sizeof(*numbers));
	AUTO_FREE struct model *model = calloc(1, sizeof(*model));
	uint64_t mask = bits == 64 ? SEQUENCE_NUMBER_MAX : (1ull << bits) - 1;

	assert_true(numbers && model);
	for (unsigned i = 0; i < STREAMS; i++) {
		size_t count = make_stream(numbers, jump_max, moves_max);
		uint64_t start = random_below(3) ? random_below(mask) : mask - random_below(2000);

		start = bits == 64 ? start / 2 : start;
		memset(model, 0, sizeof(*model));
		sequence_init(sequence, bits, step, SEQUENCE_WINDOW);
		for (size_t k = 0; k < count; k++) {
			sequence_track(sequence, (start + numbers[k] * step) & mask, 1, k);
			model_take(model, numbers[k], sequence->window);
			check_sums(k + 1);
			if (k % 64 == 0 || k + 1 == count)
				compare(model);
		}
	}
}

static void random_streams_of_8_bits_are_counted_as_by_the_model(void **state)
{
	(void)state;
	check_streams(8, 1, 20, 20);
}

static void random_streams_of_16_bits_are_counted_as_by_the_model(void **state)
{
	(void)state;
	check_streams(16, 1, 1000, 900);
}

static void random_streams_of_32_bits_in_steps_are_counted_as_by_the_model(void **state)
{
	(void)state;
	check_streams(32, 960, 1000, 900);
}

static void random_streams_of_64_bits_are_counted_as_by_the_model(void **state)
{
	(void)state;
	check_streams(64, 1, 1000, 900);
}

static void begin(uint64_t from, uint64_t count)
{
	sequence_init(sequence, 32, 1, SEQUENCE_WINDOW);
	for (uint64_t i = 0; i < count; i++)
		sequence_track(sequence, from + i, 1, i * NS_PER_MS);
}

static void a_restart_ahead_is_told_by_the_second_number_after_it(void **state)
{

	(void)state;
	begin(1000, 100);
	sequence_track(sequence, 90000000, 1, 100 * NS_PER_MS);
	assert_int_equal(sequence->counts.restarts, 0);
	sequence_track(sequence, 90000001, 1, 101 * NS_PER_MS);
	assert_int_equal(sequence->counts.restarts, 1);
	assert_int_equal(sequence->counts.late, 1);
	assert_int_equal(sequence->counts.lost, 0);
	assert_int_equal(sequence->counts.unique, 101);
	check_sums(102);
}

/* The last number was at 99 ms. copies: how often each comes. */
static void check_restart_behind(uint64_t copies)
{
	uint64_t quiet_ms = SEQUENCE_QUIET_NS / NS_PER_MS;

	begin(1000000, 100);
	for (uint64_t i = 0; i < 50 * copies; i++) {
		sequence_track(sequence, i / copies, 1, (100 + i / copies) * NS_PER_MS);
		check_sums(101 + i);
	}
	assert_int_equal(sequence->counts.restarts, 1);
	assert_int_equal(sequence->counts.late, quiet_ms * copies);
	assert_int_equal(sequence->counts.unique, 100 + 50 - quiet_ms);
	assert_int_equal(sequence->counts.duplicates, (50 - quiet_ms) * (copies - 1));
}

static void a_restart_behind_is_told_once_the_old_numbers_have_ended(void **state)
{
	(void)state;
	check_restart_behind(1);
}

static void a_restart_whose_numbers_come_twice_is_told_as_well(void **state)
{
	(void)state;
	check_restart_behind(2);
}

static void a_fast_restart_behind_is_told_by_a_long_row_of_numbers(void **state)
{

	(void)state;
	begin(1000000, 100);
	for (uint64_t i = 0; i < 1000; i++)
		sequence_track(sequence, i, 1, 100 * NS_PER_MS + i);
	assert_int_equal(sequence->counts.restarts, 1);
	assert_int_equal(sequence->counts.late, SEQUENCE_LATE_RUN - 1);
	check_sums(1100);
}

static void copies_that_are_far_behind_are_late_and_no_restart(void **state)
{

	(void)state;
	sequence_init(sequence, 32, 1, SEQUENCE_WINDOW);
	for (uint64_t i = 0; i < 10000; i++) {
		sequence_track(sequence, 10000 + i, 1, i * NS_PER_MS);
		/* In rows of 64, as they are read. */
		for (uint64_t k = 0; i % 64 == 0 && k < 64; k++)
			sequence_track(sequence, 1000 + i + k, 1, i * NS_PER_MS);
	}
	assert_int_equal(sequence->counts.restarts, 0);
	assert_int_equal(sequence->counts.lost, 0);
	assert_int_equal(sequence->counts.unique, 10000);
}

static void one_number_from_elsewhere_is_late_and_no_restart(void **state)
{

	(void)state;
	begin(1000, 100);
	sequence_track(sequence, 900000000, 1, 100 * NS_PER_MS);
	sequence_track(sequence, 1100, 1, 101 * NS_PER_MS);
	sequence_track(sequence, 900000001, 1, 102 * NS_PER_MS);
	sequence_track(sequence, 1101, 1, 103 * NS_PER_MS);
	assert_int_equal(sequence->counts.restarts, 0);
	assert_int_equal(sequence->counts.late, 2);
	assert_int_equal(sequence->counts.lost, 0);
	check_sums(104);
}

static void a_long_pause_explains_a_large_jump_as_loss(void **state)
{

	(void)state;
	begin(0, 1000); /* 1,000/s */
	sequence_track(sequence, 601000, 1, 601000 * NS_PER_MS);
	sequence_track(sequence, 600999 + SEQUENCE_WINDOW, 1, 601001 * NS_PER_MS);
	assert_int_equal(sequence->counts.restarts, 0);
	assert_int_equal(sequence->counts.lost, 600000);
	check_sums(1002);
}

static void without_a_pause_a_large_jump_is_a_restart(void **state)
{

	(void)state;
	begin(0, 1000);
	sequence_track(sequence, 600000, 1, 1000 * NS_PER_MS);
	sequence_track(sequence, 600001, 1, 1001 * NS_PER_MS);
	assert_int_equal(sequence->counts.restarts, 1);
	assert_int_equal(sequence->counts.lost, 0);
}

static void what_is_open_at_a_restart_is_lost(void **state)
{

	(void)state;
	begin(1000000, 10);
	sequence_track(sequence, 1000015, 1, 0);
	sequence_track(sequence, 1, 1, NS_PER_S);
	sequence_track(sequence, 2, 1, NS_PER_S);
	assert_int_equal(sequence->counts.lost, 5);
	check_sums(13);
}

static void in_a_slow_stream_a_hole_is_lost_after_two_seconds(void **state)
{
	uint64_t second = 0;

	(void)state;
	sequence_init(sequence, 32, 1, SEQUENCE_WINDOW);
	for (second = 0; second < 10; second++)
		if (second != 5)
			sequence_track(sequence, second, 1, second * NS_PER_S);
	assert_int_equal(sequence->counts.lost, 1);
	assert_int_equal(sequence_open(sequence), 0);
	check_sums(9);
	sequence_track(sequence, 5, 1, 10 * NS_PER_S);
	assert_int_equal(sequence->counts.late, 1);
	for (second = 10; second < 5000; second++)
		sequence_track(sequence, second, 1, second * NS_PER_S);
	assert_int_equal(sequence->counts.lost, 1);
	check_sums(5000);
}

static void after_a_pause_a_short_run_that_begins_again_is_a_restart(void **state)
{
	(void)state;
	begin(0, 500);
	for (uint64_t i = 0; i < 500; i++)
		sequence_track(sequence, i, 1, 10 * NS_PER_S + i * NS_PER_MS);
	assert_int_equal(sequence->counts.restarts, 1);
	assert_int_equal(sequence->counts.late, 1);
	assert_int_equal(sequence->counts.duplicates, 0);
	check_sums(1000);
}

static void the_last_number_that_is_repeated_in_a_pause_is_a_duplicate(void **state)
{
	(void)state;
	begin(0, 500);
	for (uint64_t i = 1; i < 10; i++)
		sequence_track(sequence, 499, 1, 5 * i * NS_PER_S);
	assert_int_equal(sequence->counts.duplicates, 9);
	sequence_track(sequence, 500, 1, 50 * NS_PER_S);
	assert_int_equal(sequence->counts.late + sequence->counts.lost, 0);
	check_sums(510);
}

static void a_pause_after_nothing_but_an_announcement_loses_nothing(void **state)
{
	(void)state;
	sequence_init(sequence, 32, 1, SEQUENCE_WINDOW);
	sequence_track(sequence, 7, 0, 0); /* the next one is 7 */
	sequence_track(sequence, 9, 1, 10 * NS_PER_S);
	assert_int_equal(sequence_open(sequence), 2);
	sequence_track(sequence, 7, 1, 10 * NS_PER_S);
	assert_int_equal(sequence_open(sequence), 1);
	check_sums(2);
}

static void copies_of_a_slow_stream_may_be_late_by_seconds(void **state)
{
	(void)state;
	sequence_init(sequence, 32, 1, SEQUENCE_WINDOW);
	for (uint64_t i = 0; i < 10; i++) {
		sequence_track(sequence, i, 1, 5 * i * NS_PER_S);
		if (i)
			sequence_track(sequence, i, 1, (5 * i + 3) * NS_PER_S);
	}
	assert_int_equal(sequence->counts.duplicates, 9);
	assert_int_equal(sequence->counts.late, 0);
}

static void a_clock_that_is_set_back_delays_no_loss(void **state)
{
	(void)state;
	sequence_init(sequence, 32, 1, SEQUENCE_WINDOW);
	sequence_track(sequence, 0, 1, 3600 * NS_PER_S);
	for (uint64_t second = 1; second < 10; second++)
		if (second != 5)
			sequence_track(sequence, second, 1, second * NS_PER_S);
	assert_int_equal(sequence->counts.lost, 1);
	assert_int_equal(sequence_open(sequence), 0);
	check_sums(9);
}

static void messages_are_counted_by_the_datagram(void **state)
{

	(void)state;
	sequence_init(sequence, 64, 1, SEQUENCE_WINDOW);
	sequence_track(sequence, 1, 0, 0); /* the next one is 1 */
	sequence_track(sequence, 1, 3, 0);
	sequence_track(sequence, 6, 2, 0); /* 4 and 5 are open */
	assert_int_equal(sequence->counts.spanned, 7);
	assert_int_equal(sequence_open(sequence), 2);
	sequence_track(sequence, 4, 2, 0);
	assert_int_equal(sequence->counts.reordered, 2);
	sequence_track(sequence, 6, 2, 0);
	assert_int_equal(sequence->counts.duplicates, 2);
	sequence_track(sequence, 11, 0, 0); /* 8, 9, 10 have been sent */
	assert_int_equal(sequence_open(sequence), 3);
	sequence_track(sequence, 8, 3, 0);
	assert_int_equal(sequence_open(sequence), 0);
	check_sums(12);
}

static void many_messages_in_a_datagram_leave_no_holes(void **state)
{
	uint64_t next = 0;

	(void)state;
	sequence_init(sequence, 64, 1, SEQUENCE_WINDOW);
	for (unsigned i = 0; i < 100; i++, next += 60000)
		sequence_track(sequence, next, 60000, i);
	assert_int_equal(sequence->counts.unique, 6000000);
	assert_int_equal(sequence->counts.lost, 0);
	check_sums(6000000);
}

static void a_number_between_steps_is_late(void **state)
{

	(void)state;
	sequence_init(sequence, 32, 960, SEQUENCE_WINDOW);
	sequence_track(sequence, 5, 1, 0);
	sequence_track(sequence, 965, 1, 0);
	sequence_track(sequence, 1000, 1, 0);
	sequence_track(sequence, 1925, 1, 0);
	assert_int_equal(sequence->counts.unique, 3);
	assert_int_equal(sequence->counts.late, 1);
	assert_int_equal(sequence->counts.restarts, 0);
	check_sums(4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_streams_of_8_bits_are_counted_as_by_the_model),
		cmocka_unit_test(random_streams_of_16_bits_are_counted_as_by_the_model),
		cmocka_unit_test(random_streams_of_32_bits_in_steps_are_counted_as_by_the_model),
		cmocka_unit_test(random_streams_of_64_bits_are_counted_as_by_the_model),
		cmocka_unit_test(a_restart_ahead_is_told_by_the_second_number_after_it),
		cmocka_unit_test(a_restart_behind_is_told_once_the_old_numbers_have_ended),
		cmocka_unit_test(a_restart_whose_numbers_come_twice_is_told_as_well),
		cmocka_unit_test(a_fast_restart_behind_is_told_by_a_long_row_of_numbers),
		cmocka_unit_test(copies_that_are_far_behind_are_late_and_no_restart),
		cmocka_unit_test(one_number_from_elsewhere_is_late_and_no_restart),
		cmocka_unit_test(a_long_pause_explains_a_large_jump_as_loss),
		cmocka_unit_test(without_a_pause_a_large_jump_is_a_restart),
		cmocka_unit_test(what_is_open_at_a_restart_is_lost),
		cmocka_unit_test(in_a_slow_stream_a_hole_is_lost_after_two_seconds),
		cmocka_unit_test(after_a_pause_a_short_run_that_begins_again_is_a_restart),
		cmocka_unit_test(the_last_number_that_is_repeated_in_a_pause_is_a_duplicate),
		cmocka_unit_test(a_pause_after_nothing_but_an_announcement_loses_nothing),
		cmocka_unit_test(copies_of_a_slow_stream_may_be_late_by_seconds),
		cmocka_unit_test(a_clock_that_is_set_back_delays_no_loss),
		cmocka_unit_test(messages_are_counted_by_the_datagram),
		cmocka_unit_test(many_messages_in_a_datagram_leave_no_holes),
		cmocka_unit_test(a_number_between_steps_is_late),
	};

	random_state = 88172645463325252ull;
	return cmocka_run_group_tests(tests, make, clear);
}
