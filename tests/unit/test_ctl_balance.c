/* The arithmetic of "mcastctl stats --check". */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "ctl/balance.h"

static json_t *some_handler(
	json_int_t received, json_int_t filtered, json_int_t delivered, json_int_t queued)
{
	json_t *handler = json_pack("{s:s, s:I, s:I, s:I, s:{s:i, s:i}, s:I}", "name", "archive",
		"received", received, "filtered", filtered, "delivered", delivered, "dropped",
		"full", 3, "rate", 4, "queued", queued);

	assert_non_null(handler);
	return handler;
}

static void assert_holds(json_int_t received, json_int_t filtered, json_int_t delivered,
	json_int_t queued, bool expected)
{
	json_t *handler = some_handler(received, filtered, delivered, queued);
	struct balance balance;

	assert_int_equal(balance_read(handler, &balance), 0);
	assert_int_equal(balance.dropped, 7);
	assert_int_equal(balance_holds(&balance), expected);
	json_decref(handler);
}

static void every_reason_and_what_is_queued_counts(void **state)
{
	(void)state;
	assert_holds(7, 0, 0, 0, true);
	assert_holds(10, 1, 1, 1, true);
	assert_holds(INT64_MAX, INT64_MAX - 9, 1, 1, true);
}

static void one_too_many_or_too_few_shows(void **state)
{
	(void)state;
	assert_holds(9, 1, 1, 1, false);
	assert_holds(11, 1, 1, 1, false);
	assert_holds(0, 0, 0, 0, false);
}

static void the_numbers_are_explained(void **state)
{
	json_t *handler = some_handler(100, 10, 80, 2);
	struct balance balance;
	struct text text = {0};

	(void)state;
	assert_int_equal(balance_read(handler, &balance), 0);
	balance_explain(&text, &balance);
	assert_string_equal(text_string(&text), "archive: received 100, but filtered 10 + "
						"delivered 80 + dropped 7 + queued 2 = 99");
	text_free(&text);
	json_decref(handler);
}

static void assert_unreadable(const char *key, json_t *value)
{
	json_t *handler = some_handler(7, 0, 0, 0);
	struct balance balance;

	if (value)
		json_object_set_new(handler, key, value);
	else
		json_object_del(handler, key);
	assert_int_equal(balance_read(handler, &balance), -EBADMSG);
	json_decref(handler);
}

static void a_missing_number_is_no_zero(void **state)
{
	(void)state;
	assert_unreadable("name", NULL);
	assert_unreadable("received", NULL);
	assert_unreadable("queued", NULL);
	assert_unreadable("dropped", NULL);
	assert_unreadable("delivered", json_string("0"));
	assert_unreadable("dropped", json_integer(7));
	assert_unreadable("dropped", json_pack("{s:s}", "full", "7"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reason_and_what_is_queued_counts),
		cmocka_unit_test(one_too_many_or_too_few_shows),
		cmocka_unit_test(the_numbers_are_explained),
		cmocka_unit_test(a_missing_number_is_no_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
