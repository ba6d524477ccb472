/* When each datagram of a recording is due. All times are computed from one start, in whole
 * numbers, so that errors do not add up. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The recorded speed. Others are multiples in units of 10^-9; 0: no pauses. */
#define SPEED_OWN 1000000000ull

/* "2", "0.5", "max". Returns 0, or -EINVAL: not a decimal within SPEED_LIMITS. */
int speed_parse(const char *string, uint64_t *ret);
#define SPEED_LIMITS "0.000001 to 1000000"

/* Zeroed at first, but for the speed. */
struct pace {
	uint64_t speed;
	uint64_t start_ns; /* of CLOCK_MONOTONIC: when the first datagram is due */
	uint64_t first_ns, latest_ns; /* timestamps of this pass over the recording */
	uint64_t before_ns; /* length of the passes before this one, in the recording's time */
	uint64_t count; /* datagrams of this pass that have a time */
};

/* When the next datagram is due on CLOCK_MONOTONIC. The very first is due now. One that is older
 * than the first of its pass is due with it. */
uint64_t pace_due(struct pace *pace, uint64_t timestamp_ns, uint64_t now_ns);

/* The same for one without a time, in front of all of its pass that have one: it is due with the
 * first of them. */
uint64_t pace_due_untimed(struct pace *pace, uint64_t now_ns);

/* Starts another pass, after the mean interval between datagrams. Where all have the same
 * timestamp, or there is only one, after a second: a loop must not become a flood. */
void pace_repeat(struct pace *pace);
