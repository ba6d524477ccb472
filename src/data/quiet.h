/* Whether something that receives has become quiet, by its own rhythm: for whoever checks its
 * counter of datagrams once a minute or so. Pure: the caller has the clock. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Nothing is quiet that received something within this time, in seconds. Shorter than the interval
 * of the checks, so that the first one after a join can tell. */
#define QUIET_MIN_S 55

enum quiet_state {
	QUIET_NOT, /* or it is not known: too little has come to tell its rhythm */
	QUIET_NEVER, /* nothing has ever come */
	QUIET_STOPPED, /* nothing has come for many times its usual pause */
};

/* Zeroed it is not begun. */
struct quiet {
	uint64_t received; /* when last checked */
	uint64_t usual_ms; /* pause between datagrams: the longest of the last ones */
	uint32_t since_s; /* of the check that last found more, or of the beginning */
	uint32_t active; /* checks that found more, as far as it matters */
};

/* It can receive from now on. What is known of its rhythm stays. */
void quiet_begin(struct quiet *quiet, uint64_t received, uint32_t now_s);

/* Takes its counter. Returns whether something came since the last time. */
bool quiet_check(struct quiet *quiet, uint64_t received, uint32_t now_s);

/* After quiet_check(). */
enum quiet_state quiet_state(const struct quiet *quiet, uint32_t now_s);
