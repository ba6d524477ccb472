#include "control/turns.h"

#include <event2/event.h>

void turn_queue_init(struct turn_queue *queue)
{
	queue->ends.next = queue->ends.previous = &queue->ends;
}

void turn_queue_add(struct turn_queue *queue, struct turn *turn)
{
	if (turn->next)
		return;
	turn->next = &queue->ends;
	turn->previous = queue->ends.previous;
	turn->previous->next = turn;
	queue->ends.previous = turn;
}

struct turn *turn_queue_take(struct turn_queue *queue)
{
	struct turn *turn = queue->ends.next;

	if (turn == &queue->ends)
		return NULL;
	turn_cancel(turn);
	return turn;
}

void turn_cancel(struct turn *turn)
{
	if (!turn->next)
		return;
	turn->previous->next = turn->next;
	turn->next->previous = turn->previous;
	turn->next = turn->previous = NULL;
}

/* The rest is served after the loop has looked at its descriptors again: a timer is due in the next
 * round of the loop only, where an event that was made active would run in this one. */
static void on_turn(evutil_socket_t fd, short what, void *argument)
{
	static const struct timeval at_once = {0};
	struct turns *turns = argument;
	struct turn *turn;

	(void)fd, (void)what;
	turns->end_ns = clock_ns(CLOCK_MONOTONIC) + TURN_NS;
	turns->serving = true;
	while ((turn = turn_queue_take(&turns->queue))) {
		turn->serve(turn);
		if (turns_over(turns))
			break;
	}
	turns->serving = false;
	if (!turn_queue_is_empty(&turns->queue))
		evtimer_add(&turns->event, &at_once);
}

void turns_init(struct turns *turns, struct event_base *base)
{
	*turns = (struct turns){0};
	turn_queue_init(&turns->queue);
	evtimer_assign(&turns->event, base, on_turn, turns);
}

void turns_clear(struct turns *turns)
{
	evtimer_del(&turns->event);
}

/* The first to come is served in this round of the loop, after what else is ready in it. Who comes
 * back while they are served is seen by on_turn(). */
void turns_wait(struct turns *turns, struct turn *turn)
{
	if (!turns->serving && turn_queue_is_empty(&turns->queue))
		event_active(&turns->event, EV_TIMEOUT, 0);
	turn_queue_add(&turns->queue, turn);
}
