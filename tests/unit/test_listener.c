/* Where a listening socket may be made, and what is said where it may not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
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
	assert_int_equal(socket_file_check(path, why), -ENOENT);
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
	r = socket_file_check(path, why);
	assert_int_equal(seteuid(user), 0);
	assert_int_equal(r, -EACCES);
	assert_non_null(strstr(why, path));
	assert_non_null(strstr(why, "Permission denied"));
}

static void a_path_that_somebody_listens_on_is_in_use_and_nobody_is_disturbed(void **state)
{
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char why[WHY_MAX];

	(void)state;
	strcpy(address.sun_path, path);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		int fd = socket(AF_UNIX, types[i] | SOCK_NONBLOCK, 0);

		assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
		if (types[i] != SOCK_DGRAM)
			assert_int_equal(listen(fd, 1), 0);
		assert_int_equal(socket_file_check(path, why), -EADDRINUSE);
		assert_int_equal(accept(fd, NULL, NULL), -1);
		close(fd);
		assert_int_equal(socket_file_check(path, why), 0);
		assert_int_equal(unlink(path), 0);
	}
}

static void on_accept(int fd, void *argument)
{
	(void)argument;
	close(fd);
}

static void expect_mode(mode_t mask, mode_t mode)
{
	struct listener_options options = {
		.path = path, .type = SOCK_STREAM, .mode = mode, .group = (gid_t)-1};
	struct event_base *base = event_base_new();
	mode_t before = umask(mask);
	struct listener *listener;
	char why[WHY_MAX];
	struct stat file;

	assert_int_equal(listener_new(base, &options, on_accept, why, &listener), 0);
	umask(before);
	assert_int_equal(stat(path, &file), 0);
	assert_int_equal(file.st_mode, S_IFSOCK | mode);
	listener_free(listener);
	event_base_free(base);
}

static void a_socket_has_the_mode_that_is_wanted_whatever_the_umask(void **state)
{
	(void)state;
	expect_mode(0, 0600);
	expect_mode(022, 0660);
	expect_mode(077, 0666);
	expect_mode(0777, 0666);
}

/* Called by bind_path() between the two, in place of the C library's. */
static mode_t bound_mode;
static int listen_error;

int listen(int fd, int count)
{
	struct stat file;

	(void)fd, (void)count;
	assert_int_equal(stat(path, &file), 0);
	bound_mode = file.st_mode & 07777;
	errno = listen_error;
	return listen_error ? -1 : 0;
}

static void nobody_can_connect_before_a_socket_has_its_mode(void **state)
{
	(void)state;
	expect_mode(0, 0600);
	assert_int_equal(bound_mode, 0600);
	expect_mode(077, 0666);
	assert_int_equal(bound_mode, 0666);
}

static void a_file_has_no_other_permissions_than_those_that_are_changed_to(void **state)
{
	const struct socket_file_options options = {
		.path = path, .type = SOCK_STREAM, .mode = 0600, .group = (gid_t)-1};
	struct socket_file file;
	char why[WHY_MAX];
	struct stat status;
	int fd = socket_file_bind(&options, &file, why);

	(void)state;
	assert_true(fd >= 0);
	assert_true(socket_file_is_there(&file));
	assert_int_equal(socket_file_permit(&file, 0666, (gid_t)-1), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0666);
	socket_file_remove(&file);
	assert_false(socket_file_is_there(&file));
	assert_int_equal(socket_file_permit(&file, 0600, (gid_t)-1), -ESTALE);
	close(fd);
}

static void what_stands_in_the_place_of_a_file_is_neither_changed_nor_removed(void **state)
{
	const struct socket_file_options options = {
		.path = path, .type = SOCK_STREAM, .mode = 0600, .group = (gid_t)-1};
	char other[sizeof(path) + 8], why[WHY_MAX];
	struct socket_file file;
	struct stat status;
	int fd = socket_file_bind(&options, &file, why);

	(void)state;
	assert_true(fd >= 0);
	snprintf(other, sizeof(other), "%s.other", path);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(socket_file_permit(&file, 0666, (gid_t)-1), -ESTALE);
	assert_int_equal(stat(other, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	socket_file_remove(&file);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(unlink(other), 0);
	close(fd);
}

static void no_file_is_left_where_it_cannot_listen(void **state)
{
	const struct socket_file_options options = {
		.path = path, .type = SOCK_STREAM, .mode = 0600, .group = (gid_t)-1};
	struct socket_file file;
	char why[WHY_MAX];

	(void)state;
	listen_error = ENOBUFS;
	assert_int_equal(socket_file_bind(&options, &file, why), -ENOBUFS);
	listen_error = 0;
	assert_int_equal(access(path, F_OK), -1);
}

static int accepted = -1;

static void on_accept_kept(int fd, void *argument)
{
	(void)argument;
	accepted = fd;
}

static int connect_one(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Lowers the limit so that no descriptor is free. */
static void leave_no_descriptor(const struct rlimit *before)
{
	int next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	struct rlimit limit = {(rlim_t)next, before->rlim_max};

	close(next);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void the_descriptor_of_a_connection_that_is_closed_is_kept_for_the_next_one(void **state)
{
	struct listener_options options = {
		.path = path, .type = SOCK_STREAM, .mode = 0600, .group = (gid_t)-1, .spare = true};
	struct event_base *base = event_base_new();
	struct listener *listener;
	struct turns turns;
	struct rlimit before;
	char why[WHY_MAX];
	int clients[3];

	(void)state;
	turns_init(&turns, base, true);
	options.turns = &turns;
	assert_int_equal(listener_new(base, &options, on_accept_kept, why, &listener), 0);
	/* listen() is the one above. */
	assert_int_equal(syscall(SYS_listen, listener_fd(listener), 3), 0);
	listener_begin(listener, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		clients[i] = connect_one();
	getrlimit(RLIMIT_NOFILE, &before);
	leave_no_descriptor(&before);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		accepted = -1;
		while (accepted < 0)
			event_base_loop(base, EVLOOP_ONCE);
		listener_close(listener, accepted);
		assert_int_equal(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0), -1);
	}
	setrlimit(RLIMIT_NOFILE, &before);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		close(clients[i]);
	listener_free(listener);
	turns_clear(&turns);
	event_base_free(base);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_free_path_is_not_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_path_that_may_not_be_reached_is_a_matter_of_permission, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_path_that_somebody_listens_on_is_in_use_and_nobody_is_disturbed, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_socket_has_the_mode_that_is_wanted_whatever_the_umask, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			nobody_can_connect_before_a_socket_has_its_mode, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_file_has_no_other_permissions_than_those_that_are_changed_to, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			what_stands_in_the_place_of_a_file_is_neither_changed_nor_removed, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			no_file_is_left_where_it_cannot_listen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_descriptor_of_a_connection_that_is_closed_is_kept_for_the_next_one,
			set_up, tear_down),
	};

	return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
