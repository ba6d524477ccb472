/* Which causes of a missing connection are logged. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "engines/causes.h"

static void test_causes_that_take_turns_are_new_once(void **state)
{
	struct causes causes = {0};

	(void)state;
	assert_true(engine_causes_add(&causes, "a: refused"));
	assert_true(engine_causes_add(&causes, "b: no route"));
	assert_false(engine_causes_add(&causes, "a: refused"));
	assert_false(engine_causes_add(&causes, "b: no route"));
	engine_causes_forget(&causes);
	assert_true(engine_causes_add(&causes, "a: refused"));
}

static void test_the_time_of_the_clock_makes_no_other_cause(void **state)
{
	struct causes causes = {0};

	(void)state;
	assert_true(engine_causes_add(&causes, "a: has expired; " CLOCK_SAYS "11:59"));
	assert_false(engine_causes_add(&causes, "a: has expired; " CLOCK_SAYS "12:00"));
	assert_true(engine_causes_add(&causes, "b: has expired; " CLOCK_SAYS "12:00"));
}

static void test_more_causes_than_are_told_apart_are_new_now_and_then(void **state)
{
	struct causes causes = {0};
	char text[16];

	(void)state;
	for (unsigned i = 0; i < CAUSES_MAX; i++) {
		snprintf(text, sizeof(text), "%u", i);
		assert_true(engine_causes_add(&causes, text));
	}
	assert_true(engine_causes_add(&causes, "one more"));
	assert_false(engine_causes_add(&causes, "one more"));
	assert_false(engine_causes_add(&causes, "63"));
	/* In the place of "0", which would be news again. */
	assert_false(engine_causes_add(&causes, "0"));
	causes.limit.next_ns = 0;
	assert_true(engine_causes_add(&causes, "0"));
	for (unsigned i = 0; i < 3 * CAUSES_MAX; i++) {
		snprintf(text, sizeof(text), "more %u", i);
		causes.limit.next_ns = 0;
		assert_true(engine_causes_add(&causes, text));
		assert_false(engine_causes_add(&causes, text));
	}
	engine_causes_forget(&causes);
	assert_true(engine_causes_add(&causes, text));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_causes_that_take_turns_are_new_once),
		cmocka_unit_test(test_the_time_of_the_clock_makes_no_other_cause),
		cmocka_unit_test(test_more_causes_than_are_told_apart_are_new_now_and_then),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
