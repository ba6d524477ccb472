/* The list of errors for the person who reads them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/errors.h"

static void lines_are_kept_in_order(void **state)
{
	struct errors errors = {0};

	(void)state;
	errors_add(&errors, "%s:%d: first", "a.conf", 3);
	errors_add(&errors, "second");
	assert_int_equal(errors.count, 2);
	assert_int_equal(errors_total(&errors), 2);
	assert_string_equal(errors.lines[0], "a.conf:3: first");
	assert_string_equal(errors.lines[1], "second");
	errors_clear(&errors);
}

static void lines_may_be_long(void **state)
{
	struct errors errors = {0};

	(void)state;
	errors_add(&errors, "%10000d", 1);
	assert_int_equal(strlen(errors.lines[0]), 10000);
	errors_clear(&errors);
}

static void beyond_the_limit_they_are_only_counted(void **state)
{
	struct errors errors = {0};

	(void)state;
	for (int i = 0; i < ERRORS_MAX + 5; i++)
		errors_add(&errors, "error %d", i);
	assert_int_equal(errors.count, ERRORS_MAX);
	assert_int_equal(errors.omitted, 5);
	assert_int_equal(errors_total(&errors), ERRORS_MAX + 5);
	assert_string_equal(errors.lines[ERRORS_MAX - 1], "error 199");
	errors_clear(&errors);
}

static void a_cleared_list_is_empty_and_usable(void **state)
{
	struct errors errors = {0};

	(void)state;
	errors_clear(&errors);
	errors_add(&errors, "x");
	errors_clear(&errors);
	assert_int_equal(errors_total(&errors), 0);
	errors_add(&errors, "y");
	assert_string_equal(errors.lines[0], "y");
	errors_clear(&errors);
}

static void a_line_that_cannot_be_made_is_not_left_out(void **state)
{
	static const wchar_t no_character[] = {0x7fffffff, 0};
	struct errors errors = {0};

	(void)state;
	errors_add(&errors, "%ls", no_character); /* vasprintf() fails, as it does without memory */
	assert_int_equal(errors.count, 1);
	assert_string_equal(errors.lines[0], "out of memory");
	errors_clear(&errors);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_kept_in_order),
		cmocka_unit_test(lines_may_be_long),
		cmocka_unit_test(beyond_the_limit_they_are_only_counted),
		cmocka_unit_test(a_cleared_list_is_empty_and_usable),
		cmocka_unit_test(a_line_that_cannot_be_made_is_not_left_out),
	};

	return cmocka_run_group_tests_name("errors", tests, NULL, NULL);
}
