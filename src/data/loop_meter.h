/* What the rounds of the event loop take, in time of the processor: the time in which the loop
 * waits for events is not in it, nor is that in which it waits for its turn on a busy machine.
 * Pure.
 */
#pragma once

#include <stdint.h>

/* A longest round is shown for this long at least, and then forgotten. */
#define LOOP_METER_SHOWN_NS (60 * 1000000000ull)

struct loop_meter {
	uint64_t rounds;
	uint64_t busy_ns; /* of all of them */
	uint64_t ended_ns; /* the last one, by the clock of the processor */
	uint64_t window_end_ns; /* CLOCK_MONOTONIC */
	uint64_t longest_ns, longest_before_ns; /* in this window, and in the one before it */
};

/* Begins, or begins again after a time that is not to count. processor_ns is of the loop's thread
 * (CLOCK_THREAD_CPUTIME_ID). */
void loop_meter_begin(struct loop_meter *meter, uint64_t processor_ns);

/* A round has ended. */
void loop_meter_round(struct loop_meter *meter, uint64_t processor_ns);

/* The longest round of the last minute or more; since two readings ago where those are further
 * apart. So that several readers see the same, reading does not reset it. now_ns is
 * CLOCK_MONOTONIC. */
uint64_t loop_meter_longest(struct loop_meter *meter, uint64_t now_ns);
