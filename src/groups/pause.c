#include "groups/pause.h"

#include <event2/event.h>
#include <stdlib.h>

struct pause {
	struct event timer; /* for all of them */
	struct pause_member *first;
	bool (*resume)(struct pause_member *member);
};

static void arm(struct pause *pause)
{
	static const struct timeval time = {.tv_usec = 2000};

	evtimer_add(&pause->timer, &time);
}

/* Where traffic keeps coming, the socket is read from here time and again, and never waited for. */
static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct pause *pause = argument;
	struct pause_member *member, *next;

	(void)fd, (void)what;
	for (member = pause->first; member; member = next) {
		next = member->next;
		if (!pause->resume(member))
			pause_cancel(member);
	}
	if (pause->first)
		arm(pause);
}

struct pause *pause_new(struct event_base *base, bool (*resume)(struct pause_member *member))
{
	struct pause *pause = calloc(1, sizeof(*pause));

	if (!pause)
		return NULL;
	pause->resume = resume;
	evtimer_assign(&pause->timer, base, on_timer, pause);
	return pause;
}

void pause_free(struct pause *pause)
{
	if (!pause)
		return;
	event_del(&pause->timer);
	free(pause);
}

void pause_add(struct pause *pause, struct pause_member *member)
{
	if (!pause->first)
		arm(pause);
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
}
