#include "groups/pause.h"

#include <event2/event.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define PAUSE_NS 2000000

struct pause {
	int timer; /* for all of them; libevent's own are as coarse as the kernel's tick, 4 or 10 ms
		    */
	struct event due, turn;
	bool is_running;
	struct pause_member *first;
	enum pause_next (*resume)(struct pause_member *member);
};

static void run(struct pause *pause, bool on)
{
	struct timespec interval = {.tv_nsec = on ? PAUSE_NS : 0};

	timerfd_settime(pause->timer, 0, &(struct itimerspec){interval, interval}, NULL);
	pause->is_running = on;
}

/* Has those read whose time it is: all of them, or only who was not ready the last time. Where
 * traffic keeps coming, the socket is read from here time and again, and never waited for. The next
 * turn is a timer's, though it is due at once: an event that is made active from its own callback
 * would be called before the loop has looked at any other. */
static void resume(struct pause *pause, bool all)
{
	static const struct timeval at_once = {0};
	struct pause_member *member, *next;
	bool again = false;

	for (member = pause->first; member; member = next) {
		enum pause_next then;

		next = member->next;
		if (!all && !member->goes_on)
			continue;
		then = pause->resume(member);
		member->goes_on = then == PAUSE_GOES_ON;
		again |= member->goes_on;
		if (then == PAUSE_ENDS)
			pause_cancel(member);
	}
	if (again)
		evtimer_add(&pause->turn, &at_once);
}

/* The timer runs for as long as somebody pauses. */
static void on_due(evutil_socket_t fd, short what, void *argument)
{
	struct pause *pause = argument;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0)
		return;
	if (!pause->first)
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

void pause_add(struct pause *pause, struct pause_member *member)
{
	if (!pause->is_running)
		run(pause, true);
	member->next = pause->first;
	member->link = &pause->first;
	if (member->next)
		member->next->link = &member->next;
	pause->first = member;
}

void pause_cancel(struct pause_member *member)
{
	if (!member->link)
		return;
	*member->link = member->next;
	if (member->next)
		member->next->link = member->link;
	member->link = NULL;
	member->goes_on = false;
}
