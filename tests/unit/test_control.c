/* Opening the control socket without memory. Its source is part of this program, with a calloc()
 * that fails. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static void *no_memory(size_t count, size_t size)
{
	(void)count, (void)size;
	return NULL;
}

#define calloc no_memory
#include "control/control.c"

static void test_without_memory_the_reason_says_so(void **state)
{
	struct control *control = NULL;
	char why[WHY_MAX] = "";

	(void)state;
	assert_int_equal(control_new(NULL, NULL, "/nowhere", 0, why, &control), -ENOMEM);
	assert_string_equal(why, "out of memory");
	assert_null(control);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_memory_the_reason_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
