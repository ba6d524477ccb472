/* Reading in larger pieces where nobody is in a hurry: a socket that was drained is left alone for
 * a moment, so that the next wake-up finds more than a few datagrams. Below saturation wake-ups are
 * most of what receiving costs. */
#pragma once

#include <event2/event_struct.h>
#include <stdbool.h>

struct pause;

/* What comes after a pause. */
enum pause_next {
	PAUSE_AGAIN,
	PAUSE_GOES_ON, /* there is more to read: at once, but the others first */
	PAUSE_ENDS,
};

/* Embedded in the membership that pauses. */
struct pause_member {
	struct pause_member *next, **link; /* link is NULL when it does not pause */
	bool goes_on;
};

/* After two milliseconds at the most, resume is called for each that pauses. Returns NULL without
 * memory or a descriptor. */
struct pause *pause_new(
	struct event_base *base, enum pause_next (*resume)(struct pause_member *member));

/* Nobody may pause any more. Accepts NULL. */
void pause_free(struct pause *pause);

void pause_add(struct pause *pause, struct pause_member *member);
void pause_cancel(struct pause_member *member);
