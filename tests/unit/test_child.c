/* Programs: their environment, starting, watching and ending them. What the daemon makes of it is
 * in tests/net. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "config/config.h"
#include "child/child.h"
#include "child/environment.h"
#include "child/trust.h"
#include "range.h"

#define LIMIT_NS (15 * NS_PER_S)

struct fixture {
	struct program program;
	struct child child;
	int input;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	fixture->program.epoll = -1;
	fixture->input = open("/dev/null", O_RDONLY | O_CLOEXEC);
	*state = fixture;
	return fixture->input < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	program_close(&fixture->program);
	closep(&fixture->input);
	free(fixture);
	return 0;
}

/* Starts a shell with a script. */
static int start(struct fixture *fixture, const char *shell, const char *script)
{
	static char *const environment[] = {"PATH=/usr/bin:/bin", NULL};
	struct string_list command = {0};

	assert_int_equal(string_list_add(&command, shell), 0);
	assert_int_equal(string_list_add(&command, "-c"), 0);
	assert_int_equal(string_list_add(&command, script), 0);
	assert_int_equal(program_open(&fixture->program, "test", &command, 64), 0);
	string_list_clear(&command);
	return child_start(
		&fixture->child, &fixture->program, environment, fixture->input, fixture);
}

/* Serves the child until it is over. Returns its status. */
static int serve(struct fixture *fixture)
{
	uint64_t limit = clock_ns(CLOCK_MONOTONIC) + LIMIT_NS;
	int status = -1;

	while (!child_step(&fixture->child, &fixture->program, &status)) {
		assert_true(clock_ns(CLOCK_MONOTONIC) < limit);
		program_wait(
			&fixture->program, fixture->child.due_ns ? fixture->child.due_ns : limit);
	}
	assert_int_equal(fixture->child.pid, 0);
	assert_int_equal(fixture->child.watch, -1);
	assert_int_equal(fixture->child.output.fd, -1);
	/* Nothing is left to be waited for. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	return status;
}

static void assert_end(void **state, const char *script, enum child_end end, const char *words)
{
	char string[CHILD_STATUS_MAX];
	int status;

	assert_int_equal(start(*state, "/bin/sh", script), 0);
	status = serve(*state);
	assert_int_equal(child_end(status), end);
	assert_string_equal(child_status(status, string), words);
}

static void an_exit_with_0(void **state)
{
	assert_end(state, "exit 0", CHILD_EXITED_0, "exited with status 0");
}

static void an_exit_with_another_status(void **state)
{
	assert_end(state, "exit 255", CHILD_EXITED_OTHER, "exited with status 255");
}

static void an_end_by_a_signal(void **state)
{
	assert_end(state, "kill -ABRT $$", CHILD_SIGNALLED, "was ended by SIGABRT");
}

static void an_end_by_a_signal_without_a_name(void **state)
{
	assert_end(state, "kill -40 $$", CHILD_SIGNALLED, "was ended by signal 40");
}

static void a_program_that_is_not_there_leaves_nothing_open(void **state)
{
	int before = dup(0), after;

	close(before);
	assert_int_equal(start(*state, "/nonexistent", ""), -ENOENT);
	program_close(&((struct fixture *)*state)->program);
	((struct fixture *)*state)->program = (struct program){.epoll = -1};
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
}

static void signals_that_the_daemon_blocks_or_ignores_work(void **state)
{
	sigset_t all, before;

	signal(SIGPIPE, SIG_IGN);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	assert_end(state, "kill -PIPE $$; exit 0", CHILD_SIGNALLED, "was ended by SIGPIPE");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void whoever_ends_at_sigterm_is_over_at_once(void **state)
{
	struct fixture *fixture = *state;
	uint64_t kill_ns = clock_ns(CLOCK_MONOTONIC) + 3 * NS_PER_S;
	int status;

	assert_int_equal(start(fixture, "/bin/sh", "kill -STOP $$; exit 3"), 0);
	child_terminate(&fixture->child, kill_ns);
	status = serve(fixture);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	assert_true(clock_ns(CLOCK_MONOTONIC) < kill_ns);
}

static void what_it_leaves_behind_with_the_output_open_has_the_time_until_it_is_killed(void **state)
{
	struct fixture *fixture = *state;
	uint64_t kill_ns;
	int status;

	assert_int_equal(
		start(fixture, "/bin/sh", "(trap '' TERM; echo ready; sleep 100) & wait"), 0);
	while (!fixture->child.output.lines) {
		program_wait(&fixture->program, clock_ns(CLOCK_MONOTONIC) + LIMIT_NS);
		assert_false(child_step(&fixture->child, &fixture->program, &status));
	}
	kill_ns = clock_ns(CLOCK_MONOTONIC) + 300 * NS_PER_MS;
	child_terminate(&fixture->child, kill_ns);
	status = serve(fixture);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	assert_true(clock_ns(CLOCK_MONOTONIC) >= kill_ns);
}

static void whoever_does_not_is_killed(void **state)
{
	struct fixture *fixture = *state;
	int status;

	assert_int_equal(
		start(fixture, "/bin/sh", "trap '' TERM; echo ready; while :; do sleep 0.01; done"),
		0);
	while (!fixture->child.output.lines) {
		program_wait(&fixture->program, clock_ns(CLOCK_MONOTONIC) + LIMIT_NS);
		assert_false(child_step(&fixture->child, &fixture->program, &status));
	}
	child_terminate(&fixture->child, clock_ns(CLOCK_MONOTONIC) + 100 * NS_PER_MS);
	status = serve(fixture);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void what_is_left_behind_is_waited_for_while_it_has_the_output(void **state)
{
	struct fixture *fixture = *state;
	uint64_t began = clock_ns(CLOCK_MONOTONIC);

	assert_int_equal(start(fixture, "/bin/sh", "sleep 0.2 & exit 0"), 0);
	assert_int_equal(serve(fixture), 0);
	assert_true(clock_ns(CLOCK_MONOTONIC) - began >= 200 * NS_PER_MS);
}

static void times_for_the_end(void **state)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), far = now + 60 * NS_PER_S;

	(void)state;
	assert_int_equal(child_input_ns(far), far - 2 * CHILD_GRACE_NS);
	assert_int_equal(child_input_ns(0), 0);
	assert_int_equal(child_term_ns(far), far - CHILD_GRACE_NS);
	assert_int_equal(child_term_ns(0), 0);
	assert_int_equal(child_kill_ns(far), far);
	assert_in_range(child_kill_ns(0), now + NS_PER_S / 2, now + NS_PER_S);
}

static void a_short_end_is_shared_by_its_steps(void **state)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), near = now + 900 * NS_PER_MS;

	(void)state;
	assert_in_range(child_input_ns(near), now + 300 * NS_PER_MS, near);
	assert_in_range(child_term_ns(near), now + 450 * NS_PER_MS, near);
}

static void the_environment_is_made_from_nothing(void **state)
{
	static const char *const expected[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
		"MCASTD_GROUP=news", "MCASTD_ADDRESS=ff15::1", "MCASTD_PORT=5004",
		"MCASTD_SOURCE=2001:db8::7", "MCASTD_SOURCE_PORT=4000", "MCASTD_INTERFACE=eth0",
		"MCASTD_TTL=3", "MCASTD_TIMESTAMP=2025-11-24T19:33:19.123456789Z",
		"MCASTD_SIZE=65507"};
	struct datagram datagram = {
		.size = 65507, .ttl = 3, .timestamp_ns = 1764012799123456789ull};
	struct child_environment environment;
	struct address group, source;
	struct origin *origin;

	(void)state;
	assert_int_equal(address_parse("ff15::1", &group), 0);
	assert_int_equal(address_parse("2001:db8::7", &source), 0);
	address_to_endpoint(&source, 4000, 0, &datagram.source);
	origin = origin_new("news", &group, 5004, "eth0", 2);
	child_environment_begin(&environment);
	assert_null(environment.list[2]);
	child_environment_describe(&environment, origin, &datagram);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		assert_string_equal(environment.list[i], expected[i]);
	assert_null(environment.list[ARRAY_SIZE(expected)]);
	origin_unref(origin);
}

static void the_longest_names_fit_the_environment(void **state)
{
	char name[GROUP_NAME_MAX + 1], expected[ENVIRONMENT_STRING_MAX];
	struct child_environment environment;
	struct datagram datagram = {0};
	struct address group;
	struct origin *origin;

	(void)state;
	memset(name, 'x', GROUP_NAME_MAX);
	name[GROUP_NAME_MAX] = '\0';
	snprintf(expected, sizeof(expected), "MCASTD_GROUP=%s", name);
	assert_int_equal(address_parse("ff15::1", &group), 0);
	origin = origin_new(name, &group, 5004, "eth0", 2);
	child_environment_begin(&environment);
	child_environment_describe(&environment, origin, &datagram);
	assert_string_equal(environment.list[2], expected);
	origin_unref(origin);
}

static void assert_refused(const char *path, int error, const char *words)
{
	char why[WHY_MAX] = "";

	assert_int_equal(child_trust(path, why), error);
	assert_non_null(strstr(why, words));
}

/* With the directories of root's; tests/net makes some of its own. */
static void programs_of_root_are_trusted_and_others_are_not(void **state)
{
	char file[] = "/tmp/mcastd-test-XXXXXX", why[WHY_MAX];
	int fd = mkstemp(file);

	(void)state;
	assert_true(fd >= 0);
	fchmod(fd, 0755);
	close(fd);
	assert_refused(file, -EPERM, "/tmp (mode 1777) lets everybody put another program there");
	unlink(file);
	assert_refused("/nonexistent/program", -ENOENT, "/nonexistent: No such file or directory");
	assert_refused("relative", -EINVAL, "is not an absolute path");
	assert_refused("/", -EISDIR, "/ is a directory");
	assert_refused("/dev/null", -EACCES, "/dev/null is no regular file");
	if (child_trust("/bin/sh", why) == -EPERM)
		skip(); /* a user namespace, where root's files belong to nobody */
	assert_int_equal(child_trust("/bin/sh", why), 0);
	assert_int_equal(child_trust("//bin/./../bin//sh", why), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_exit_with_0),
		TEST(an_exit_with_another_status),
		TEST(an_end_by_a_signal),
		TEST(an_end_by_a_signal_without_a_name),
		TEST(a_program_that_is_not_there_leaves_nothing_open),
		TEST(signals_that_the_daemon_blocks_or_ignores_work),
		TEST(whoever_ends_at_sigterm_is_over_at_once),
		TEST(what_it_leaves_behind_with_the_output_open_has_the_time_until_it_is_killed),
		TEST(whoever_does_not_is_killed),
		TEST(what_is_left_behind_is_waited_for_while_it_has_the_output),
		cmocka_unit_test(times_for_the_end),
		cmocka_unit_test(a_short_end_is_shared_by_its_steps),
		cmocka_unit_test(the_environment_is_made_from_nothing),
		cmocka_unit_test(the_longest_names_fit_the_environment),
		cmocka_unit_test(programs_of_root_are_trusted_and_others_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
