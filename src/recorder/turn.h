/* When a file is rotated for its age. The times of the datagrams say in which file they belong: one
 * from at_ns on begins a new file. The clock alone rotates only where none has come for a while, as
 * those from before at_ns may still be on their way. A datagram that comes later than others of the
 * next file goes to that.
 *
 * Pure: the caller says what time it is. Zeroed, but for every_ns, it waits for a record. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/clock.h"

/* A moment, by both clocks: the one that may be set, and the one that may not. */
struct moment {
	uint64_t real_ns, monotonic_ns;
};

struct recorder_turn {
	uint64_t every_ns; /* rotate_every; 0: no file is rotated for its age */
	uint64_t at_ns; /* CLOCK_REALTIME; 0: the file has no record yet */
	uint64_t since_ns; /* CLOCK_REALTIME: where the file's time begins; 0: with its first record
			    */
	uint64_t due_ns; /* CLOCK_MONOTONIC: when to look at the clock; 0: nothing to look for */
	uint64_t idle_since_ns; /* CLOCK_MONOTONIC: no datagram has come since then */
};

static inline struct moment moment_now(void)
{
	return (struct moment){clock_ns(CLOCK_REALTIME), clock_ns(CLOCK_MONOTONIC)};
}

/* Of a file that has records: one of them has this time, CLOCK_REALTIME. */
void recorder_turn_find(struct recorder_turn *turn, uint64_t within_ns, struct moment now);

/* The first record of a file has this time. The file's own time begins no earlier than where that
 * of the last one has ended, unless the clock was set back. */
void recorder_turn_begin(struct recorder_turn *turn, uint64_t first_ns, struct moment now);

/* The file has no record, or is not known any more. */
static inline void recorder_turn_forget(struct recorder_turn *turn)
{
	turn->at_ns = turn->due_ns = 0;
}

/* The file was rotated: for its age, or before. */
void recorder_turn_end(struct recorder_turn *turn, bool for_age);

/* Whether a datagram of this time, CLOCK_REALTIME, does not belong to the file any more. */
static inline bool recorder_turn_is_over(const struct recorder_turn *turn, uint64_t time_ns)
{
	return turn->at_ns && time_ns >= turn->at_ns;
}

/* Where the file's time begins and ends, in seconds since the epoch; 0: it has none. */
time_t recorder_turn_first(const struct recorder_turn *turn);
time_t recorder_turn_last(const struct recorder_turn *turn);

/* When due_ns has come: looks at the clock. Returns whether the file's time is over; then the
 * caller rotates it, or sets due_ns again. If not, due_ns says when to look again. */
bool recorder_turn_look(struct recorder_turn *turn, struct moment now);

/* Of a file whose time is over: when the clock may rotate it, CLOCK_MONOTONIC. That is not before
 * not_before_ns, and when no datagram can be on its way any more. */
uint64_t recorder_turn_due(const struct recorder_turn *turn, uint64_t not_before_ns);
