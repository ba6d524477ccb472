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
#include "net/user.h"

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

	user_hold(fixture->one, MEMORY_OUTPUT, USER_OUTPUT_MAX);
	assert_true(user_holds_too_much(fixture->one, MEMORY_OUTPUT));
	assert_false(user_holds_too_much(fixture->other, MEMORY_OUTPUT));
	user_release(fixture->one, MEMORY_OUTPUT, 1);
	assert_false(user_holds_too_much(fixture->one, MEMORY_OUTPUT));
	user_release(fixture->one, MEMORY_OUTPUT, USER_OUTPUT_MAX - 1);
}

static void test_all_together_do_not_hold_up_the_privileged(void **state)
{
	struct fixture *fixture = *state;
	struct user *users[ALL_OUTPUT_MAX / USER_OUTPUT_MAX + 1],
		*own = user_connect(&fixture->users, geteuid());

	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		users[i] = user_connect(&fixture->users, (uid_t)(1000 + i));
		user_hold(users[i], MEMORY_OUTPUT, USER_OUTPUT_MAX - 1);
	}
	assert_true(user_holds_too_much(fixture->one, MEMORY_OUTPUT));
	assert_false(user_holds_too_much(own, MEMORY_OUTPUT));
	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		user_release(users[i], MEMORY_OUTPUT, USER_OUTPUT_MAX - 1);
		user_disconnect(users[i]);
	}
	assert_false(user_holds_too_much(fixture->one, MEMORY_OUTPUT));
	user_disconnect(own);
}

/* A job whose one message takes as long as ten rounds. */
static void serve_heavily(struct turn *turn)
{
	struct job *job = container_of(turn, struct job, turn);
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + 10 * TURN_NS;

	strncat(seen, &job->name, 1);
	while (clock_ns(CLOCK_MONOTONIC) < end)
		;
	if (--job->left)
		user_wait(job->user, turn);
	else
		event_base_loopbreak(event_get_base(&job->user->users->turns.event));
}

static void test_a_round_that_took_long_is_paid_for_with_rounds_without_turns(void **state)
{
	struct fixture *fixture = *state;
	struct event *datagram;
	struct job a;
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], "x", 1), 1);
	datagram = event_new(fixture->base, pipes[0], EV_READ | EV_PERSIST, on_datagram, NULL);
	event_add(datagram, NULL);
	add(&a, fixture->one, 'a', 3);
	a.turn.serve = serve_heavily;
	event_base_dispatch(fixture->base);
	for (const char *at = seen; *at && at[1]; at += 1 + strspn(at + 1, "!"))
		assert_true(strspn(at + 1, "!") >= 8);
	event_free(datagram);
	close(pipes[0]);
	close(pipes[1]);
}

static void spin(uint64_t ns)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + ns;

	while (clock_ns(CLOCK_MONOTONIC) < end)
		;
}

struct accepting {
	struct turns turns;
	struct turn turn;
	unsigned left;
};

/* A turn in which the daemon waits for the processor. */
static void serve_while_away(struct turn *turn)
{
	struct accepting *accepting = container_of(turn, struct accepting, turn);

	strcat(seen, "a");
	spin(10 * TURN_NS);
	if (--accepting->left)
		turns_wait(&accepting->turns, turn);
	else
		event_base_loopbreak(event_get_base(&accepting->turns.event));
}

static void test_short_turns_owe_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct accepting accepting = {.turn.serve = serve_while_away, .left = 3};
	struct event *datagram;
	int pipes[2];

	turns_init(&accepting.turns, fixture->base, true);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], "x", 1), 1);
	datagram = event_new(fixture->base, pipes[0], EV_READ | EV_PERSIST, on_datagram, NULL);
	event_add(datagram, NULL);
	turns_wait(&accepting.turns, &accepting.turn);
	event_base_dispatch(fixture->base);
	for (const char *at = seen; *at && at[1]; at += 1 + strspn(at + 1, "!"))
		assert_in_range(strspn(at + 1, "!"), 1, 2); /* owing, there are eight */
	event_free(datagram);
	turns_clear(&accepting.turns);
	close(pipes[0]);
	close(pipes[1]);
}

/* Ends the loop in the first round. */
static void serve_once(struct turn *turn)
{
	struct accepting *accepting = container_of(turn, struct accepting, turn);

	event_base_loopbreak(event_get_base(&accepting->turns.event));
}

static void test_a_round_of_short_turns_is_longer(void **state)
{
	struct fixture *fixture = *state;
	struct accepting accepting = {.turn.serve = serve_once};
	uint64_t before;

	turns_init(&accepting.turns, fixture->base, true);
	before = clock_ns(CLOCK_MONOTONIC);
	turns_wait(&accepting.turns, &accepting.turn);
	event_base_dispatch(fixture->base);
	assert_true(accepting.turns.end_ns >= before + SHORT_TURNS_NS);
	turns_clear(&accepting.turns);
}

/* The user's connections are written to without a pause, until it is their user's turn to wait. */
static unsigned deliver_until_over(struct user *user, unsigned most)
{
	unsigned count = 0;

	assert_true(user_may_deliver(user));
	do
		spin(NS_PER_MS / 2);
	while (++count < most && user_delivered(user));
	return count;
}

static void test_delivering_to_one_user_takes_a_share_of_the_time(void **state)
{
	struct fixture *fixture = *state;

	while (fixture->one->connections < 10)
		user_connect(&fixture->users, 1);
	assert_true(deliver_until_over(fixture->one, 10000) < 10000);
	assert_false(user_may_deliver(fixture->one));
	assert_true(user_may_deliver(fixture->other));
	spin(2 * USER_DELIVERY_NS);
	assert_true(user_may_deliver(fixture->one));
	while (fixture->one->connections > 1)
		user_disconnect(fixture->one);
}

static void test_a_single_connection_takes_what_it_takes(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(deliver_until_over(fixture->one, 400), 400);
}

static void test_delivering_to_the_privileged_takes_what_it_takes(void **state)
{
	struct fixture *fixture = *state;
	struct user *own = user_connect(&fixture->users, geteuid());

	assert_int_equal(deliver_until_over(own, 200), 200);
	user_disconnect(own);
}

static void test_who_is_alone_needs_no_turn(void **state)
{
	struct fixture *fixture = *state;
	struct job a, b;

	add(&a, fixture->one, 'a', 1);
	assert_false(user_is_alone(fixture->one, &a.turn));
	event_base_dispatch(fixture->base);
	assert_true(user_is_alone(fixture->one, &a.turn));
	add(&b, fixture->other, 'b', 1);
	assert_false(user_is_alone(fixture->one, &a.turn));
	event_base_dispatch(fixture->base);
	assert_false(user_is_alone(fixture->one, &a.turn));
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
		TEST(test_a_round_that_took_long_is_paid_for_with_rounds_without_turns),
		TEST(test_short_turns_owe_nothing),
		TEST(test_a_round_of_short_turns_is_longer),
		TEST(test_delivering_to_one_user_takes_a_share_of_the_time),
		TEST(test_a_single_connection_takes_what_it_takes),
		TEST(test_delivering_to_the_privileged_takes_what_it_takes),
		TEST(test_who_is_alone_needs_no_turn),
		TEST(test_connections_are_counted_by_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
