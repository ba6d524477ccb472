#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>

#include "base/clock.h"
#include "net/portions.h"

static struct event_base *base;
static struct portions portions;
static unsigned left, done;

/* A step of a millisecond. */
static bool step(void *argument)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + NS_PER_MS;

	assert_ptr_equal(argument, &left);
	while (clock_ns(CLOCK_MONOTONIC) < end)
		;
	done++;
	return --left;
}

static int set_up(void **state)
{
	(void)state;
	base = event_base_new();
	portions_init(&portions, base, step, &left);
	done = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	portions_stop(&portions);
	event_base_free(base);
	return 0;
}

static void what_is_short_is_done_at_once(void **state)
{
	(void)state;
	left = 1;
	portions_start(&portions);
	assert_int_equal(done, 1);
	assert_int_equal(event_base_dispatch(base), 1); /* nothing is left to do */
}

static void what_is_long_is_done_in_the_loop(void **state)
{
	unsigned at_once;

	(void)state;
	left = 100;
	portions_start(&portions);
	at_once = done;
	assert_in_range(at_once, 1, 10);
	portions_start(&portions); /* changes nothing */
	assert_int_equal(done, at_once);
	event_base_loop(base, EVLOOP_ONCE);
	assert_in_range(done, at_once + 1, at_once + 10);
	event_base_dispatch(base);
	assert_int_equal(done, 100);
}

static void it_can_begin_again(void **state)
{
	(void)state;
	for (int i = 1; i <= 3; i++) {
		left = 10;
		portions_start(&portions);
		event_base_dispatch(base);
		assert_int_equal(done, i * 10);
	}
}

static void nothing_is_done_after_the_stop(void **state)
{
	unsigned before;

	(void)state;
	left = 100;
	portions_start(&portions);
	before = done;
	portions_stop(&portions);
	event_base_dispatch(base);
	assert_int_equal(done, before);
}

static void one_that_was_never_begun_can_be_stopped(void **state)
{
	struct portions none = {0};

	(void)state;
	portions_stop(&none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_short_is_done_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_long_is_done_in_the_loop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_can_begin_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_done_after_the_stop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			one_that_was_never_begun_can_be_stopped, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
