#include "groups/retry.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/timer.h"
#include "groups/transitions.h"

#define DELAY_MAX_S 60

/* The loop is away for this duration at most, and for this delay it is not. */
#define SLICE_NS (5 * NS_PER_MS)
#define REST_US 1000

struct retries {
	struct event timer;
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

/* Tries those that are due, until the slice is over. */
static void try_due(struct retries *retries)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + SLICE_NS;
	struct retry *retry;

	while ((retry = list_first(&retries->due, struct retry, link)) &&
		clock_ns(CLOCK_MONOTONIC) < end) {
		link_remove(&retry->link);
		list_append(&retries->waiting, &retry->link);
		retries->again(retry, retries->interfaces);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct retries *retries = argument;
	struct timeval next = {.tv_usec = REST_US};

	(void)fd, (void)what;
	if (!retries->in_round) {
		transitions_begin(retries->transitions);
		retries->in_round = true;
		move_all(&retries->waiting, &retries->due);
		retries->delay_s = 2 * retries->delay_s < DELAY_MAX_S ? 2 * retries->delay_s
								      : DELAY_MAX_S;
	}
	try_due(retries);
	if (list_is_empty(&retries->due)) {
		transitions_end(retries->transitions);
		retries->in_round = false;
		next = (struct timeval){.tv_sec = retries->delay_s};
	}
	if (!list_is_empty(&retries->due) || !list_is_empty(&retries->waiting))
		timer_start(&retries->timer, &next);
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
	return retries;
}

void retries_free(struct retries *retries)
{
	if (!retries)
		return;
	evtimer_del(&retries->timer);
	if (retries->in_round)
		transitions_end(retries->transitions);
	free(retries);
}

void retry_add(struct retries *retries, struct retry *retry)
{
	if (link_is_used(&retry->link))
		return;
	list_append(&retries->waiting, &retry->link);
	retries->delay_s = 1;
	if (!retries->in_round)
		timer_start(&retries->timer, &(struct timeval){.tv_sec = retries->delay_s});
}

void retry_cancel(struct retry *retry)
{
	link_remove(&retry->link);
}
