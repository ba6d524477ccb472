/* Where a listening socket may be made, and what is said where it may not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/listener.h"

#define NOBODY 65534

static char directory[] = "/tmp/mcastd-listener-XXXXXX";
static char path[sizeof(directory) + 8];

static int set_up(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/mcastd-listener-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/socket", directory);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return rmdir(directory);
}

static void a_free_path_is_not_there(void **state)
{
	char why[WHY_MAX];

	(void)state;
	assert_int_equal(listener_check_path(path, SOCK_STREAM, why), -ENOENT);
}

static void a_path_that_may_not_be_reached_is_a_matter_of_permission(void **state)
{
	uid_t user = geteuid();
	char why[WHY_MAX];
	int r;

	(void)state;
	assert_int_equal(chmod(directory, 0), 0);
	if (user == 0 && seteuid(NOBODY) < 0)
		skip();
	r = listener_check_path(path, SOCK_STREAM, why);
	assert_int_equal(seteuid(user), 0);
	assert_int_equal(r, -EACCES);
	assert_non_null(strstr(why, path));
	assert_non_null(strstr(why, "Permission denied"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_free_path_is_not_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_path_that_may_not_be_reached_is_a_matter_of_permission, set_up,
			tear_down),
	};

	return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
