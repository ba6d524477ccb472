/* The last events of the daemon, for the status page: kept only while the server listens. */
#pragma once

#include "groups/events.h"

#define RECENT_EVENTS_MAX 50

struct recent_event {
	struct notice *notice; /* without the text for the log; NULL: none */
	uint64_t happened_ns; /* CLOCK_REALTIME */
};

struct recent_events {
	struct events_watcher watcher;
	struct events *events; /* watched; NULL: they are not */
	struct recent_event ring[RECENT_EVENTS_MAX];
	unsigned next; /* the oldest */
};

/* Keeps what is told from now on; does nothing where that is so already. Zeroed before. */
void recent_events_begin(struct recent_events *recent, struct events *events);

/* Forgets all, and keeps no more. Accepts what is zeroed. */
void recent_events_end(struct recent_events *recent);

/* The i-th, the oldest first, i < RECENT_EVENTS_MAX; NULL: there are fewer. */
const struct recent_event *recent_events_at(const struct recent_events *recent, unsigned i);
