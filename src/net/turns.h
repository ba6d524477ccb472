/* Round-robin turns. Connections that have something to do queue up behind their user, and the
 * users in one queue: at each turn one connection of the next user is served a little. After
 * TURN_NS the loop handles whatever else is ready, so that neither one busy connection nor a
 * thousand of them hold up datagrams, timers or other users. */
#pragma once

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"

/* Less than the time in which a receive buffer fills up; long enough that the cost of a round of
 * the loop does not matter. */
#define TURN_NS (250 * 1000)

/* The same where turns are short. More than TURN_NS: connections are accepted faster than the
 * requests on them are served, as a full backlog holds up all users alike. */
#define SHORT_TURNS_NS (500 * 1000)

/* An object that may wait in a queue. Embedded in it; zeroed, it waits in none. link_remove() makes
 * it leave its queue. */
struct turn {
	struct link link;
	void (*serve)(struct turn *turn); /* does a little; may free the object */
};

/* Appends to a queue, which list_init() made; a turn that waits already keeps its place. */
void turn_append(struct link *queue, struct turn *turn);

/* Removes and returns the first turn; NULL when there is none. */
struct turn *turn_next(struct link *queue);

/* The queue that the loop serves. */
struct turns {
	struct event event;
	struct link queue;
	uint64_t end_ns; /* of this round, CLOCK_MONOTONIC */
	uint64_t debt_ns; /* what rounds took beyond TURN_NS; rounds without turns pay for it */
	bool are_short;
	bool serving;
};

/* Where turns are short, what a round took beyond SHORT_TURNS_NS is what the daemon waited for the
 * processor, and nothing is owed for it. */
void turns_init(struct turns *turns, struct event_base *base, bool are_short);
void turns_clear(struct turns *turns);

/* Appends to the queue that the loop serves. */
void turns_wait(struct turns *turns, struct turn *turn);

/* Whether the time of this round is over, and the object being served must stop. */
static inline bool turns_over(const struct turns *turns)
{
	return clock_ns(CLOCK_MONOTONIC) >= turns->end_ns;
}
