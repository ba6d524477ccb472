#include "control/turns.h"

#include <event2/event.h>

void turn_append(struct link *queue, struct turn *turn)
{
	if (!link_is_used(&turn->link))
		list_append(queue, &turn->link);
}

struct turn *turn_next(struct link *queue)
{
	struct turn *turn = list_first(queue, struct turn, link);

	if (turn)
		link_remove(&turn->link);
	return turn;
}

/* The rest is served after the loop has polled its descriptors: a timer is not due before the next
 * round of the loop, where an event made active would run in this one. */
static void on_turn(evutil_socket_t fd, short what, void *argument)
{
	static const struct timeval at_once = {0};
	struct turns *turns = argument;
	struct turn *turn;

	(void)fd, (void)what;
	turns->end_ns = clock_ns(CLOCK_MONOTONIC) + TURN_NS;
	turns->serving = true;
	while ((turn = turn_next(&turns->queue))) {
		turn->serve(turn);
		if (turns_over(turns))
			break;
	}
	turns->serving = false;
	if (!list_is_empty(&turns->queue))
		evtimer_add(&turns->event, &at_once);
}

void turns_init(struct turns *turns, struct event_base *base)
{
	*turns = (struct turns){0};
	list_init(&turns->queue);
	evtimer_assign(&turns->event, base, on_turn, turns);
}

void turns_clear(struct turns *turns)
{
	evtimer_del(&turns->event);
}

/* The first turn is served in this round of the loop, after the other events that are ready.
 * on_turn() itself sees those that are appended while it serves. */
void turns_wait(struct turns *turns, struct turn *turn)
{
	if (!turns->serving && list_is_empty(&turns->queue))
		event_active(&turns->event, EV_TIMEOUT, 0);
	turn_append(&turns->queue, turn);
}
