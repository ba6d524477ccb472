/* What the rounds of the loop take. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "data/loop_meter.h"

#define SHOWN LOOP_METER_SHOWN_NS

static void rounds_are_counted_and_added_up(void **state)
{
	struct loop_meter meter = {0};

	(void)state;
	loop_meter_begin(&meter, 1000);
	loop_meter_round(&meter, 1010);
	loop_meter_round(&meter, 1040);
	assert_int_equal(meter.rounds, 2);
	assert_int_equal(meter.busy_ns, 40);
	assert_int_equal(loop_meter_longest(&meter, SHOWN), 30);
}

static void what_was_before_it_began_does_not_count(void **state)
{
	struct loop_meter meter = {0};

	(void)state;
	loop_meter_begin(&meter, 5);
	loop_meter_round(&meter, 6);
	loop_meter_begin(&meter, 1000000);
	loop_meter_round(&meter, 1000001);
	assert_int_equal(meter.busy_ns, 2);
}

static void the_longest_round_is_shown_for_a_minute_to_all_and_then_forgotten(void **state)
{
	struct loop_meter meter = {0};

	(void)state;
	loop_meter_round(&meter, 500);
	assert_int_equal(loop_meter_longest(&meter, 1), 500);
	loop_meter_round(&meter, 510);
	assert_int_equal(loop_meter_longest(&meter, 2), 500);
	assert_int_equal(loop_meter_longest(&meter, SHOWN), 500);
	assert_int_equal(loop_meter_longest(&meter, SHOWN + 1), 10);
	assert_int_equal(loop_meter_longest(&meter, 2 * SHOWN + 1), 0);
}

static void no_round_is_missed_when_nobody_asks(void **state)
{
	struct loop_meter meter = {0};

	(void)state;
	loop_meter_longest(&meter, 1);
	loop_meter_round(&meter, 700);
	loop_meter_round(&meter, 701);
	assert_int_equal(loop_meter_longest(&meter, 100 * SHOWN), 700);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rounds_are_counted_and_added_up),
		cmocka_unit_test(what_was_before_it_began_does_not_count),
		cmocka_unit_test(the_longest_round_is_shown_for_a_minute_to_all_and_then_forgotten),
		cmocka_unit_test(no_round_is_missed_when_nobody_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
