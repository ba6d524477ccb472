/* What is due first. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/deadlines.h"

#define COUNT 1000

static uint64_t any(size_t i)
{
	return i * 7919 % COUNT;
}

/* Takes all of them, and returns their number. */
static size_t assert_in_order(struct deadlines *deadlines)
{
	uint64_t before = 0;
	size_t count = 0;

	for (struct deadline *first; (first = deadlines_first(deadlines)); count++) {
		assert_true(first->due_ns >= before);
		before = first->due_ns;
		deadlines_remove(deadlines, first);
	}
	return count;
}

static void the_first_is_the_earliest_of_all_that_are_left(void **state)
{
	static struct deadline items[COUNT];
	struct deadlines deadlines = {0};

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		items[i].due_ns = any(i);
		assert_int_equal(deadlines_add(&deadlines, &items[i]), 0);
	}
	for (size_t i = 0; i < COUNT; i += 3)
		deadlines_remove(&deadlines, &items[i]);
	for (size_t i = 1; i < COUNT; i += 3) {
		items[i].due_ns = any(i + 5);
		deadlines_move(&deadlines, &items[i]);
	}
	assert_int_equal(assert_in_order(&deadlines), COUNT - (COUNT + 2) / 3);
	free(deadlines.items);
}

static void a_copy_takes_the_place_of_what_it_is_a_copy_of(void **state)
{
	struct deadline items[] = {{.due_ns = 5}, {.due_ns = 1}, {.due_ns = 3}}, copy;
	struct deadlines deadlines = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(items); i++)
		assert_int_equal(deadlines_add(&deadlines, &items[i]), 0);
	copy = items[1];
	deadlines_replace(&deadlines, &copy);
	assert_ptr_equal(deadlines_first(&deadlines), &copy);
	assert_int_equal(assert_in_order(&deadlines), 3);
	free(deadlines.items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_is_the_earliest_of_all_that_are_left),
		cmocka_unit_test(a_copy_takes_the_place_of_what_it_is_a_copy_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
