/* When a recorder's file is rotated for its age. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "recorder/turn.h"

#define EVERY_NS (60 * NS_PER_S)
#define MINUTE(number) ((uint64_t)(number)*EVERY_NS)

/* The real clock at this time, and the other one an hour behind. */
static struct moment at(uint64_t real_ns)
{
	return (struct moment){real_ns, real_ns - 60 * EVERY_NS};
}

static struct recorder_turn begun_at(uint64_t first_ns)
{
	struct recorder_turn turn = {.every_ns = EVERY_NS};

	recorder_turn_begin(&turn, first_ns, at(first_ns));
	return turn;
}

static void a_file_ends_at_the_next_multiple_after_its_first_record(void **state)
{
	struct recorder_turn turn = begun_at(MINUTE(100) + NS_PER_S);

	(void)state;
	assert_false(recorder_turn_is_over(&turn, MINUTE(101) - 1));
	assert_true(recorder_turn_is_over(&turn, MINUTE(101)));
	assert_int_equal(recorder_turn_first(&turn), 6000);
	assert_int_equal(recorder_turn_last(&turn), 6060);
}

static void a_file_without_a_record_is_never_over(void **state)
{
	struct recorder_turn turn = begun_at(MINUTE(100));

	(void)state;
	recorder_turn_forget(&turn);
	assert_false(recorder_turn_is_over(&turn, MINUTE(200)));
	assert_false(recorder_turn_look(&turn, at(MINUTE(200))));
	assert_int_equal(turn.due_ns, 0);
}

static void without_an_interval_no_file_is_ever_over(void **state)
{
	struct recorder_turn turn = {0};

	(void)state;
	recorder_turn_begin(&turn, MINUTE(100), at(MINUTE(100)));
	assert_false(recorder_turn_is_over(&turn, MINUTE(200)));
	assert_int_equal(turn.due_ns, 0);
}

static void what_comes_late_goes_to_the_file_of_the_next_time(void **state)
{
	struct recorder_turn turn = begun_at(MINUTE(100));

	(void)state;
	recorder_turn_end(&turn, true);
	recorder_turn_begin(&turn, MINUTE(101) - 1, at(MINUTE(101) + NS_PER_S));
	assert_int_equal(turn.at_ns, MINUTE(102));
}

static void after_the_clock_was_set_back_a_file_begins_with_its_first_record(void **state)
{
	struct recorder_turn turn = begun_at(MINUTE(100));

	(void)state;
	recorder_turn_end(&turn, true);
	recorder_turn_begin(&turn, MINUTE(50), at(MINUTE(50)));
	assert_int_equal(turn.at_ns, MINUTE(51));
}

static void a_file_that_was_rotated_for_its_size_is_followed_by_one_of_the_same_time(void **state)
{
	struct recorder_turn turn = begun_at(MINUTE(100) + NS_PER_S);

	(void)state;
	recorder_turn_end(&turn, false);
	recorder_turn_begin(&turn, MINUTE(100) + 2 * NS_PER_S, at(MINUTE(100) + 2 * NS_PER_S));
	assert_int_equal(turn.at_ns, MINUTE(101));
}

static void the_clock_is_looked_at_when_the_time_is_over(void **state)
{
	struct recorder_turn turn = begun_at(MINUTE(100));
	struct moment due = {MINUTE(101) + NS_PER_S, turn.due_ns};

	(void)state;
	assert_in_range(turn.due_ns - at(MINUTE(101)).monotonic_ns, 1, NS_PER_S);
	assert_true(recorder_turn_look(&turn, due));
	assert_int_equal(turn.due_ns, 0);
}

static void a_clock_that_was_set_back_moves_the_end_of_the_file(void **state)
{
	struct recorder_turn turn = begun_at(MINUTE(100));
	struct moment back = {MINUTE(50), turn.due_ns};

	(void)state;
	assert_false(recorder_turn_look(&turn, back));
	assert_int_equal(turn.at_ns, MINUTE(51));
	assert_in_range(turn.due_ns - back.monotonic_ns, EVERY_NS, EVERY_NS + NS_PER_S);
}

static void a_clock_that_may_be_set_is_looked_at_again_while_the_end_is_far(void **state)
{
	struct recorder_turn turn = {.every_ns = 86400 * NS_PER_S};
	struct moment now = at(MINUTE(1441));

	(void)state;
	recorder_turn_begin(&turn, now.real_ns, now);
	assert_in_range(turn.due_ns - now.monotonic_ns, NS_PER_S, 3600 * NS_PER_S);
}

static void what_may_be_on_its_way_is_waited_for(void **state)
{
	struct recorder_turn turn = begun_at(MINUTE(100));

	(void)state;
	turn.idle_since_ns = MINUTE(40);
	assert_in_range(recorder_turn_due(&turn, 0), MINUTE(40) + 1, MINUTE(40) + NS_PER_S);
	assert_int_equal(recorder_turn_due(&turn, MINUTE(41)), MINUTE(41));
}

static void a_thread_that_was_held_up_waits_for_what_came_meanwhile(void **state)
{
	struct recorder_turn turn = begun_at(MINUTE(100));
	struct moment late = {MINUTE(103), turn.due_ns + 2 * EVERY_NS};

	(void)state;
	assert_true(recorder_turn_look(&turn, late));
	assert_true(recorder_turn_due(&turn, 0) > late.monotonic_ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_ends_at_the_next_multiple_after_its_first_record),
		cmocka_unit_test(a_file_without_a_record_is_never_over),
		cmocka_unit_test(without_an_interval_no_file_is_ever_over),
		cmocka_unit_test(what_comes_late_goes_to_the_file_of_the_next_time),
		cmocka_unit_test(after_the_clock_was_set_back_a_file_begins_with_its_first_record),
		cmocka_unit_test(
			a_file_that_was_rotated_for_its_size_is_followed_by_one_of_the_same_time),
		cmocka_unit_test(the_clock_is_looked_at_when_the_time_is_over),
		cmocka_unit_test(a_clock_that_was_set_back_moves_the_end_of_the_file),
		cmocka_unit_test(a_clock_that_may_be_set_is_looked_at_again_while_the_end_is_far),
		cmocka_unit_test(what_may_be_on_its_way_is_waited_for),
		cmocka_unit_test(a_thread_that_was_held_up_waits_for_what_came_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
