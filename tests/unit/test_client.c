/* A client of the control socket that has gone. There are no groups, and whoever asked for them
 * would find that out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/method.h"

struct fixture {
	struct event_base *base;
	struct users users;
	struct control_backend backend;
	struct client_set set;
	int fd; /* of the client */
};

static unsigned reloads;

static void reload(void *daemon, struct reload_request *request)
{
	(void)daemon;
	reloads++;
	request->done(request, -ECANCELED, NULL, &(struct errors){0});
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	fixture->base = event_base_new();
	users_init(&fixture->users, fixture->base);
	fixture->backend = (struct control_backend){
		.version = "1", .users = &fixture->users, .reload = reload};
	client_set_init(&fixture->set, fixture->base, &fixture->backend, method_dispatch);
	assert_int_equal(client_new(&fixture->set, fds[0], 0), 0);
	fixture->fd = fds[1];
	reloads = 0;
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	client_set_clear(&fixture->set);
	assert_int_equal(fixture->users.connections, 0);
	users_clear(&fixture->users);
	event_base_free(fixture->base);
	free(fixture);
	return 0;
}

static void ask(const struct fixture *fixture, const char *request)
{
	ssize_t size = (ssize_t)strlen(request);

	assert_int_equal(send(fixture->fd, request, (size_t)size, 0), size);
}

static void serve_all(struct fixture *fixture)
{
	for (int i = 0; i < 100 && fixture->set.count; i++)
		event_base_loop(fixture->base, EVLOOP_NONBLOCK);
	assert_int_equal(fixture->set.count, 0);
}

static void test_what_only_answers_is_not_done_for_it(void **state)
{
	struct fixture *fixture = *state;

	ask(fixture, "{\"method\":\"io.mcastd.GetStatus\"}\n{\"method\":\"io.mcastd.GetStats\"}\n"
		     "{\"method\":\"io.mcastd.Subscribe\",\"more\":true,"
		     "\"parameters\":{\"groups\":[\"g\"]}}\n");
	close(fixture->fd);
	serve_all(fixture);
}

static void test_what_acts_is_done(void **state)
{
	struct fixture *fixture = *state;

	ask(fixture, "{\"method\":\"io.mcastd.Reload\"}\n");
	close(fixture->fd);
	serve_all(fixture);
	assert_int_equal(reloads, 1);
}

static void test_one_that_does_not_read_is_closed_where_it_asks_no_more(void **state)
{
	struct fixture *fixture = *state;

	shutdown(fixture->fd, SHUT_RD);
	ask(fixture, "{\"method\":\"org.varlink.service.GetInfo\"}\n");
	serve_all(fixture);
	close(fixture->fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_only_answers_is_not_done_for_it),
		TEST(test_what_acts_is_done),
		TEST(test_one_that_does_not_read_is_closed_where_it_asks_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
