#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/counters.h"
#include "range.h"

#define MANY 5000

static struct counters *open_counters(int fd)
{
	struct counters *counters;

	assert_int_equal(counters_open(fd, &counters), 0);
	return counters;
}

/* Ends a run, and begins the next one with what it leaves. */
static struct counters *open_next(struct counters *counters)
{
	int fd = dup(counters_fd(counters));

	counters_free(counters);
	return open_counters(fd);
}

static uint64_t *take_named(
	struct counters *counters, const char *what, unsigned number, size_t size)
{
	char key[40];

	snprintf(key, sizeof(key), "%s %u", what, number);
	return counters_take(counters, key, size, 0);
}

static void a_record_begins_with_zeros(void **state)
{
	struct counters *counters = open_counters(-1);
	uint64_t *record = counters_take(counters, "group news", 24, 0);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(record[i], 0);
	counters_free(counters);
}

static void the_next_run_goes_on_where_the_last_one_was(void **state)
{
	struct counters *counters = open_counters(-1);

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		*take_named(counters, "group", i, 72) = i;
		*take_named(counters, "handler", i, 200) = MANY + i;
	}
	counters = open_next(counters);
	for (unsigned i = MANY; i-- > 0;) {
		assert_int_equal(*take_named(counters, "handler", i, 200), MANY + i);
		assert_int_equal(*take_named(counters, "group", i, 72), i);
	}
	assert_int_equal(*take_named(counters, "group", MANY, 72), 0);
	counters_free(counters);
}

static void what_nobody_takes_is_forgotten(void **state)
{
	struct counters *counters = open_counters(-1);

	(void)state;
	*take_named(counters, "group", 1, 72) = 1;
	*take_named(counters, "group", 2, 72) = 2;
	counters = open_next(counters);
	assert_int_equal(*take_named(counters, "group", 2, 72), 2);
	counters_settle(counters);
	counters = open_next(counters);
	assert_int_equal(*take_named(counters, "group", 1, 72), 0);
	assert_int_equal(*take_named(counters, "group", 2, 72), 2);
	counters_free(counters);
}

static void what_was_released_restarts_from_zero_and_takes_no_more_memory(void **state)
{
	struct counters *counters = open_counters(-1);
	struct stat before, after;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		*take_named(counters, "group", i, 72) = 1;
	fstat(counters_fd(counters), &before);
	for (unsigned i = 0; i < 20 * MANY; i++) {
		uint64_t *record = take_named(counters, "other", i, 72);

		assert_int_equal(*record, 0);
		*record = 1;
		counters_release(counters, record);
	}
	fstat(counters_fd(counters), &after);
	assert_in_range(
		after.st_blocks * 512, before.st_blocks * 512, before.st_blocks * 512 + 65536);
	counters_free(counters);
}

static void a_record_of_another_size_is_not_taken(void **state)
{
	struct counters *counters = open_counters(-1);

	(void)state;
	*take_named(counters, "group", 1, 72) = 1;
	counters = open_next(counters);
	assert_int_equal(*take_named(counters, "group", 1, 80), 0);
	counters_settle(counters);
	counters_free(counters);
}

COUNTERS_RECORD(plain, { uint64_t received, sent; });
COUNTERS_RECORD(commented, {
	uint64_t received, /* in all */
		sent; /* in all */
});
COUNTERS_RECORD(swapped, { uint64_t sent, received; });
COUNTERS_RECORD(renamed, { uint64_t received, sent_bytes; });
COUNTERS_RECORD(retyped, { int64_t received, sent; });

static void the_layout_of_a_record_is_that_of_its_members(void **state)
{
	(void)state;
	assert_true(plain_members() == commented_members());
	assert_true(plain_members() != swapped_members());
	assert_true(plain_members() != renamed_members());
	assert_true(plain_members() != retyped_members());
}

static void a_record_of_another_layout_is_not_taken(void **state)
{
	struct counters *counters = open_counters(-1);
	struct plain *record = counters_take(counters, "group", sizeof(*record), plain_members());

	(void)state;
	record->received = 7;
	counters = open_next(counters);
	record = counters_take(counters, "group", sizeof(*record), swapped_members());
	assert_int_equal(record->received, 0);
	record = counters_take(counters, "group", sizeof(*record), plain_members());
	assert_int_equal(record->received, 7);
	counters_settle(counters);
	counters_free(counters);
}

static void at_the_stop_nothing_is_forgotten(void **state)
{
	struct counters *counters = open_counters(-1);
	uint64_t *record = take_named(counters, "group", 1, 72);

	(void)state;
	*record = 7;
	counters_freeze(counters);
	counters_release(counters, record);
	counters = open_next(counters);
	assert_int_equal(*take_named(counters, "group", 1, 72), 7);
	counters_free(counters);
}

static void memory_that_is_not_ours_is_refused(void **state)
{
	static const char garbage[8192] = "something else";
	struct counters *counters;
	int fd = memfd_create("test", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(write(fd, garbage, sizeof(garbage)), sizeof(garbage));
	assert_int_equal(counters_open(fd, &counters), -EPROTO);
	fd = memfd_create("test", MFD_CLOEXEC);
	assert_int_equal(counters_open(fd, &counters), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_begins_with_zeros),
		cmocka_unit_test(the_next_run_goes_on_where_the_last_one_was),
		cmocka_unit_test(what_nobody_takes_is_forgotten),
		cmocka_unit_test(what_was_released_restarts_from_zero_and_takes_no_more_memory),
		cmocka_unit_test(a_record_of_another_size_is_not_taken),
		cmocka_unit_test(the_layout_of_a_record_is_that_of_its_members),
		cmocka_unit_test(a_record_of_another_layout_is_not_taken),
		cmocka_unit_test(at_the_stop_nothing_is_forgotten),
		cmocka_unit_test(memory_that_is_not_ours_is_refused),
	};

	return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
