#include "groups/retry.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/timer.h"
#include "groups/transitions.h"
#include "net/portions.h"

#define DELAY_MAX_S 60

struct retries {
	struct event timer;
	struct portions round; /* those that are due */
	struct link waiting; /* for the next round */
	struct link due; /* in this round */
	int delay_s; /* before the next round */
	bool in_round;
	const struct interface_list *interfaces;
	struct transitions *transitions;
	void (*again)(struct retry *retry, const struct interface_list *interfaces);
};

static void move_all(struct link *from, struct link *to)
{
	struct link *link;

	while ((link = from->next) != from) {
		link_remove(link);
		list_append(to, link);
	}
}

/* Waits for the next round, where one is of use. */
static void schedule(struct retries *retries)
{
	struct timeval delay = {.tv_sec = retries->delay_s};

	if (!retries->in_round && !list_is_empty(&retries->waiting))
		timer_start(&retries->timer, &delay);
}

static bool try_next(void *argument)
{
	struct retries *retries = argument;
	struct retry *retry = list_first(&retries->due, struct retry, link);

	if (retry) {
		link_remove(&retry->link);
		list_append(&retries->waiting, &retry->link);
		retries->again(retry, retries->interfaces);
	}
	if (!list_is_empty(&retries->due))
		return true;
	transitions_end(retries->transitions);
	retries->in_round = false;
	schedule(retries);
	return false;
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct retries *retries = argument;

	(void)fd, (void)what;
	transitions_begin(retries->transitions);
	retries->in_round = true;
	move_all(&retries->waiting, &retries->due);
	retries->delay_s = 2 * retries->delay_s < DELAY_MAX_S ? 2 * retries->delay_s : DELAY_MAX_S;
	portions_start(&retries->round);
}

struct retries *retries_new(struct event_base *base, const struct interface_list *interfaces,
	struct transitions *transitions,
	void (*again)(struct retry *retry, const struct interface_list *interfaces))
{
	struct retries *retries = calloc(1, sizeof(*retries));

	if (!retries)
		return NULL;
	list_init(&retries->waiting);
	list_init(&retries->due);
	retries->interfaces = interfaces;
	retries->transitions = transitions;
	retries->again = again;
	evtimer_assign(&retries->timer, base, on_timer, retries);
	portions_init(&retries->round, base, try_next, retries);
	return retries;
}

void retries_free(struct retries *retries)
{
	if (!retries)
		return;
	evtimer_del(&retries->timer);
	portions_stop(&retries->round);
	if (retries->in_round)
		transitions_end(retries->transitions);
	free(retries);
}

void retry_add(struct retries *retries, struct retry *retry)
{
	if (link_is_used(&retry->link))
		return;
	list_append(&retries->waiting, &retry->link);
	/* Who comes while the first delay runs does not prolong it. */
	if (retries->delay_s == 1 && evtimer_pending(&retries->timer, NULL))
		return;
	retries->delay_s = 1;
	schedule(retries);
}

void retry_cancel(struct retry *retry)
{
	link_remove(&retry->link);
}
