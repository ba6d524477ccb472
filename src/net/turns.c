#include "net/turns.h"

#include "base/timer.h"

/* The daemon may have been stopped, or have waited for the processor: that is nobody's debt. */
#define DEBT_MAX_NS (8 * TURN_NS)

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

/* Serves turns until the time of this round is over. What one turn took beyond it, as a message is
 * never handled by halves, is owed to whatever else the loop does. */
static void serve_round(struct turns *turns)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	struct turn *turn;

	turns->end_ns = now + (turns->are_short ? SHORT_TURNS_NS : TURN_NS);
	while (now < turns->end_ns && (turn = turn_next(&turns->queue))) {
		turn->serve(turn);
		now = clock_ns(CLOCK_MONOTONIC);
	}
	if (now > turns->end_ns && !turns->are_short)
		turns->debt_ns = now - turns->end_ns;
	if (turns->debt_ns > DEBT_MAX_NS)
		turns->debt_ns = DEBT_MAX_NS;
}

/* The rest is served after the loop has polled its descriptors: a timer is not due before the next
 * round of the loop, where an event made active would run in this one. */
static void on_turn(evutil_socket_t fd, short what, void *argument)
{
	static const struct timeval at_once = {0};
	struct turns *turns = argument;

	(void)fd, (void)what;
	turns->serving = true;
	if (turns->debt_ns >= TURN_NS)
		turns->debt_ns -= TURN_NS;
	else
		serve_round(turns);
	turns->serving = false;
	if (!list_is_empty(&turns->queue))
		timer_start(&turns->event, &at_once);
}

void turns_init(struct turns *turns, struct event_base *base, bool are_short)
{
	*turns = (struct turns){.are_short = are_short};
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
