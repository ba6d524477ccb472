/* The group of the daemon's own events: each notice becomes a log line and one datagram, a JSON
 * object.
 *
 * Notices are limited, so that whatever happens in a network costs this host a bounded amount: one
 * a second for each topic, which is a kind, a group and a sender, and LIMIT a second in all. An end
 * follows its begin at once, and then the topic has two seconds of rest. What comes beyond is not
 * forgotten: the last notice of each topic is told when there is room, and stands for those before
 * it. While many wait, one event tells how many. */
#pragma once

#include <event2/event.h>

#include "data/notice.h"
#include "groups/groups.h"

struct events;

/* Returns NULL without memory. */
struct events *events_new(struct event_base *base);

/* Accepts NULL. */
void events_free(struct events *events);

/* Where notices are sent to. */
struct notice_sink *events_sink(struct events *events);

/* Sees each event as it is told, also where nobody receives the group. Embedded in the object that
 * does. */
struct events_watcher {
	/* What notice points to is valid until this returns. happened_ns is CLOCK_REALTIME. */
	void (*told)(
		struct events_watcher *watcher, const struct notice *notice, uint64_t happened_ns);
};

/* There is one at most; NULL: none from now on. */
void events_watch(struct events *events, struct events_watcher *watcher);

/* From now on events are delivered to the group of that name among groups. */
void events_begin(struct events *events, struct groups *groups);

/* Tells what waits, as far as the limit allows, and nothing from then on. Must come before the
 * groups are freed. Accepts NULL. */
void events_end(struct events *events);
