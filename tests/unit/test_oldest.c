/* Since when the oldest of what was taken from a queue waits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "data/oldest.h"

static void the_oldest_is_that_of_the_first_portion_that_is_not_settled(void **state)
{
	struct oldest oldest = {0};

	(void)state;
	assert_int_equal(oldest_since_ns(&oldest), 0);
	oldest_take(&oldest, 3, 100);
	oldest_take(&oldest, 1, 200);
	oldest_settle(&oldest, 2);
	assert_int_equal(oldest_since_ns(&oldest), 100);
	oldest_settle(&oldest, 1);
	assert_int_equal(oldest_since_ns(&oldest), 200);
	oldest_settle(&oldest, 0);
	assert_int_equal(oldest_since_ns(&oldest), 200);
	oldest_settle(&oldest, 1);
	assert_int_equal(oldest_since_ns(&oldest), 0);
}

static void portions_of_one_time_take_one_place(void **state)
{
	struct oldest oldest = {0};

	(void)state;
	oldest_take(&oldest, 1, 100);
	for (unsigned i = 0; i < 10 * OLDEST_MAX; i++)
		oldest_take(&oldest, 1, 200);
	oldest_take(&oldest, 1, 300);
	assert_int_equal(oldest.count, 3);
	oldest_settle(&oldest, 1 + 10 * OLDEST_MAX - 1);
	assert_int_equal(oldest_since_ns(&oldest), 200);
	oldest_settle(&oldest, 1);
	assert_int_equal(oldest_since_ns(&oldest), 300);
}

/* Never too young, and never older than what was taken. */
static void of_many_portions_the_time_is_at_most_too_old(void **state)
{
	struct oldest oldest = {0};
	uint64_t first = 1;

	(void)state;
	for (uint64_t i = 1; i <= 100000; i++) {
		oldest_take(&oldest, 1, i);
		assert_true(oldest_since_ns(&oldest) == 1);
	}
	for (uint64_t i = 1; i < 100000; i++) {
		uint64_t since;

		oldest_settle(&oldest, 1);
		since = oldest_since_ns(&oldest);
		assert_true(since >= first && since <= i + 1);
		first = since;
	}
	oldest_settle(&oldest, 1);
	assert_int_equal(oldest_since_ns(&oldest), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_oldest_is_that_of_the_first_portion_that_is_not_settled),
		cmocka_unit_test(portions_of_one_time_take_one_place),
		cmocka_unit_test(of_many_portions_the_time_is_at_most_too_old),
	};

	return cmocka_run_group_tests_name("oldest", tests, NULL, NULL);
}
