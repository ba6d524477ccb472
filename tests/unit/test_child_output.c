/* What a child writes, on its way to the log: here to a file in place of standard error. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"
#include "child/output.h"

struct fixture {
	struct output_budget budget;
	struct output output;
	int writing;
	int log; /* a file in memory */
	int stderr_before;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	int ends[2];

	if (!fixture || pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0)
		return -1;
	fixture->budget.name = "test";
	fixture->writing = ends[1];
	output_begin(&fixture->output, ends[0], 7, 4);
	fixture->log = memfd_create("log", MFD_CLOEXEC);
	fixture->stderr_before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	*state = fixture;
	return dup2(fixture->log, STDERR_FILENO) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	dup2(fixture->stderr_before, STDERR_FILENO);
	closep(&fixture->stderr_before);
	closep(&fixture->log);
	closep(&fixture->writing);
	closep(&fixture->output.fd);
	free(fixture);
	return 0;
}

static void say(struct fixture *fixture, const char *text)
{
	assert_int_equal(write(fixture->writing, text, strlen(text)), strlen(text));
	output_read(&fixture->output, &fixture->budget);
}

static void assert_log(struct fixture *fixture, const char *expected)
{
	char log[128 * 1024];
	ssize_t n = pread(fixture->log, log, sizeof(log) - 1, 0);

	assert_true(n >= 0);
	log[n] = '\0';
	assert_string_equal(log, expected);
}

#define LINE(text) "handler test: process 7: " text "\n"

static void lines_may_come_in_pieces(void **state)
{
	say(*state, "one\ntw");
	assert_log(*state, LINE("one"));
	say(*state, "o");
	say(*state, "\n\n");
	assert_log(*state, LINE("one") LINE("two") LINE(""));
}

static void the_last_line_needs_no_end(void **state)
{
	struct fixture *fixture = *state;

	say(fixture, "one\ntwo");
	output_end(&fixture->output, &fixture->budget);
	assert_log(fixture, LINE("one") LINE("two"));
	assert_int_equal(fixture->output.fd, -1);
	output_end(&fixture->output, &fixture->budget);
	assert_log(fixture, LINE("one") LINE("two"));
}

static void the_end_of_the_pipe_closes_it(void **state)
{
	struct fixture *fixture = *state;

	say(fixture, "one");
	close(fixture->writing);
	fixture->writing = -1;
	output_read(&fixture->output, &fixture->budget);
	assert_log(fixture, LINE("one"));
	assert_int_equal(fixture->output.fd, -1);
}

static void lines_are_escaped(void **state)
{
	say(*state, "\x1b[31m\xff\r\n");
	assert_log(*state, LINE("\\x1b[31m\\xff\\r"));
}

static void a_long_line_is_cut_and_the_next_one_is_whole(void **state)
{
	AUTO_TEXT struct text line = {0}, expected = {0};

	memset(text_reserve(&line, 3 * OUTPUT_LINE_MAX), 'x', 3 * OUTPUT_LINE_MAX);
	line.length = OUTPUT_LINE_MAX;
	text_printf(&expected, LINE("%s") LINE("%s...") LINE("next"), text_string(&line),
		text_string(&line));
	say(*state, text_string(&line));
	say(*state, "\n");
	line.data[OUTPUT_LINE_MAX] = 'x';
	line.length = 3 * OUTPUT_LINE_MAX;
	say(*state, text_string(&line));
	say(*state, "\nnext\n");
	assert_log(*state, text_string(&expected));
}

static void a_child_has_a_limit_of_lines(void **state)
{
	say(*state, "1\n2\n3\n4\n5\n6\n");
	say(*state, "7\n");
	assert_log(
		*state, LINE("1") LINE("2") LINE("3") LINE("4") LINE("discarding further output"));
}

static void a_handler_has_one_in_each_period(void **state)
{
	struct fixture *fixture = *state;
	AUTO_TEXT struct text expected = {0};

	fixture->output.lines_max = 0;
	for (int i = 0; i < OUTPUT_PERIOD_LINES + 3; i++)
		say(fixture, "x\n");
	for (int i = 0; i < OUTPUT_PERIOD_LINES; i++)
		text_append_string(&expected, LINE("x"));
	text_append_string(&expected,
		"handler test: discarding further output, it was 640 lines in 10 seconds\n");
	assert_log(fixture, text_string(&expected));
	fixture->budget.period_end_ns = 1; /* long ago */
	say(fixture, "y\n");
	text_append_string(&expected, LINE("y"));
	assert_log(fixture, text_string(&expected));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lines_may_come_in_pieces),
		TEST(the_last_line_needs_no_end),
		TEST(the_end_of_the_pipe_closes_it),
		TEST(lines_are_escaped),
		TEST(a_long_line_is_cut_and_the_next_one_is_whole),
		TEST(a_child_has_a_limit_of_lines),
		TEST(a_handler_has_one_in_each_period),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
