/* net/told: each address is told once, and one a minute. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "net/told.h"

#define MINUTE (60 * NS_PER_S)

static struct address numbered(unsigned number)
{
	return (struct address){.family = AF_INET, .v4.s_addr = htonl(0xc0000200 + number)};
}

static bool is_new(struct told *told, unsigned number, uint64_t now)
{
	struct address address = numbered(number);

	return told_is_new(told, &address, now);
}

static void each_is_told_once(void **state)
{
	struct told told = {0};

	(void)state;
	assert_true(is_new(&told, 1, 0));
	assert_false(is_new(&told, 1, 10 * MINUTE));
	assert_true(is_new(&told, 2, 10 * MINUTE));
}

static void another_one_waits_for_a_minute(void **state)
{
	struct told told = {0};

	(void)state;
	assert_true(is_new(&told, 1, 0));
	assert_false(is_new(&told, 2, MINUTE - 1));
	assert_true(is_new(&told, 2, MINUTE));
}

static void many_are_told_again_after_an_hour(void **state)
{
	struct told told = {0};
	uint64_t now = 0;

	(void)state;
	for (unsigned i = 0; i < TOLD_MAX; i++, now += MINUTE)
		assert_true(is_new(&told, i, now));
	now -= MINUTE;
	assert_false(is_new(&told, TOLD_MAX, now + 60 * MINUTE - 1));
	assert_true(is_new(&told, TOLD_MAX, now + 60 * MINUTE));
	assert_true(is_new(&told, 0, now + 61 * MINUTE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_told_once),
		cmocka_unit_test(another_one_waits_for_a_minute),
		cmocka_unit_test(many_are_told_again_after_an_hour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
