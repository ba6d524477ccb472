#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "groups/rounds.h"
#include "range.h"

#define READS_MAX 100000 /* so often in vain, and the loop will never look at anything else */
#define PIPES 100

struct reader {
	struct round_member member;
	int fds[2];
	unsigned reads, bytes, held;
	bool goes_on; /* says that there is always more */
	struct reader *removes; /* on being read */
	unsigned holds; /* how often it is held before it is read again; 0: not at all */
};

static struct event_base *base;
static struct rounds *rounds;
static struct reader readers[PIPES];
static unsigned reads; /* of all */

static struct reader *reader_of(struct round_member *member)
{
	return container_of(member, struct reader, member);
}

static void leave(struct reader *reader)
{
	rounds_remove(rounds, &reader->member, reader->fds[0]);
}

static bool read_once(struct round_member *member, bool again, unsigned *ret_count)
{
	struct reader *reader = reader_of(member);
	char bytes[64];
	ssize_t n = read(reader->fds[0], bytes, sizeof(bytes));

	assert_true(reader->goes_on || !again);
	if (++reads == READS_MAX)
		event_base_loopbreak(base);
	reader->reads++;
	reader->bytes += n > 0 ? (unsigned)n : 0;
	*ret_count = n > 0 ? (unsigned)n : 0;
	if (reader->removes)
		leave(reader->removes);
	if (!reader->holds)
		return reader->goes_on;
	assert_int_equal(rounds_hold(rounds, member, reader->fds[0]), 0);
	return false;
}

static void hold(struct round_member *member)
{
	struct reader *reader = reader_of(member);

	if (++reader->held < reader->holds)
		return;
	reader->holds = 0;
	assert_int_equal(rounds_add(rounds, member, reader->fds[0]), 0);
}

static void expect(const struct round_member *member)
{
	assert_true(member->place > 0);
}

static const struct round_callbacks callbacks = {expect, read_once, hold};

static int set_up(void **state)
{
	(void)state;
	base = event_base_new();
	rounds = rounds_new(base, &callbacks);
	assert_non_null(rounds);
	reads = 0;
	for (unsigned i = 0; i < PIPES; i++) {
		readers[i] = (struct reader){0};
		assert_int_equal(pipe2(readers[i].fds, O_NONBLOCK), 0);
		assert_int_equal(rounds_add(rounds, &readers[i].member, readers[i].fds[0]), 0);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PIPES; i++) {
		leave(&readers[i]);
		close(readers[i].fds[0]);
		close(readers[i].fds[1]);
	}
	rounds_free(rounds);
	event_base_free(base);
	return 0;
}

static void feed(struct reader *reader)
{
	assert_int_equal(write(reader->fds[1], "x", 1), 1);
}

static void loop_until(const unsigned *number, unsigned wanted)
{
	while (*number < wanted)
		event_base_loop(base, EVLOOP_ONCE);
}

/* Datagrams one after the other, each of which wakes the loop, until it pauses. */
static void keep_busy(void)
{
	for (unsigned i = 1; i <= 8; i++) {
		feed(&readers[0]);
		loop_until(&readers[0].bytes, readers[0].bytes + 1);
	}
}

static void each_is_read_that_has_something(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PIPES; i += 2)
		feed(&readers[i]);
	loop_until(&reads, PIPES / 2);
	for (unsigned i = 0; i < PIPES; i++)
		assert_int_equal(readers[i].bytes, i % 2 ? 0 : 1);
}

/* Several datagrams that come during a pause are one read, for each of many sockets. */
static void what_comes_in_a_pause_is_read_together(void **state)
{
	uint64_t began = clock_ns(CLOCK_MONOTONIC);

	(void)state;
	keep_busy();
	reads = 0;
	for (unsigned k = 0; k < 3; k++)
		for (unsigned i = 1; i < PIPES; i++) {
			feed(&readers[i]);
			event_base_loop(base, EVLOOP_NONBLOCK);
		}
	for (unsigned i = 1; i < PIPES; i++)
		loop_until(&readers[i].bytes, 3);
	/* Once in two milliseconds at most. */
	assert_true(reads <=
		    (clock_ns(CLOCK_MONOTONIC) - began + 4 * NS_PER_MS) * PIPES / (2 * NS_PER_MS));
}

static void there_is_no_pause_after_a_buffer_was_nearly_full(void **state)
{
	(void)state;
	rounds_stay_awake(rounds);
	keep_busy();
	for (unsigned i = 1; i < PIPES; i++) {
		feed(&readers[i]);
		event_base_loop(base, EVLOOP_NONBLOCK);
		assert_int_equal(readers[i].bytes, 1);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
	(void)fd, (void)what;
	*(bool *)argument = true;
	event_base_loopbreak(base);
}

/* Who has more to read is read on, and an event that comes meanwhile is not kept waiting. */
static void others_have_their_turn(void **state)
{
	bool was_called = false;
	struct event *readable;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	readable = event_new(base, fds[0], EV_READ, on_readable, &was_called);
	readers[0].goes_on = true;
	feed(&readers[0]);
	loop_until(&reads, 2);
	event_add(readable, NULL);
	event_base_dispatch(base);
	assert_true(was_called);
	assert_in_range(reads, 2, READS_MAX - 1);
	event_free(readable);
	close(fds[0]);
	close(fds[1]);
}

/* Where sockets are read at once beside these, the loop looks at them after a few of these. */
static void others_need_not_wait_for_all(void **state)
{
	(void)state;
	rounds_note_prompt(rounds, 1);
	for (unsigned i = 0; i < PIPES; i++)
		feed(&readers[i]);
	event_base_loop(base, EVLOOP_ONCE);
	assert_in_range(reads, 1, 16);
	loop_until(&reads, PIPES);
}

/* Also where one always has more: the others are found all the same. */
static void a_flood_does_not_keep_others_from_being_found(void **state)
{
	(void)state;
	readers[0].goes_on = true;
	feed(&readers[0]);
	loop_until(&reads, 100);
	feed(&readers[1]);
	while (!readers[1].bytes && reads < READS_MAX)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(readers[1].bytes, 1);
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	(void)fd, (void)what, (void)argument;
}

/* After some rounds without anything the timer stops: the loop then waits for what is left, here
 * nothing but a timeout. */
static void it_is_quiet_when_nothing_comes(void **state)
{
	const struct timeval moment = {.tv_usec = 50000};
	struct event *timer = evtimer_new(base, on_timer, NULL);
	unsigned wake_ups = 0;

	(void)state;
	keep_busy();
	event_add(timer, &moment);
	for (; evtimer_pending(timer, NULL); wake_ups++)
		event_base_loop(base, EVLOOP_ONCE);
	assert_in_range(wake_ups, 1, 8);
	event_free(timer);
}

static void one_that_is_held_is_not_read(void **state)
{
	(void)state;
	readers[0].holds = 5;
	feed(&readers[0]);
	loop_until(&readers[0].reads, 1);
	feed(&readers[0]);
	feed(&readers[1]);
	loop_until(&readers[0].held, 4);
	assert_int_equal(readers[0].reads, 1);
	assert_int_equal(readers[1].bytes, 1);
	loop_until(&readers[0].reads, 2);
	assert_int_equal(readers[0].held, 5);
	assert_int_equal(readers[0].bytes, 2);
}

static void one_that_is_removed_in_a_round_is_not_read(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		readers[i].removes = &readers[(i + 1) % 3];
		feed(&readers[i]);
	}
	feed(&readers[3]);
	while (!readers[3].reads)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(readers[0].reads, 1);
	assert_int_equal(readers[1].reads, 0);
	assert_int_equal(readers[2].reads, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_is_read_that_has_something, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_comes_in_a_pause_is_read_together, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			there_is_no_pause_after_a_buffer_was_nearly_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(others_have_their_turn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(others_need_not_wait_for_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_flood_does_not_keep_others_from_being_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_is_quiet_when_nothing_comes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_that_is_held_is_not_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			one_that_is_removed_in_a_round_is_not_read, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
