/* Groups with expect_within that receive nothing for longer than that. One timer is for all of
 * them. A datagram costs no more than its time: the deadline of a group moves when it is reached.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/deadlines.h"

struct event_base;
struct group;
struct notice_sink;
struct silences;

/* Embedded in the group; zeroed at first. */
struct silence {
	uint64_t heard_ns; /* the last datagram, or the join, CLOCK_MONOTONIC_COARSE; 0: not watched
			    */
	struct deadline deadline; /* when to look at it next, unless it is silent */
	bool is_silent;
	bool is_checked; /* its sockets had datagrams when it was due, and will be read before it
			    is due again */
};

/* Begin and end of silence are sent to notices. Returns NULL without memory. */
struct silences *silences_new(struct event_base *base, struct notice_sink *notices);
void silences_free(struct silences *silences);

/* For expected_watch(): watches the group from now on, if its configuration wants that. Does
 * nothing where it is watched already. */
void silence_watch(struct group *group);

/* Watches it no more. */
void silence_cancel(struct group *group);

/* Goes on for the group that replaces another one, where the same is expected of both. */
void silence_inherit(struct group *group, struct group *from);

/* Ends the silence of a group. */
void silence_end(struct silence *silence);

/* A datagram of the group has arrived. */
static inline void silence_heard(struct silence *silence)
{
	if (!silence->heard_ns)
		return;
	if (silence->is_silent)
		silence_end(silence);
	silence->heard_ns = clock_ns(CLOCK_MONOTONIC_COARSE);
}
