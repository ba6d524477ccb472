#include "recorder/turn.h"

/* A datagram may be on its way for this time. */
#define LATE_NS (200 * NS_PER_MS)
/* A thread that is served later than this was held up, and datagrams may wait to be read. */
#define STALL_NS (50 * NS_PER_MS)
/* The clock is read again after this time: it may be set, and the host may sleep. */
#define LOOK_NS (600 * NS_PER_S)

static void look_later(struct recorder_turn *turn, struct moment now)
{
	uint64_t left = turn->at_ns > now.real_ns ? turn->at_ns - now.real_ns : 0;

	if (left > turn->every_ns)
		left = turn->every_ns;
	if (left > LOOK_NS)
		left = LOOK_NS;
	turn->due_ns = now.monotonic_ns + LATE_NS + left;
}

/* At the next multiple of every_ns. */
void recorder_turn_find(struct recorder_turn *turn, uint64_t within_ns, struct moment now)
{
	uint64_t every = turn->every_ns;

	if (!every)
		return;
	turn->at_ns = (within_ns / every + 1) * every;
	look_later(turn, now);
}

void recorder_turn_begin(struct recorder_turn *turn, uint64_t first_ns, struct moment now)
{
	bool is_late = first_ns < turn->since_ns && turn->since_ns <= now.real_ns;

	recorder_turn_find(turn, is_late ? turn->since_ns : first_ns, now);
}

void recorder_turn_end(struct recorder_turn *turn, bool for_age)
{
	turn->since_ns = for_age ? turn->at_ns : turn->at_ns ? turn->at_ns - turn->every_ns : 0;
}

time_t recorder_turn_first(const struct recorder_turn *turn)
{
	return turn->at_ns ? (time_t)((turn->at_ns - turn->every_ns) / NS_PER_S) : 0;
}

time_t recorder_turn_last(const struct recorder_turn *turn)
{
	return (time_t)(turn->at_ns / NS_PER_S);
}

bool recorder_turn_look(struct recorder_turn *turn, struct moment now)
{
	if (now.monotonic_ns > turn->due_ns + STALL_NS)
		turn->idle_since_ns = now.monotonic_ns;
	turn->due_ns = 0;
	if (!turn->at_ns)
		return false; /* the first record says when */
	if (recorder_turn_is_over(turn, now.real_ns))
		return true;
	if (turn->at_ns - now.real_ns > turn->every_ns)
		recorder_turn_find(turn, now.real_ns, now); /* the clock was set back */
	else
		look_later(turn, now);
	return false;
}

uint64_t recorder_turn_due(const struct recorder_turn *turn, uint64_t not_before_ns)
{
	uint64_t idle_ns = turn->idle_since_ns + LATE_NS;

	return idle_ns > not_before_ns ? idle_ns : not_before_ns;
}
