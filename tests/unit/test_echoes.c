/* Which own datagrams are expected back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "data/echoes.h"

static void a_copy_is_expected_once_on_its_interface(void **state)
{
	struct echoes *echoes = echoes_new();

	(void)state;
	assert_non_null(echoes);
	echoes_expect(echoes, "abc", 3, 2, 0);
	assert_false(echoes_take(echoes, "abc", 3, 1, 0));
	assert_false(echoes_take(echoes, "abd", 3, 2, 0));
	assert_true(echoes_take(echoes, "abc", 3, 2, 0));
	assert_false(echoes_take(echoes, "abc", 3, 2, 0));
	free(echoes);
}

static void equal_datagrams_are_counted(void **state)
{
	struct echoes *echoes = echoes_new();

	(void)state;
	for (int i = 0; i < 100; i++)
		echoes_expect(echoes, "", 0, 2, 0);
	for (int i = 0; i < 100; i++)
		assert_true(echoes_take(echoes, "", 0, 2, 0));
	assert_false(echoes_take(echoes, "", 0, 2, 0));
	free(echoes);
}

static void a_copy_that_does_not_arrive_is_forgotten(void **state)
{
	struct echoes *echoes = echoes_new();

	(void)state;
	echoes_expect(echoes, "abc", 3, 2, UINT32_MAX - 1000);
	assert_false(echoes_take(echoes, "abc", 3, 2, 4500));
	echoes_expect(echoes, "abc", 3, 2, 4500);
	assert_true(echoes_take(echoes, "abc", 3, 2, 4500));
	free(echoes);
}

static void many_are_expected_at_once(void **state)
{
	struct echoes *echoes = echoes_new();
	unsigned found = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		echoes_expect(echoes, &i, sizeof(i), 2, 0);
	for (unsigned i = 0; i < 1000; i++)
		found += echoes_take(echoes, &i, sizeof(i), 2, 0);
	assert_int_equal(found, 1000);
	/* More than there is room for: some are not expected, and nothing else is. */
	for (unsigned i = 0; i < 100000; i++)
		echoes_expect(echoes, &i, sizeof(i), 2, 0);
	assert_false(echoes_take(echoes, "other", 5, 2, 0));
	free(echoes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_is_expected_once_on_its_interface),
		cmocka_unit_test(equal_datagrams_are_counted),
		cmocka_unit_test(a_copy_that_does_not_arrive_is_forgotten),
		cmocka_unit_test(many_are_expected_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
