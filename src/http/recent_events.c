#include "http/recent_events.h"

#include <stdlib.h>

#include "base/cleanup.h"

/* Without memory it is not kept: the log has it, too. */
static void on_told(
	struct events_watcher *watcher, const struct notice *notice, uint64_t happened_ns)
{
	struct recent_events *recent = container_of(watcher, struct recent_events, watcher);
	struct recent_event *oldest = &recent->ring[recent->next];
	struct notice bare = *notice, *copy;

	bare.text = NULL;
	copy = notice_copy(&bare);
	if (!copy)
		return;
	free(oldest->notice);
	*oldest = (struct recent_event){.notice = copy, .happened_ns = happened_ns};
	recent->next = (recent->next + 1) % RECENT_EVENTS_MAX;
}

void recent_events_begin(struct recent_events *recent, struct events *events)
{
	if (recent->events || !events)
		return;
	recent->watcher.told = on_told;
	recent->events = events;
	events_watch(events, &recent->watcher);
}

void recent_events_end(struct recent_events *recent)
{
	if (recent->events)
		events_watch(take(recent->events), NULL);
	for (unsigned i = 0; i < RECENT_EVENTS_MAX; i++)
		free(take(recent->ring[i].notice));
	recent->next = 0;
}

const struct recent_event *recent_events_at(const struct recent_events *recent, unsigned i)
{
	for (unsigned at = 0; at < RECENT_EVENTS_MAX; at++) {
		const struct recent_event *event =
			&recent->ring[(recent->next + at) % RECENT_EVENTS_MAX];

		if (event->notice && !i--)
			return event;
	}
	return NULL;
}
