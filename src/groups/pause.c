#include "groups/pause.h"

#include <event2/event.h>
#include <stdlib.h>

struct pause {
	struct event timer; /* for all of them */
	struct pause_member *first;
};

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct pause *pause = argument;

	(void)fd, (void)what;
	while (pause->first) {
		struct pause_member *member = pause->first;

		pause_cancel(member);
		event_add(member->readable, NULL);
	}
}

struct pause *pause_new(struct event_base *base)
{
	struct pause *pause = calloc(1, sizeof(*pause));

	if (pause)
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
	static const struct timeval time = {.tv_usec = 1000};

	if (!pause->first)
		evtimer_add(&pause->timer, &time);
	event_del(member->readable);
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
