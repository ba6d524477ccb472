/* The growable run of bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"

static void empty_text_is_an_empty_string(void **state)
{
	struct text text = {0};

	(void)state;
	assert_string_equal(text_string(&text), "");
	assert_int_equal(text.length, 0);
	text_free(&text);
}

static void appending_keeps_every_byte_in_order(void **state)
{
	struct text text = {0};

	(void)state;
	for (unsigned i = 0; i < 100000; i++)
		text_append(&text, &(uint8_t){(uint8_t)i}, 1);
	assert_int_equal(text.length, 100000);
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal((uint8_t)text.data[i], (uint8_t)i);
	text_free(&text);
}

static void appending_nothing_is_harmless(void **state)
{
	struct text text = {0};

	(void)state;
	text_append(&text, NULL, 0);
	text_append_string(&text, "");
	text_printf(&text, "%s", "");
	assert_int_equal(text.length, 0);
	assert_false(text_failed(&text));
	text_free(&text);
}

static void room_for_nothing_is_no_failure(void **state)
{
	struct text text = {0};

	(void)state;
	assert_non_null(text_reserve(&text, 0));
	assert_false(text_failed(&text));
	text_free(&text);
}

static void only_one_is_singular(void **state)
{
	(void)state;
	assert_string_equal(plural(0), "s");
	assert_string_equal(plural(1), "");
	assert_string_equal(plural(2), "s");
}

static void printing_appends_without_a_terminator_in_the_length(void **state)
{
	struct text text = {0};

	(void)state;
	text_printf(&text, "%d-%s", 42, "x");
	text_append_string(&text, "!");
	assert_int_equal(text.length, 5);
	assert_string_equal(text_string(&text), "42-x!");
	text_free(&text);
}

static void printing_grows_as_needed(void **state)
{
	struct text text = {0};

	(void)state;
	text_printf(&text, "%5000d", 7);
	assert_int_equal(text.length, 5000);
	assert_int_equal(text.data[4999], '7');
	text_free(&text);
}

static void taking_the_string_does_not_change_the_length(void **state)
{
	struct text text = {0};

	(void)state;
	text_append_string(&text, "abc");
	assert_string_equal(text_string(&text), "abc");
	assert_int_equal(text.length, 3);
	text_append_string(&text, "def");
	assert_string_equal(text_string(&text), "abcdef");
	text_free(&text);
}

static void reserved_room_is_where_the_text_goes_on(void **state)
{
	struct text text = {0};
	char *room;

	(void)state;
	text_append_string(&text, "abc");
	room = text_reserve(&text, 1000);
	memset(room, 'x', 1000);
	text.length += 1000;
	assert_memory_equal(text.data, "abcx", 4);
	assert_int_equal(text.data[1002], 'x');
	text_free(&text);
}

static void clearing_keeps_the_memory(void **state)
{
	struct text text = {0};
	char *data;

	(void)state;
	text_append_string(&text, "abc");
	data = text.data;
	text_clear(&text);
	assert_int_equal(text.length, 0);
	text_append_string(&text, "d");
	assert_ptr_equal(text.data, data);
	assert_string_equal(text_string(&text), "d");
	text_free(&text);
}

static void failure_is_sticky_and_loses_no_earlier_byte(void **state)
{
	struct text text = {0};

	(void)state;
	text_append_string(&text, "abc");
	text.failed = true;
	text_append_string(&text, "def");
	text_printf(&text, "%d", 1);
	assert_true(text_failed(&text));
	assert_int_equal(text.length, 3);
	assert_memory_equal(text.data, "abc", 3);
	assert_string_equal(text_string(&text), "");
	text_free(&text);
}

static void freed_text_can_be_used_again(void **state)
{
	struct text text = {0};

	(void)state;
	text_append_string(&text, "abc");
	text_free(&text);
	text_append_string(&text, "d");
	assert_string_equal(text_string(&text), "d");
	text_free(&text);
	text_free(&text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_text_is_an_empty_string),
		cmocka_unit_test(appending_keeps_every_byte_in_order),
		cmocka_unit_test(appending_nothing_is_harmless),
		cmocka_unit_test(room_for_nothing_is_no_failure),
		cmocka_unit_test(only_one_is_singular),
		cmocka_unit_test(printing_appends_without_a_terminator_in_the_length),
		cmocka_unit_test(printing_grows_as_needed),
		cmocka_unit_test(taking_the_string_does_not_change_the_length),
		cmocka_unit_test(reserved_room_is_where_the_text_goes_on),
		cmocka_unit_test(clearing_keeps_the_memory),
		cmocka_unit_test(failure_is_sticky_and_loses_no_earlier_byte),
		cmocka_unit_test(freed_text_can_be_used_again),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
