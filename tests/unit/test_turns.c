/* Round-robin turns: a fair order, a little at each turn, and never so long that the loop neglects
 * its descriptors. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "control/user.h"

static char seen[256];

/* A connection that has something to do, left times. */
struct job {
	struct turn turn;
	struct user *user;
	unsigned left;
	char name;
};

static void serve(struct turn *turn)
{
	struct job *job = container_of(turn, struct job, turn);

	strncat(seen, &job->name, 1);
	if (--job->left)
		user_wait(job->user, turn);
}

static void add(struct job *job, struct user *user, char name, unsigned times)
{
	*job = (struct job){.turn = {.serve = serve}, .user = user, .left = times, .name = name};
	user_wait(user, &job->turn);
}

struct fixture {
	struct event_base *base;
	struct users users;
	struct user *one, *other;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->base = event_base_new();
	users_init(&fixture->users, fixture->base);
	fixture->one = user_connect(&fixture->users, 1);
	fixture->other = user_connect(&fixture->users, 2);
	*seen = '\0';
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	user_disconnect(fixture->one);
	user_disconnect(fixture->other);
	users_clear(&fixture->users);
	event_base_free(fixture->base);
	free(fixture);
	return 0;
}

static void test_users_take_turns_and_so_do_the_connections_of_each(void **state)
{
	struct fixture *fixture = *state;
	struct job a, b, c, x;

	add(&a, fixture->one, 'a', 2);
	add(&b, fixture->one, 'b', 2);
	add(&c, fixture->one, 'c', 2);
	add(&x, fixture->other, 'x', 3);
	event_base_dispatch(fixture->base);
	assert_string_equal(seen, "axbxcxabc");
}

static void test_who_waits_already_waits_once(void **state)
{
	struct fixture *fixture = *state;
	struct job a, b;

	add(&a, fixture->one, 'a', 1);
	add(&b, fixture->one, 'b', 1);
	user_wait(fixture->one, &a.turn);
	event_base_dispatch(fixture->base);
	assert_string_equal(seen, "ab");
}

static void test_who_has_gone_is_not_served(void **state)
{
	struct fixture *fixture = *state;
	struct job a, b, x;

	add(&a, fixture->one, 'a', 1);
	add(&x, fixture->other, 'x', 1);
	add(&b, fixture->one, 'b', 1);
	link_remove(&a.turn.link);
	link_remove(&x.turn.link);
	event_base_dispatch(fixture->base);
	assert_string_equal(seen, "b");
}

/* A job that takes a whole round's time, each time. */
static void serve_slowly(struct turn *turn)
{
	struct job *job = container_of(turn, struct job, turn);

	strncat(seen, &job->name, 1);
	while (!turns_over(&job->user->users->turns))
		;
	if (--job->left)
		user_wait(job->user, turn);
	else
		event_base_loopbreak(event_get_base(&job->user->users->turns.event));
}

static void on_datagram(evutil_socket_t fd, short what, void *argument)
{
	(void)fd, (void)what, (void)argument;
	strcat(seen, "!");
}

static void test_the_loop_looks_at_its_descriptors_after_each_round(void **state)
{
	struct fixture *fixture = *state;
	struct event *datagram;
	struct job a;
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], "x", 1), 1);
	datagram = event_new(fixture->base, pipes[0], EV_READ | EV_PERSIST, on_datagram, NULL);
	event_add(datagram, NULL);
	add(&a, fixture->one, 'a', 4);
	a.turn.serve = serve_slowly;
	event_base_dispatch(fixture->base);
	assert_non_null(strstr(seen, "a!"));
	assert_null(strstr(seen, "aa"));
	event_free(datagram);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_what_one_user_holds_does_not_count_for_the_other(void **state)
{
	struct fixture *fixture = *state;

	user_hold(fixture->one, USER_WAITING_MAX);
	assert_true(user_holds_too_much(fixture->one));
	assert_false(user_holds_too_much(fixture->other));
	user_release(fixture->one, 1);
	assert_false(user_holds_too_much(fixture->one));
	user_release(fixture->one, USER_WAITING_MAX - 1);
}

static void test_all_together_do_not_hold_up_the_privileged(void **state)
{
	struct fixture *fixture = *state;
	struct user *users[ALL_WAITING_MAX / USER_WAITING_MAX + 1],
		*own = user_connect(&fixture->users, geteuid());

	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		users[i] = user_connect(&fixture->users, (uid_t)(1000 + i));
		user_hold(users[i], USER_WAITING_MAX - 1);
	}
	assert_true(user_holds_too_much(fixture->one));
	assert_false(user_holds_too_much(own));
	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		user_release(users[i], USER_WAITING_MAX - 1);
		user_disconnect(users[i]);
	}
	assert_false(user_holds_too_much(fixture->one));
	user_disconnect(own);
}

static void test_connections_are_counted_by_user(void **state)
{
	struct fixture *fixture = *state;
	struct user *third = user_connect(&fixture->users, 3);

	assert_ptr_equal(user_connect(&fixture->users, 1), fixture->one);
	assert_int_equal(users_count(&fixture->users, 1), 2);
	assert_int_equal(users_count(&fixture->users, 3), 1);
	user_disconnect(fixture->one);
	user_disconnect(third);
	assert_int_equal(users_count(&fixture->users, 1), 1);
	assert_int_equal(users_count(&fixture->users, 3), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_users_take_turns_and_so_do_the_connections_of_each),
		TEST(test_who_waits_already_waits_once),
		TEST(test_who_has_gone_is_not_served),
		TEST(test_the_loop_looks_at_its_descriptors_after_each_round),
		TEST(test_what_one_user_holds_does_not_count_for_the_other),
		TEST(test_all_together_do_not_hold_up_the_privileged),
		TEST(test_connections_are_counted_by_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
