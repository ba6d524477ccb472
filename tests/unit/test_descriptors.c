/* Sockets of groups and handlers leave descriptors for the rest. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/descriptors.h"

#define LIMIT 64

static struct rlimit before;

static int lower_limit(void **state)
{
	struct rlimit limit = {LIMIT, 0};

	(void)state;
	getrlimit(RLIMIT_NOFILE, &before);
	limit.rlim_max = before.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

static int raise_limit(void **state)
{
	(void)state;
	return setrlimit(RLIMIT_NOFILE, &before);
}

static void three_sixteenths_are_reserved_and_never_more_than_some_hundred(void **state)
{
	(void)state;
	assert_int_equal(descriptors_for_sockets(0), 0);
	assert_int_equal(descriptors_for_sockets(LIMIT), LIMIT - 12);
	assert_int_equal(descriptors_for_sockets(1024), 1024 - 192);
	assert_int_equal(descriptors_for_sockets(524288), 524288 - 1536);
}

/* The last of several at once, and of one after the other. */
static void sockets_are_refused_where_only_the_reserved_are_left_and_the_reason_names_the_fix(
	void **state)
{
	unsigned used = descriptors_used(STDERR_FILENO, LIMIT);
	char why[WHY_MAX];

	(void)state;
	assert_true(used > STDERR_FILENO && used < LIMIT / 2);
	assert_int_equal(descriptors_check(LIMIT - 12 - used, why), 0);
	assert_int_equal(descriptors_check(LIMIT - 12 - used + 1, why), -EMFILE);
	assert_non_null(strstr(why, "of 64, the last 12"));
	assert_non_null(strstr(why, "LimitNOFILE="));
}

static void those_that_are_open_count(void **state)
{
	int fds[LIMIT];
	char why[WHY_MAX];
	unsigned count = 0;

	(void)state;
	while (descriptors_check(1, why) == 0)
		fds[count++] = dup(STDERR_FILENO);
	assert_int_equal(fds[count - 1], LIMIT - 12 - 1);
	close(fds[--count]);
	assert_int_equal(descriptors_check(1, why), 0);
	while (count)
		close(fds[--count]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, lower_limit, raise_limit)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(three_sixteenths_are_reserved_and_never_more_than_some_hundred),
		TEST(sockets_are_refused_where_only_the_reserved_are_left_and_the_reason_names_the_fix),
		TEST(those_that_are_open_count),
	};

	return cmocka_run_group_tests_name("descriptors", tests, NULL, NULL);
}
