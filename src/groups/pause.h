/* Reading in larger pieces where no outlet needs datagrams at once: a socket that was drained is
 * not read for a moment, so that the next wake-up finds more than a few datagrams. Below
 * saturation, wake-ups are most of the cost of receiving. */
#pragma once

#include <event2/event_struct.h>
#include <stdbool.h>

#include "base/list.h"

struct pause;

/* What comes after a pause. */
enum pause_next {
	PAUSE_AGAIN,
	PAUSE_GOES_ON, /* more to read: at once, but after the others */
	PAUSE_ENDS,
};

/* Embedded in the membership that pauses. */
struct pause_member {
	struct link link;
	bool goes_on; /* it returned PAUSE_GOES_ON */
};

/* Calls resume for each member after a pause of two milliseconds or less. Returns NULL without
 * memory or a descriptor. */
struct pause *pause_new(
	struct event_base *base, enum pause_next (*resume)(struct pause_member *member));

/* No member may be left. Accepts NULL. */
void pause_free(struct pause *pause);

/* Returns 0, or a negative errno when nothing calls resume. */
int pause_add(struct pause *pause, struct pause_member *member);

/* Ends its pause, if it has one. */
void pause_cancel(struct pause_member *member);
