/* ctl/probe/measure: what a probe reports, and that it never contradicts itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ctl/probe/arrivals.h"
#include "ctl/probe/measure.h"
#include "ctl/probe/packet.h"

#define SSRC 7
#define COUNT 1000
#define STREAMS 20

static struct measure *measure;
static struct measured found;
static uint64_t now_ns;

static int make(void **state)
{
	(void)state;
	measure = measure_new();
	now_ns = 1000 * NS_PER_S;
	return measure ? 0 : -1;
}

static int clear(void **state)
{
	(void)state;
	measure_free(measure);
	return 0;
}

/* A datagram of a probe comes 5 ms after the one before. */
static enum measure_taken come(uint64_t number, uint32_t total)
{
	uint8_t payload[PROBE_SIZE_MIN];

	now_ns += 5 * NS_PER_MS;
	probe_packet_write(&(struct probe_packet){.ssrc = SSRC,
				   .number = (uint32_t)number,
				   .total = total,
				   .sent_ns = now_ns},
		payload, sizeof(payload));
	return measure_take(measure, payload, sizeof(payload), 0, now_ns);
}

/* The same of other RTP. */
static void rtp_comes(uint16_t sequence)
{
	uint8_t payload[12] = {0x80, 96, (uint8_t)(sequence >> 8), (uint8_t)sequence};

	now_ns += 5 * NS_PER_MS;
	measure_take(measure, payload, sizeof(payload), 0, now_ns);
}

/* All of them but one. */
static void come_all_but(uint64_t left_out)
{
	for (uint64_t i = 0; i < COUNT; i++)
		if (i != left_out)
			come(i, COUNT);
}

static void check_sum(void)
{
	assert_int_equal(found.received, found.sent - found.lost + found.duplicates + found.late);
}

static void check(uint64_t sent, uint64_t lost, uint64_t reordered, uint64_t duplicates)
{
	measure_read(measure, &found);
	assert_int_equal(found.sent, sent);
	assert_int_equal(found.lost, lost);
	assert_int_equal(found.reordered, reordered);
	assert_int_equal(found.duplicates, duplicates);
	check_sum();
}

static void one_that_comes_seconds_late_is_reordered_and_not_lost(void **state)
{
	(void)state;
	come_all_but(100);
	come(100, COUNT);
	check(COUNT, 0, 1, 0);
	assert_int_equal(found.late, 0);
}

static void a_copy_that_comes_seconds_late_is_doubled(void **state)
{
	(void)state;
	come_all_but(COUNT);
	come(100, COUNT);
	check(COUNT, 0, 0, 1);
	assert_int_equal(found.late, 0);
}

static void numbers_below_the_first_that_came_are_reordered(void **state)
{
	(void)state;
	come(2, 3);
	come(0, 3);
	come(1, 3);
	check(3, 0, 2, 0);
}

static void a_gap_of_a_million_is_loss_and_no_restart(void **state)
{
	(void)state;
	come(0, 2000000);
	come(1000000, 2000000);
	come(1000001, 2000000);
	check(2000000, 1999997, 0, 0);
	assert_int_equal(found.restarts, 0);
	assert_int_equal(found.seen_lost, 999999);
}

static void what_follows_the_last_one_that_came_is_lost_at_the_end(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 497; i++)
		come(i, COUNT);
	check(COUNT, 503, 0, 0);
	assert_int_equal(found.lost_at_end, 503);
}

static void a_sender_that_stops_early_corrects_how_many_it_sent(void **state)
{
	enum measure_taken last = MEASURE_OTHER;

	(void)state;
	for (unsigned i = 0; i < 500; i++)
		last = come(i, i < 495 ? COUNT : 500);
	check(500, 0, 0, 0);
	assert_int_equal(found.lost_at_end, 0);
	assert_int_equal(last, MEASURE_LATE);
}

static void one_correction_that_comes_is_enough(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 496; i++)
		come(i, i < 495 ? COUNT : 500);
	check(500, 4, 0, 0);
	assert_int_equal(found.lost_at_end, 4);
}

static void what_comes_after_a_correction_does_not_undo_it(void **state)
{
	(void)state;
	come(0, COUNT);
	come(2, 3);
	come(1, COUNT);
	check(3, 0, 1, 0);
}

static void a_total_below_the_numbers_that_came_is_not_believed(void **state)
{
	(void)state;
	come(0, 1);
	come(9, 1);
	check(10, 8, 0, 0);
}

static void without_a_total_the_first_that_came_is_the_beginning(void **state)
{
	(void)state;
	come(5000, 0);
	come(5002, 0);
	come(5001, 0);
	check(3, 0, 1, 0);
	assert_int_equal(found.lost_at_end, 0);
}

static void an_endless_probe_goes_on_after_2_to_the_32_numbers(void **state)
{
	uint64_t end = 1ull << 32;

	(void)state;
	for (uint64_t i = end - 10; i < end + 10; i++)
		if (i != end - 1)
			come(i, 0);
	come(end - 1, 0);
	come(end - 2, 0);
	check(20, 0, 1, 1);
}

static void one_that_more_than_are_remembered_have_overtaken_is_late(void **state)
{
	(void)state;
	come(1, ARRIVALS_WINDOW + 1);
	come(ARRIVALS_WINDOW, ARRIVALS_WINDOW + 1);
	come(1, ARRIVALS_WINDOW + 1);
	come(0, ARRIVALS_WINDOW + 1);
	check(ARRIVALS_WINDOW + 1, ARRIVALS_WINDOW - 1, 0, 1);
	assert_int_equal(found.late, 1);
}

static void numbers_are_forgotten_when_others_take_their_place(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++)
		come(i, 0);
	come(ARRIVALS_WINDOW - 1, 0);
	come(ARRIVALS_WINDOW + 150, 0);
	for (unsigned i = 0; i < 150; i++)
		come(ARRIVALS_WINDOW + i, 0);
	measure_read(measure, &found);
	assert_int_equal(found.duplicates, 0);
	come(151, 0);
	measure_read(measure, &found);
	assert_int_equal(found.duplicates, 1);
	check_sum();
}

static void a_forged_number_moves_the_window_and_the_sum_still_holds(void **state)
{
	(void)state;
	come(0, COUNT);
	come(INT32_MAX, COUNT);
	come(1, COUNT);
	come(INT32_MAX, COUNT);
	check(INT32_MAX + 1ull, INT32_MAX - 1ull, 0, 1);
	assert_int_equal(found.late, 1);
}

static void of_other_rtp_what_comes_too_late_is_neither_reordered_nor_doubled(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < COUNT; i++)
		if (i != 100)
			rtp_comes(i);
	rtp_comes(100);
	rtp_comes(101);
	check(COUNT, 1, 0, 0);
	assert_int_equal(found.late, 2);
	assert_false(found.is_probe);
}

static void a_probe_is_counted_from_its_own_beginning_after_other_rtp(void **state)
{
	(void)state;
	rtp_comes(9);
	rtp_comes(10);
	come(0, 2);
	come(1, 2);
	check(2, 0, 0, 0);
	assert_int_equal(found.others, 2);
}

static uint64_t random_state = 1;

static uint64_t random_below(uint64_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % limit;
}

/* Each number any number of times, in an order that is shuffled over the whole stream. */
static void random_probes_are_counted_as_by_remembering_all_of_them(void **state)
{
	for (unsigned stream = 0; stream < STREAMS; stream++) {
		uint64_t unique = 0, duplicates = 0, reordered = 0, highest = 0;
		bool came[COUNT] = {0};

		clear(state);
		assert_int_equal(make(state), 0);
		for (unsigned i = 0; i < COUNT; i++) {
			uint64_t number = random_below(COUNT);

			come(number, COUNT);
			unique += !came[number];
			duplicates += came[number];
			reordered += !came[number] && number < highest;
			highest = number > highest ? number : highest;
			came[number] = true;
		}
		check(COUNT, COUNT - unique, reordered, duplicates);
		assert_int_equal(found.late, 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_that_comes_seconds_late_is_reordered_and_not_lost),
		TEST(a_copy_that_comes_seconds_late_is_doubled),
		TEST(numbers_below_the_first_that_came_are_reordered),
		TEST(a_gap_of_a_million_is_loss_and_no_restart),
		TEST(what_follows_the_last_one_that_came_is_lost_at_the_end),
		TEST(a_sender_that_stops_early_corrects_how_many_it_sent),
		TEST(one_correction_that_comes_is_enough),
		TEST(what_comes_after_a_correction_does_not_undo_it),
		TEST(a_total_below_the_numbers_that_came_is_not_believed),
		TEST(without_a_total_the_first_that_came_is_the_beginning),
		TEST(an_endless_probe_goes_on_after_2_to_the_32_numbers),
		TEST(one_that_more_than_are_remembered_have_overtaken_is_late),
		TEST(numbers_are_forgotten_when_others_take_their_place),
		TEST(a_forged_number_moves_the_window_and_the_sum_still_holds),
		TEST(of_other_rtp_what_comes_too_late_is_neither_reordered_nor_doubled),
		TEST(a_probe_is_counted_from_its_own_beginning_after_other_rtp),
		TEST(random_probes_are_counted_as_by_remembering_all_of_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
