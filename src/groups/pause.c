#include "groups/pause.h"

#include <errno.h>
#include <event2/event.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/timer.h"

#define PAUSE_NS 2000000

struct pause {
	int timer; /* for all members; libevent's own are as coarse as the kernel's tick, 4 or 10 ms
		    */
	struct event due, turn;
	bool is_running;
	struct link members;
	enum pause_next (*resume)(struct pause_member *member);
};

static int run(struct pause *pause, bool on)
{
	struct timespec interval = {.tv_nsec = on ? PAUSE_NS : 0};

	if (timerfd_settime(pause->timer, 0, &(struct itimerspec){interval, interval}, NULL) < 0)
		return -errno;
	pause->is_running = on;
	return 0;
}

/* Reads the members that are due: all of them, or only those that had more to read. While traffic
 * continues, a socket is only read from here and never polled. The next turn comes from a timer of
 * zero: an event that is activated from its own callback would be called before the loop polls any
 * other. */
static void resume(struct pause *pause, bool all)
{
	static const struct timeval at_once = {0};
	struct pause_member *member;
	bool again = false;

	list_for_each(member, &pause->members, link) {
		enum pause_next then;

		if (!all && !member->goes_on)
			continue;
		then = pause->resume(member);
		member->goes_on = then == PAUSE_GOES_ON;
		again |= member->goes_on;
		if (then == PAUSE_ENDS)
			pause_cancel(member);
	}
	if (again)
		timer_start(&pause->turn, &at_once);
}

/* The timer runs while there are members. */
static void on_due(evutil_socket_t fd, short what, void *argument)
{
	struct pause *pause = argument;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0)
		return;
	if (list_is_empty(&pause->members))
		run(pause, false);
	resume(pause, true);
}

static void on_turn(evutil_socket_t fd, short what, void *argument)
{
	(void)fd, (void)what;
	resume(argument, false);
}

struct pause *pause_new(
	struct event_base *base, enum pause_next (*resume)(struct pause_member *member))
{
	struct pause *pause = calloc(1, sizeof(*pause));

	if (!pause)
		return NULL;
	list_init(&pause->members);
	pause->resume = resume;
	pause->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	event_assign(&pause->due, base, pause->timer, EV_READ | EV_PERSIST, on_due, pause);
	evtimer_assign(&pause->turn, base, on_turn, pause);
	if (pause->timer < 0 || event_add(&pause->due, NULL) < 0) {
		pause_free(pause);
		return NULL;
	}
	return pause;
}

void pause_free(struct pause *pause)
{
	if (!pause)
		return;
	event_del(&pause->due);
	event_del(&pause->turn);
	if (pause->timer >= 0)
		close(pause->timer);
	free(pause);
}

int pause_add(struct pause *pause, struct pause_member *member)
{
	int r = pause->is_running ? 0 : run(pause, true);

	if (r >= 0)
		list_append(&pause->members, &member->link);
	return r;
}

void pause_cancel(struct pause_member *member)
{
	link_remove(&member->link);
	member->goes_on = false;
}
