/* Whose turn it is. Connections that have something to do stand in their user's queue, and the
 * users in one queue: each user in turn has one connection served a little. All of it together
 * takes the loop for TURN_NS, then whatever else is ready comes first; so that neither one busy
 * connection nor a thousand of them hold up datagrams, timers or other users. */
#pragma once

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

/* Less than the time in which a receive buffer fills up; enough that what a round of the loop costs
 * does not count. */
#define TURN_NS (250 * 1000)

/* Somebody who may stand in a queue. Embedded in the object that is served; zeroed, it stands in
 * none. */
struct turn {
	struct turn *next, *previous;
	void (*serve)(struct turn *turn); /* does a little; may free the object */
};

/* A queue is the ring that begins and ends at its own turn. */
struct turn_queue {
	struct turn ends;
};

void turn_queue_init(struct turn_queue *queue);

/* Stands at the end of the queue; whoever stands in it stays where it is. */
void turn_queue_add(struct turn_queue *queue, struct turn *turn);

/* Takes out the first one; NULL when there is none. */
struct turn *turn_queue_take(struct turn_queue *queue);

/* Leaves the queue that it stands in, if any. */
void turn_cancel(struct turn *turn);

static inline bool turn_queue_is_empty(const struct turn_queue *queue)
{
	return queue->ends.next == &queue->ends;
}

/* The queue that the loop serves. */
struct turns {
	struct event event;
	struct turn_queue queue;
	uint64_t end_ns; /* of this round, CLOCK_MONOTONIC */
	bool serving;
};

void turns_init(struct turns *turns, struct event_base *base);
void turns_clear(struct turns *turns);

/* Stands at the end of the queue that the loop serves. */
void turns_wait(struct turns *turns, struct turn *turn);

/* Whether this round has taken its time, and whoever is being served is to stop. */
static inline bool turns_over(const struct turns *turns)
{
	return clock_ns(CLOCK_MONOTONIC) >= turns->end_ns;
}
