#include "net/report.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/timer.h"
#include "net/background.h"
#include "net/report_sockets.h"

/* How long senders are learned. */
#define LEARN_US 10000

/* Sockets that are changed at once, plus the rest of the same group and interface. */
#define BATCH 16

/* A socket that is being changed. */
struct change {
	struct report *report;
	struct address *sources; /* a copy of the membership's, whose owner may change meanwhile */
};

struct reports {
	struct event timer;
	const struct report_callbacks *callbacks;
	struct report **items; /* NULL: cancelled */
	size_t count;
	size_t next; /* the first that was not reported */
	size_t sorted; /* those before it are due, and sorted by group and interface */
	struct background *background;
	struct {
		struct change *items;
		size_t count;
	} changes; /* in the background */
	struct {
		struct report_socket *items;
		size_t count;
	} sockets; /* of the changes, in their order */
	size_t changed; /* of them, from the first on */
	atomic_bool is_awaited; /* the rest of them is for later */
};

static int compare(const void *a, const void *b)
{
	const struct report *left = *(struct report *const *)a, *right = *(struct report *const *)b;
	int order;

	if (!left || !right)
		return !left - !right;
	order = address_compare(&left->group, &right->group);
	return order ? order : (left->ifindex > right->ifindex) - (left->ifindex < right->ifindex);
}

static void leave_queue(struct report *report)
{
	report->queue = NULL;
	report->is_running = false;
}

/* ---- In the background ---- */

/* Runs of one group and interface. */
static void change_all(void *argument)
{
	struct reports *reports = argument;
	struct change *changes = reports->changes.items;
	size_t end = 0;

	for (size_t first = 0; first < reports->changes.count && !reports->is_awaited;
		first = end) {
		while (end < reports->changes.count &&
			!compare(&changes[first].report, &changes[end].report))
			end++;
		report_sockets(reports->sockets.items + first, end - first,
			changes[first].report->rejoins);
	}
	reports->changed = end;
}

/* ---- In the loop ---- */

/* Senders are learned for a moment before a report. */
static void schedule(struct reports *reports)
{
	struct timeval delay = {.tv_usec = reports->next < reports->sorted ? 0 : LEARN_US};

	if (reports->next == reports->count)
		reports->next = reports->sorted = reports->count = 0;
	else
		timer_start(&reports->timer, &delay);
}

static void end_change(struct reports *reports, struct report *report,
	const struct report_socket *socket, bool is_changed)
{
	struct report_result result = {.is_reported = is_changed && socket->there_r >= 0,
		.there_r = socket->there_r,
		.back_r = socket->back_r};

	report->again |= !is_changed;
	reports->callbacks->end(report, &result);
	if (report->again)
		report_add(reports, report, &report->group, report->ifindex, report->rejoins);
}

static void on_changed(void *argument)
{
	struct reports *reports = argument;
	struct change *changes = take(reports->changes.items);
	struct report_socket *sockets = take(reports->sockets.items);
	size_t count = reports->changes.count;

	reports->changes.count = reports->sockets.count = 0;
	for (size_t i = 0; i < count; i++) {
		leave_queue(changes[i].report);
		free(changes[i].sources);
	}
	for (size_t i = 0; i < count; i++)
		end_change(reports, changes[i].report, &sockets[i], i < reports->changed);
	free(changes);
	free(sockets);
	schedule(reports);
}

static int copy_sources(struct change *change, struct multicast_membership *membership)
{
	size_t size = membership->source_count * sizeof(*change->sources);

	if (!size)
		return 0;
	change->sources = malloc(size);
	if (!change->sources)
		return -ENOMEM;
	memcpy(change->sources, membership->sources, size);
	membership->sources = change->sources;
	return 0;
}

/* The arrays have the same length. */
static int append_change(
	struct reports *reports, struct change *change, struct report_socket *socket)
{
	if (copy_sources(change, &socket->membership) < 0 ||
		array_add(&reports->sockets, *socket) < 0)
		return -ENOMEM;
	if (array_add(&reports->changes, *change) >= 0)
		return 0;
	reports->sockets.count--;
	return -ENOMEM;
}

/* Without memory it is not reported. */
static void add_change(struct reports *reports, struct report *report)
{
	struct change change = {.report = report};
	struct report_socket socket = {
		.senders = report->senders.items, .sender_count = report->senders.count};
	struct report_result result = {.there_r = -ENOMEM};

	socket.fd = reports->callbacks->begin(report, &socket.membership);
	reports->items[report->position] = NULL;
	report->is_running = true;
	if (append_change(reports, &change, &socket) >= 0)
		return;
	free(change.sources);
	leave_queue(report);
	reports->callbacks->end(report, &result);
}

/* Begins with the next ones, without tearing a run of one group and interface. */
static void begin_batch(struct reports *reports)
{
	const struct report *previous = NULL;

	while (reports->next < reports->sorted) {
		struct report *report = reports->items[reports->next];

		if (reports->changes.count >= BATCH && report && previous &&
			compare(&previous, &report))
			break;
		reports->next++;
		if (report)
			add_change(reports, report);
		previous = report ? report : previous;
	}
	reports->is_awaited = false;
	if (reports->changes.count)
		background_start(reports->background);
}

/* Those that were reported make room: where reports are added all the time, the queue is never
 * empty. */
static void sort(struct reports *reports)
{
	struct report **items = reports->items;

	reports->count -= reports->next;
	memmove(items, items + reports->next, reports->count * sizeof(*items));
	reports->next = 0;
	qsort(items, reports->count, sizeof(*items), compare);
	reports->sorted = reports->count;
	for (size_t i = 0; i < reports->count; i++)
		if (reports->items[i])
			reports->items[i]->position = i;
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct reports *reports = argument;

	(void)fd, (void)what;
	if (reports->changes.count)
		return; /* goes on when they are changed */
	if (reports->next == reports->sorted)
		sort(reports);
	begin_batch(reports);
	if (!reports->changes.count)
		schedule(reports);
}

struct reports *reports_new(struct event_base *base, const struct report_callbacks *callbacks)
{
	struct reports *reports = calloc(1, sizeof(*reports));

	if (!reports)
		return NULL;
	reports->callbacks = callbacks;
	evtimer_assign(&reports->timer, base, on_timer, reports);
	reports->background = background_new(base, false, change_all, on_changed, reports);
	if (!reports->background) {
		free(reports);
		return NULL;
	}
	return reports;
}

void reports_free(struct reports *reports)
{
	if (!reports)
		return;
	background_free(reports->background);
	for (size_t i = 0; i < reports->changes.count; i++)
		free(reports->changes.items[i].sources);
	free(reports->changes.items);
	free(reports->sockets.items);
	evtimer_del(&reports->timer);
	free(reports->items);
	free(reports);
}

int report_add(struct reports *reports, struct report *report, const struct address *group,
	unsigned ifindex, bool rejoins)
{
	static const struct timeval learn = {.tv_usec = LEARN_US};

	report->again = report->is_running;
	if (report->queue)
		return 0;
	report->group = *group;
	report->ifindex = ifindex;
	report->rejoins = rejoins;
	report->position = reports->count;
	if (array_add(reports, report) < 0)
		return -ENOMEM;
	report->queue = reports;
	if (!evtimer_pending(&reports->timer, NULL))
		timer_start(&reports->timer, &learn);
	return 0;
}

void report_cancel(struct report *report)
{
	struct reports *reports = report->queue;

	report->again = false;
	if (report->is_running) {
		reports->is_awaited = true;
		background_wait(reports->background);
	}
	free(take(report->senders.items));
	report->senders.count = 0;
	if (!report->queue)
		return;
	report->queue->items[report->position] = NULL;
	leave_queue(report);
}

/* Those that were heard last come first, and the others are forgotten in time. */
void report_learn(struct report *report, const union endpoint *sender)
{
	struct address address = endpoint_address(sender), *items = report->senders.items;
	size_t i = 0;

	while (i < report->senders.count && !address_equal(&items[i], &address))
		i++;
	if (i == report->senders.count) {
		if (i == REPORT_SENDERS_MAX)
			i--;
		else if (array_add(&report->senders, address) < 0)
			return;
		items = report->senders.items;
	}
	memmove(items + 1, items, i * sizeof(*items));
	items[0] = address;
}
