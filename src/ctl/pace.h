/* When each datagram of a recording is due. Reckoned from one start, in whole numbers: nothing adds
 * up, however long it takes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A speed in units of 10^-9 of the recording's own; 0: as fast as it goes. */
#define SPEED_OWN 1000000000ull

/* "2", "0.5", "max". Returns 0, or -EINVAL: no positive decimal, or not within what SPEED_LIMITS
 * says. */
int speed_parse(const char *string, uint64_t *ret);
#define SPEED_LIMITS "0.000001 to 1000000"

/* Starts as all zeros, with the speed. */
struct pace {
	uint64_t speed;
	uint64_t start_ns; /* of CLOCK_MONOTONIC: when the first datagram is due */
	uint64_t first_ns, latest_ns; /* timestamps of this pass over the recording */
	uint64_t before_ns; /* in the recording's time: the passes before this one */
	uint64_t count; /* datagrams of this pass */
};

/* When the next datagram, of that timestamp, is due on CLOCK_MONOTONIC. The very first is due now.
 * One that is older than the first of its pass is due with it. */
uint64_t pace_due(struct pace *pace, uint64_t timestamp_ns, uint64_t now_ns);

/* Once more from the start, after the mean distance of two datagrams. Where all were at the same
 * time, or there is only one, after a second: a loop is not to become a flood. */
void pace_repeat(struct pace *pace);
