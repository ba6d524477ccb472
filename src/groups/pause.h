/* Reading in larger pieces where nobody is in a hurry: a socket that was drained is left alone for a moment, so that the next
 * wake-up finds more than a few datagrams. Below saturation wake-ups are most of what receiving costs. */
#pragma once

#include <event2/event_struct.h>
#include <stdbool.h>

struct pause;

/* Embedded in the membership that pauses. */
struct pause_member {
	struct pause_member *next, **link; /* link is NULL when it does not pause */
};

/* After two milliseconds at the most, resume is called for each that pauses; it returns whether to pause again. Returns NULL
 * without memory or a descriptor. */
struct pause *pause_new(struct event_base *base, bool (*resume)(struct pause_member *member));

/* Nobody may pause any more. Accepts NULL. */
void pause_free(struct pause *pause);

void pause_add(struct pause *pause, struct pause_member *member);
void pause_cancel(struct pause_member *member);
