#include "groups/refresh.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/timer.h"
#include "groups/group.h"
#include "groups/reportable.h"
#include "net/background.h"
#include "net/portions.h"

/* What is due within this part of its period is refreshed with what is due now, so that there are
 * few wake-ups. */
#define SLACK 64

/* How soon it is tried again, where that is before the next time. */
#define RECHECK_NS (10 * NS_PER_S)

struct refreshes {
	struct group_context *context;
	void (*choose)(void *argument, const struct refresh_request *request);
	void *argument;
	struct deadlines deadlines;
	struct event timer;
	uint64_t timer_ns; /* when it expires, CLOCK_MONOTONIC; 0: it does not run */
	struct link requests; /* that wait */
	struct refresh_request *request; /* whose round is under way; NULL: those that are due */
	bool is_busy; /* a round is under way */
	bool was_requested; /* the last round */
	struct link asked; /* groups of the round */
	struct link unclear; /* those for which the holders of ports are read, too */
	struct background *background;
	struct portions portions;
	struct reportable reportable; /* what was read */
};

static void begin_next(struct refreshes *refreshes);

/* ---- Who is due ---- */

/* Groups of one address have one phase: their sockets are changed together. */
static uint64_t next_due(const struct group *group, uint64_t now)
{
	uint64_t period = group->config->refresh;
	uint64_t phase = address_hash(HASH_BEGIN, &group->config->address) % period;
	uint64_t due = now - now % period + phase;

	return due > now ? due : due + period;
}

static struct group *first_due(const struct refreshes *refreshes)
{
	struct deadline *first = deadlines_first(&refreshes->deadlines);

	return first ? container_of(first, struct group, refresh.deadline) : NULL;
}

/* Sets the timer for the group that is due first. */
static void schedule(struct refreshes *refreshes)
{
	const struct group *first = first_due(refreshes);
	uint64_t due = first ? first->refresh.deadline.due_ns : 0, now;
	struct timeval delay;

	if (!due || refreshes->is_busy || (refreshes->timer_ns && refreshes->timer_ns <= due))
		return;
	now = clock_ns(CLOCK_MONOTONIC);
	delay = ns_timeval(due > now ? due - now : 0);
	timer_start(&refreshes->timer, &delay);
	refreshes->timer_ns = due;
}

static void ask(struct refreshes *refreshes, struct group *group)
{
	link_remove(&group->refresh.asked);
	list_append(&refreshes->asked, &group->refresh.asked);
}

static void take_due(struct refreshes *refreshes)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	struct group *group;

	while ((group = first_due(refreshes))) {
		uint64_t slack = group->config->refresh / SLACK;

		if (group->refresh.deadline.due_ns > now + slack)
			break;
		ask(refreshes, group);
		group->refresh.deadline.due_ns = next_due(group, now + slack);
		deadlines_move(&refreshes->deadlines, &group->refresh.deadline);
	}
}

/* What hinders it may be over soon. */
static void recheck_soon(struct refreshes *refreshes, struct group *group)
{
	uint64_t soon = clock_ns(CLOCK_MONOTONIC) + RECHECK_NS;

	if (!group->refresh.is_watched || group->refresh.deadline.due_ns <= soon)
		return;
	group->refresh.deadline.due_ns = soon;
	deadlines_move(&refreshes->deadlines, &group->refresh.deadline);
}

/* ---- One membership ---- */

/* Without memory it is not told. */
static void add_obstacle(
	struct refresh_request *request, const struct membership *membership, const char *why)
{
	struct refresh_obstacle row = {.group = strdup(membership->group->config->name),
		.interface = strdup(membership->interface),
		.why = strdup(why)};

	if (row.group && row.interface && row.why && array_add(&request->impossible, row) >= 0)
		return;
	free(row.group);
	free(row.interface);
	free(row.why);
}

/* The log has a line when another program begins to hinder it, and when that ends. */
static void note(struct membership *membership, const char *why, bool is_shared)
{
	struct refreshed *refreshed = &membership->refreshed;
	struct transitions *transitions = membership->group->context->transitions;
	const char *group = membership->group->config->name;

	if (why && refreshed->impossible && !strcmp(why, refreshed->impossible))
		return;
	if (is_shared && !refreshed->is_shared)
		transition_add(
			transitions, TRANSITION_NOT_REFRESHED, group, membership->interface, why);
	else if (!is_shared && refreshed->is_shared)
		transition_add(
			transitions, TRANSITION_REFRESHED, group, membership->interface, NULL);
	free(refreshed->impossible);
	refreshed->impossible = why ? strdup(why) : NULL;
	refreshed->is_shared = is_shared;
}

void refresh_reported(struct membership *membership, const char *why)
{
	if (!membership->refreshed.is_asked)
		return;
	membership->refreshed.is_asked = false;
	note(membership, why, false);
	if (!why)
		membership->refreshed.at_ns = clock_ns(CLOCK_REALTIME);
}

void refresh_forget(struct membership *membership)
{
	free(take(membership->refreshed.impossible));
	membership->refreshed.is_shared = membership->refreshed.rejoins = false;
}

/* Says once that this costs what comes in meanwhile. */
static void note_protocol(struct membership *membership, bool rejoins)
{
	const char *why = membership->group->config->address.family == AF_INET
				  ? "the sysctl force_igmp_version demands IGMPv1 or IGMPv2"
				  : "the sysctl force_mld_version demands MLDv1";

	if (rejoins && !membership->refreshed.rejoins)
		transition_add(membership->group->context->transitions, TRANSITION_REJOINING,
			membership->group->config->name, membership->interface, why);
	membership->refreshed.rejoins = rejoins;
}

/* All sockets that have the group there, as the kernel reports what they want together. */
static void report(struct membership *membership, bool rejoins)
{
	const struct group_context *context = membership->group->context;
	const struct address *group = &membership->group->config->address;
	unsigned ifindex = membership->origin->ifindex;
	struct membership *same = NULL;

	note_protocol(membership, rejoins);
	if (membership->refreshed.is_asked && report_is_learning(&membership->report))
		return; /* it is one of those that were added with another one */
	while ((same = same_groups_next(context->same_groups, group, ifindex, same))) {
		same->refreshed.is_asked = true;
		report_add(context->reports, &same->report, group, ifindex, rejoins);
	}
}

/* Returns whether it is being reported. */
static bool refresh_membership(struct refreshes *refreshes, struct membership *membership)
{
	char why[WHY_MAX];
	enum reportable_state state = reportable_examine(&refreshes->reportable, membership, why);

	if (state == REPORTABLE || state == REPORTABLE_BY_JOINING) {
		report(membership, state == REPORTABLE_BY_JOINING);
		return true;
	}
	note(membership, why, state == REPORTABLE_SHARED);
	if (refreshes->request)
		add_obstacle(refreshes->request, membership, why);
	return false;
}

/* ---- A round ---- */

static bool is_unclear(const struct refreshes *refreshes, const struct group *group)
{
	for (size_t i = 0; i < group->memberships.count; i++)
		if (reportable_is_unclear(&refreshes->reportable, group->memberships.items[i]))
			return true;
	return false;
}

static void refresh_group(struct refreshes *refreshes, struct group *group)
{
	size_t sent = 0;

	if (is_unclear(refreshes, group)) {
		list_append(&refreshes->unclear, &group->refresh.asked);
		return;
	}
	for (size_t i = 0; i < group->memberships.count; i++)
		sent += refresh_membership(refreshes, group->memberships.items[i]);
	if (sent < group->memberships.count)
		recheck_soon(refreshes, group);
	if (refreshes->request)
		refreshes->request->sent += sent;
}

static void read_memberships(void *argument)
{
	struct refreshes *refreshes = argument;

	reportable_read(&refreshes->reportable);
}

static void begin_reading(struct refreshes *refreshes, bool with_holders)
{
	reportable_begin(&refreshes->reportable, refreshes->context, with_holders);
	background_start(refreshes->background);
}

static void end_round(struct refreshes *refreshes)
{
	struct refresh_request *request = refreshes->request;
	struct group *group;

	reportable_clear(&refreshes->reportable);
	transitions_end(refreshes->context->transitions);
	if (!list_is_empty(&refreshes->unclear)) {
		while ((group = list_first(&refreshes->unclear, struct group, refresh.asked)))
			ask(refreshes, group);
		begin_reading(refreshes, true);
		return;
	}
	refreshes->is_busy = false;
	refreshes->request = NULL;
	if (request)
		request->done(request);
	begin_next(refreshes);
}

static bool refresh_next(void *argument)
{
	struct refreshes *refreshes = argument;
	struct group *group = list_first(&refreshes->asked, struct group, refresh.asked);

	if (group) {
		link_remove(&group->refresh.asked);
		refresh_group(refreshes, group);
	}
	if (!list_is_empty(&refreshes->asked))
		return true;
	end_round(refreshes);
	return false;
}

static void on_read(void *argument)
{
	struct refreshes *refreshes = argument;

	transitions_begin(refreshes->context->transitions);
	portions_start(&refreshes->portions);
}

void refresh_choose(struct group *group)
{
	ask(group->context->refreshes, group);
}

/* Requests go before what is due, but for every second round: somebody may ask without an end. */
static void begin_next(struct refreshes *refreshes)
{
	struct refresh_request *request;

	if (refreshes->is_busy)
		return;
	request = list_first(&refreshes->requests, struct refresh_request, link);
	if (!request || refreshes->was_requested)
		take_due(refreshes);
	if (list_is_empty(&refreshes->asked) && request) {
		link_remove(&request->link);
		refreshes->request = request;
		refreshes->choose(refreshes->argument, request);
	} else if (list_is_empty(&refreshes->asked)) {
		schedule(refreshes);
		return;
	}
	refreshes->was_requested = refreshes->request;
	refreshes->is_busy = true;
	begin_reading(refreshes, false);
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct refreshes *refreshes = argument;

	(void)fd, (void)what;
	refreshes->timer_ns = 0;
	begin_next(refreshes);
}

struct refreshes *refreshes_new(struct group_context *context,
	void (*choose)(void *argument, const struct refresh_request *request), void *argument)
{
	struct refreshes *refreshes = calloc(1, sizeof(*refreshes));

	if (!refreshes)
		return NULL;
	refreshes->context = context;
	refreshes->choose = choose;
	refreshes->argument = argument;
	list_init(&refreshes->requests);
	list_init(&refreshes->asked);
	list_init(&refreshes->unclear);
	evtimer_assign(&refreshes->timer, context->base, on_timer, refreshes);
	portions_init(&refreshes->portions, context->base, refresh_next, refreshes);
	refreshes->background = background_new(
		context->base, false, read_memberships, on_read, refreshes);
	if (!refreshes->background) {
		free(refreshes);
		return NULL;
	}
	return refreshes;
}

void refreshes_free(struct refreshes *refreshes)
{
	struct refresh_request *request;

	if (!refreshes)
		return;
	background_free(refreshes->background);
	portions_stop(&refreshes->portions);
	evtimer_del(&refreshes->timer);
	reportable_clear(&refreshes->reportable);
	if (refreshes->request)
		list_append(&refreshes->requests, &refreshes->request->link);
	while ((request = list_first(&refreshes->requests, struct refresh_request, link))) {
		link_remove(&request->link);
		request->done(request);
	}
	free(refreshes->deadlines.items);
	free(refreshes);
}

void refresh_ask(struct refreshes *refreshes, struct refresh_request *request)
{
	list_append(&refreshes->requests, &request->link);
	begin_next(refreshes);
}

void refresh_request_clear(struct refresh_request *request)
{
	for (size_t i = 0; i < request->impossible.count; i++) {
		free(request->impossible.items[i].group);
		free(request->impossible.items[i].interface);
		free(request->impossible.items[i].why);
	}
	free(take(request->impossible.items));
	request->impossible.count = 0;
}

/* Without memory the group is not refreshed. */
void refresh_watch(struct group *group)
{
	struct refreshes *refreshes = group->context->refreshes;
	struct refresh *refresh = &group->refresh;

	if (!group->config->refresh || refresh->is_watched)
		return;
	refresh->deadline.due_ns = next_due(group, clock_ns(CLOCK_MONOTONIC));
	refresh->is_watched = deadlines_add(&refreshes->deadlines, &refresh->deadline) >= 0;
	schedule(refreshes);
}

void refresh_cancel(struct group *group)
{
	link_remove(&group->refresh.asked);
	if (group->refresh.is_watched)
		deadlines_remove(&group->context->refreshes->deadlines, &group->refresh.deadline);
	group->refresh.is_watched = false;
}
