#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <stdio.h>
#include <unistd.h>

#include "groups/pause.h"
#include "range.h"

#define RESUMED_MAX 100000 /* so often in vain, and the loop will never look at anything else */

static struct event_base *base;
static struct pause *pauses;
static struct pause_member member;
static enum pause_next next;
static unsigned resumed;

static enum pause_next resume(struct pause_member *one)
{
	assert_ptr_equal(one, &member);
	if (++resumed == RESUMED_MAX)
		event_base_loopbreak(base);
	return next;
}

static int set_up(void **state)
{
	(void)state;
	base = event_base_new();
	pauses = pause_new(base, resume);
	assert_non_null(pauses);
	member = (struct pause_member){0};
	resumed = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pause_free(pauses);
	event_base_free(base);
	return 0;
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
	next = PAUSE_GOES_ON;
	pause_add(pauses, &member);
	while (resumed < 2)
		event_base_loop(base, EVLOOP_ONCE);
	event_add(readable, NULL);
	event_base_dispatch(base);
	assert_true(was_called);
	assert_in_range(resumed, 2, RESUMED_MAX - 1);
	event_free(readable);
	close(fds[0]);
	close(fds[1]);
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	(void)fd, (void)what, (void)argument;
}

/* After the last pause the timer stops: the loop then waits for what is left, here nothing but a
 * timeout. */
static void it_is_quiet_when_nobody_pauses(void **state)
{
	const struct timeval moment = {.tv_usec = 50000};
	struct event *timer = evtimer_new(base, on_timer, NULL);
	unsigned rounds = 0;

	(void)state;
	next = PAUSE_ENDS;
	pause_add(pauses, &member);
	while (!resumed)
		event_base_loop(base, EVLOOP_ONCE);
	assert_false(link_is_used(&member.link));
	event_add(timer, &moment);
	for (; evtimer_pending(timer, NULL); rounds++)
		event_base_loop(base, EVLOOP_ONCE);
	assert_in_range(rounds, 1, 3);
	assert_int_equal(resumed, 1);
	event_free(timer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(others_have_their_turn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_is_quiet_when_nobody_pauses, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
