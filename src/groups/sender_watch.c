#include "groups/sender_watch.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/timer.h"
#include "groups/group.h"

/* Groups that stop before other events of the loop have their turn. */
#define TURN_MAX 64

/* In the order in which they were asked for, which is that of their ends. */
struct sender_watches {
	struct link asked;
	struct event timer; /* while there are such groups */
	void (*apply_needs)(struct group *group);
};

static struct group *group_of(struct sender_watch *watch)
{
	return container_of(watch, struct group, sender_watch);
}

static void schedule(struct sender_watches *watches, uint32_t delay_s)
{
	timer_start(&watches->timer, &(struct timeval){.tv_sec = delay_s});
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct sender_watches *watches = argument;
	struct sender_watch *watch;
	uint32_t now_s = coarse_s();
	unsigned stopped = 0;

	(void)fd, (void)what;
	list_for_each(watch, &watches->asked, asked) {
		if (watch->until_s > now_s || stopped++ == TURN_MAX) {
			schedule(watches, watch->until_s > now_s ? watch->until_s - now_s : 0);
			return;
		}
		link_remove(&watch->asked);
		watches->apply_needs(group_of(watch));
	}
}

struct sender_watches *sender_watches_new(
	struct event_base *base, void (*apply_needs)(struct group *group))
{
	struct sender_watches *watches = calloc(1, sizeof(*watches));

	if (!watches)
		return NULL;
	list_init(&watches->asked);
	watches->apply_needs = apply_needs;
	evtimer_assign(&watches->timer, base, on_timer, watches);
	return watches;
}

void sender_watches_free(struct sender_watches *watches)
{
	if (!watches)
		return;
	evtimer_del(&watches->timer);
	free(watches);
}

void sender_watch_ask(struct group *group)
{
	struct sender_watches *watches = group->context->sender_watches;

	if (config_group_is_made_here(group->config))
		return;
	if (list_is_empty(&watches->asked))
		schedule(watches, SENDER_WATCH_S);
	link_remove(&group->sender_watch.asked);
	list_append(&watches->asked, &group->sender_watch.asked);
	group->sender_watch.until_s = coarse_s() + SENDER_WATCH_S;
	watches->apply_needs(group);
}

void sender_watch_note(struct group *group, const struct origin *origin,
	const struct datagram *datagrams, unsigned count)
{
	struct sender_watch *watch = &group->sender_watch;

	bool is_numbered = group->numbered.counters;

	if (!watch->known)
		watch->known = is_numbered ? numbered_new_senders(&group->numbered)
					   : known_senders_new(NULL);
	if (!watch->known)
		return;
	if (is_numbered)
		numbered_note(group, watch->known, origin, datagrams, count);
	else
		known_senders_note(
			watch->known, origin, datagrams, count, clock_ns(CLOCK_REALTIME_COARSE));
}

void sender_watch_forget(struct group *group)
{
	known_senders_free(take(group->sender_watch.known));
}

void sender_watch_move(struct group *group, struct group *from, bool keeps)
{
	if (sender_watch_is_asked(&from->sender_watch))
		sender_watch_ask(group);
	if (keeps && group->needs & NEED_SOURCE)
		group->sender_watch.known = take(from->sender_watch.known);
}

void sender_watch_clear(struct group *group)
{
	link_remove(&group->sender_watch.asked);
	sender_watch_forget(group);
}
