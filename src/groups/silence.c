#include "groups/silence.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <poll.h>
#include <stdlib.h>

#include "base/timer.h"
#include "base/units.h"
#include "data/notice.h"
#include "groups/group.h"

/* How much later than CLOCK_MONOTONIC_COARSE it may be: a tick of the slowest kernel (HZ=100). */
#define TICK_NS (10 * NS_PER_MS)

/* How long datagrams that are queued when a group is due may wait to be read: after the daemon was
 * stopped, many groups are due at once, and have not been silent. */
#define CHECK_NS (50 * NS_PER_MS)

/* Most groups that are examined before other events of the loop have their turn. */
#define TURN_MAX 500

struct silences {
	struct deadlines deadlines; /* CLOCK_MONOTONIC */
	struct event timer;
	uint64_t timer_ns; /* when it expires, CLOCK_MONOTONIC; 0: it does not run */
	struct notice_sink *notices;
};

static struct group *group_of(struct silence *silence)
{
	return container_of(silence, struct group, silence);
}

/* The one that is due first; NULL: there is none. */
static struct silence *first_of(const struct silences *silences)
{
	struct deadline *deadline = deadlines_first(&silences->deadlines);

	return deadline ? container_of(deadline, struct silence, deadline) : NULL;
}

/* Sets the timer for the group that is due first. */
static void schedule(struct silences *silences)
{
	const struct silence *first = first_of(silences);
	uint64_t due = first ? first->deadline.due_ns : 0, now;
	struct timeval delay;

	if (!due || (silences->timer_ns && silences->timer_ns <= due))
		return;
	now = clock_ns(CLOCK_MONOTONIC);
	delay = ns_timeval(due > now ? due - now : 0);
	timer_start(&silences->timer, &delay);
	silences->timer_ns = due;
}

static uint64_t due_of(const struct group *group)
{
	return group->silence.heard_ns + group->config->expect_within + TICK_NS;
}

/* A duration for people: whole milliseconds. */
static const char *shown_duration(uint64_t ns, char string[static UNIT_STRING_MAX])
{
	return format_duration(ns / NS_PER_MS * NS_PER_MS, string);
}

static void begin(struct silences *silences, struct group *group, uint64_t now)
{
	char within[UNIT_STRING_MAX], text[512];

	snprintf(text, sizeof(text),
		"group %s: silent: no datagram for %s; to find out why: %s doctor %s",
		group->config->name, shown_duration(group->config->expect_within, within),
		group->context->mcastctl, group->config->name);
	deadlines_remove(&silences->deadlines, &group->silence.deadline);
	group->silence.is_silent = true;
	notice_send(silences->notices, &(struct notice){.kind = NOTICE_SILENCE,
					       .state = NOTICE_BEGIN,
					       .group = group->config->name,
					       .nanoseconds = now - group->silence.heard_ns,
					       .level = LOG_WARNING,
					       .text = text});
}

/* why: NULL: a datagram has arrived. */
static void end(struct silences *silences, struct group *group, const char *why)
{
	uint64_t silent = clock_ns(CLOCK_MONOTONIC) - group->silence.heard_ns;
	char duration[UNIT_STRING_MAX], text[WHY_MAX];

	shown_duration(silent, duration);
	if (why)
		snprintf(text, sizeof(text), "group %s: %s, after %s without a datagram",
			group->config->name, why, duration);
	else
		snprintf(text, sizeof(text),
			"group %s: receives again, after %s without a datagram",
			group->config->name, duration);
	group->silence.is_silent = false;
	notice_send(silences->notices, &(struct notice){.kind = NOTICE_SILENCE,
					       .state = NOTICE_END,
					       .group = group->config->name,
					       .why = why,
					       .nanoseconds = silent,
					       .level = LOG_NOTICE,
					       .text = text});
}

static bool has_queued(const struct group *group)
{
	for (size_t i = 0; i < group->memberships.count; i++) {
		struct pollfd poll_fd = {.fd = group->memberships.items[i]->fd, .events = POLLIN};

		if (poll(&poll_fd, 1, 0) > 0)
			return true;
	}
	return false;
}

/* The group is due. Either it has heard something meanwhile, or it is silent. */
static void examine(struct silences *silences, struct group *group, uint64_t now)
{
	struct silence *silence = &group->silence;
	uint64_t due = due_of(group);

	if (due <= now && !silence->is_checked && has_queued(group)) {
		silence->is_checked = true;
		due = now + CHECK_NS;
	} else if (due <= now) {
		begin(silences, group, now);
		return;
	} else {
		silence->is_checked = false;
	}
	silence->deadline.due_ns = due;
	deadlines_move(&silences->deadlines, &silence->deadline);
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct silences *silences = argument;
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	(void)fd, (void)what;
	silences->timer_ns = 0;
	for (unsigned i = 0; i < TURN_MAX; i++) {
		struct silence *first = first_of(silences);

		if (!first || first->deadline.due_ns > now)
			break;
		examine(silences, group_of(first), now);
	}
	schedule(silences);
}

struct silences *silences_new(struct event_base *base, struct notice_sink *notices)
{
	struct silences *silences = calloc(1, sizeof(*silences));

	if (!silences)
		return NULL;
	silences->notices = notices;
	evtimer_assign(&silences->timer, base, on_timer, silences);
	return silences;
}

void silences_free(struct silences *silences)
{
	if (!silences)
		return;
	evtimer_del(&silences->timer);
	free(silences->deadlines.items);
	free(silences);
}

/* Without memory the group is not watched. */
static void start(struct group *group)
{
	struct silences *silences = group->context->silences;

	group->silence = (struct silence){.heard_ns = clock_ns(CLOCK_MONOTONIC_COARSE)};
	group->silence.deadline.due_ns = due_of(group);
	if (deadlines_add(&silences->deadlines, &group->silence.deadline) < 0)
		group->silence.heard_ns = 0;
	else
		schedule(silences);
}

void silence_watch(struct group *group)
{
	if (group->config->expect_within && !group->silence.heard_ns)
		start(group);
}

void silence_cancel(struct group *group)
{
	struct silence *silence = &group->silence;

	if (!silence->heard_ns)
		return;
	if (silence->is_silent)
		end(group->context->silences, group, "the group or its expect_within was changed");
	else
		deadlines_remove(&group->context->silences->deadlines, &silence->deadline);
	*silence = (struct silence){0};
}

void silence_inherit(struct group *group, struct group *from)
{
	if (!from->silence.heard_ns || from->config->expect_within != group->config->expect_within)
		return;
	group->silence = from->silence;
	from->silence = (struct silence){0};
	if (!group->silence.is_silent)
		deadlines_replace(&group->context->silences->deadlines, &group->silence.deadline);
}

void silence_end(struct silence *silence)
{
	struct group *group = group_of(silence);

	end(group->context->silences, group, NULL);
	start(group);
}
