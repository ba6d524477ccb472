/* Files of passwords and keys: where they are looked for, and what is said of those that cannot be
 * used. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engines/secrets.h"

struct fixture {
	char directory[32], path[48];
	char why[WHY_MAX];
	char *result;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	strcpy(fixture->directory, "/tmp/test_secrets.XXXXXX");
	*state = fixture;
	unsetenv("CREDENTIALS_DIRECTORY");
	if (!mkdtemp(fixture->directory))
		return -1;
	snprintf(fixture->path, sizeof(fixture->path), "%s/file", fixture->directory);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	unlink(fixture->path);
	rmdir(fixture->directory);
	free(fixture->result);
	free(fixture);
	return 0;
}

static void write_file(struct fixture *fixture, const void *data, size_t size)
{
	FILE *file = fopen(fixture->path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static void assert_secret(struct fixture *fixture, const char *file, const char *expected)
{
	assert_int_equal(engine_read_secret(file, fixture->why, &fixture->result), 0);
	assert_string_equal(fixture->result, expected);
	free(fixture->result);
	fixture->result = NULL;
}

static void a_line_is_read_without_its_end(void **state)
{
	struct fixture *fixture = *state;

	write_file(fixture, "s3cret", 6);
	assert_secret(fixture, fixture->path, "s3cret");
	write_file(fixture, "s3cret\n", 7);
	assert_secret(fixture, fixture->path, "s3cret");
	write_file(fixture, " two words \r\n", 13);
	assert_secret(fixture, fixture->path, " two words ");
}

static void a_relative_path_is_a_credential(void **state)
{
	struct fixture *fixture = *state;

	setenv("CREDENTIALS_DIRECTORY", fixture->directory, 1);
	write_file(fixture, "s3cret\n", 7);
	assert_secret(fixture, "file", "s3cret");
	assert_int_equal(engine_find_file("file", fixture->why, &fixture->result), 0);
	assert_string_equal(fixture->result, fixture->path);
}

static void a_credential_that_is_missing_is_named_with_what_passes_it_on(void **state)
{
	struct fixture *fixture = *state;

	setenv("CREDENTIALS_DIRECTORY", "/nonexistent", 1);
	assert_int_equal(engine_find_file("hq", fixture->why, &fixture->result), -ENOENT);
	assert_string_equal(fixture->why,
		"/nonexistent/hq: No such file or directory: give the service "
		"LoadCredential=hq:FILE, or write a path that begins with /");
}

static void without_credentials_a_relative_path_is_refused(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(engine_find_file("hq", fixture->why, &fixture->result), -ENOENT);
	assert_string_equal(fixture->why,
		"hq: is relative to $CREDENTIALS_DIRECTORY, which is not set: give the service "
		"LoadCredential=hq:FILE, or write a path that begins with /");
	assert_null(fixture->result);
}

static void a_file_that_is_missing_is_named(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(
		engine_read_secret("/nonexistent/file", fixture->why, &fixture->result), -ENOENT);
	assert_string_equal(fixture->why, "/nonexistent/file: No such file or directory");
}

static void more_or_less_than_a_line_is_refused_and_not_shown(void **state)
{
	static const struct {
		const char *data;
		size_t size;
	} bad[] = {{"", 0}, {"\n", 1}, {"s3cret\ns3cret\n", 14}, {"s3c\0ret\n", 8}, {"s3cret\0", 7},
		{"s3cret\n\0", 8}};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		write_file(fixture, bad[i].data, bad[i].size);
		assert_int_equal(
			engine_read_secret(fixture->path, fixture->why, &fixture->result), -EINVAL);
		assert_non_null(strstr(fixture->why, "must have one line of at most 4095 bytes"));
		assert_null(strstr(fixture->why, "s3c"));
		assert_null(fixture->result);
	}
}

static void a_long_line_is_read_up_to_the_limit(void **state)
{
	struct fixture *fixture = *state;
	char line[4096];

	memset(line, 'x', sizeof(line));
	write_file(fixture, line, 4095);
	assert_int_equal(engine_read_secret(fixture->path, fixture->why, &fixture->result), 0);
	assert_int_equal(strlen(fixture->result), 4095);
	write_file(fixture, line, 4096);
	free(fixture->result);
	fixture->result = NULL;
	assert_int_equal(
		engine_read_secret(fixture->path, fixture->why, &fixture->result), -EINVAL);
}

/* Opening one to read would wait for its writer. */
static void a_named_pipe_is_refused_at_once(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(mkfifo(fixture->path, 0600), 0);
	assert_int_equal(
		engine_read_secret(fixture->path, fixture->why, &fixture->result), -EINVAL);
	assert_non_null(strstr(fixture->why, "is no regular file"));
}

static void a_directory_is_refused(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(
		engine_find_file(fixture->directory, fixture->why, &fixture->result), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_line_is_read_without_its_end),
		TEST(a_relative_path_is_a_credential),
		TEST(a_credential_that_is_missing_is_named_with_what_passes_it_on),
		TEST(without_credentials_a_relative_path_is_refused),
		TEST(a_file_that_is_missing_is_named),
		TEST(more_or_less_than_a_line_is_refused_and_not_shown),
		TEST(a_long_line_is_read_up_to_the_limit),
		TEST(a_named_pipe_is_refused_at_once),
		TEST(a_directory_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
