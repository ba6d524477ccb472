/* Reading whole files, and the numbers of sysctls. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"

static char path[64]; /* of a file in memory */
static int fd;

static int begin(void **state)
{
	(void)state;
	fd = memfd_create("test", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return fd < 0;
}

static int end(void **state)
{
	(void)state;
	return close(fd);
}

static void fill(const char *string)
{
	assert_int_equal(write(fd, string, strlen(string)), strlen(string));
}

static void a_file_is_appended_up_to_its_end(void **state)
{
	AUTO_TEXT struct text text = {0};

	(void)state;
	for (int i = 0; i < 20000; i++)
		fill("0123456789");
	text_append_string(&text, "before ");
	assert_int_equal(read_file(path, SIZE_MAX, &text), 0);
	assert_int_equal(text.length, 200007);
	assert_memory_equal(text.data, "before 0123456789", 17);
}

static void a_file_that_is_too_long_is_refused(void **state)
{
	AUTO_TEXT struct text text = {0}, other = {0};

	(void)state;
	fill("12345");
	assert_int_equal(read_file(path, 4, &text), -EFBIG);
	assert_int_equal(read_file(path, 5, &other), 0);
}

static void a_file_that_is_missing_says_so(void **state)
{
	AUTO_TEXT struct text text = {0};

	(void)state;
	assert_int_equal(read_file("/nowhere/at-all", 5, &text), -ENOENT);
	assert_int_equal(read_file("/", 5, &text), -EISDIR);
}

static void a_number_is_what_a_file_begins_with(void **state)
{
	(void)state;
	assert_int_equal(read_number(path, 7), 7);
	assert_int_equal(read_number("/nowhere/at-all", 7), 7);
	fill("-12\n13");
	assert_int_equal(read_number(path, 7), -12);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_file_is_appended_up_to_its_end, begin, end),
		cmocka_unit_test_setup_teardown(a_file_that_is_too_long_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(a_file_that_is_missing_says_so, begin, end),
		cmocka_unit_test_setup_teardown(a_number_is_what_a_file_begins_with, begin, end),
	};

	return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
