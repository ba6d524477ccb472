#include "net/report.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/clock.h"

/* Sources that the kernel takes by default (igmp_max_msf). */
#define SENDERS_MAX 10

/* How long senders are learned. */
#define LEARN_US 10000

/* The loop is away for this duration at most, and for this delay it is not. */
#define SLICE_NS (5 * NS_PER_MS)
#define REST_US 1000

struct reports {
	struct event timer;
	const struct report_callbacks *callbacks;
	struct report **items; /* NULL: cancelled */
	size_t count;
	size_t next; /* the first that was not reported */
	size_t sorted; /* those before it are due, and sorted by group and interface */
};

/* A socket that is being changed. */
struct change {
	struct multicast_membership membership;
	int fd; /* -1: it could not be changed, and is as it was */
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

static void forget(struct report *report)
{
	free(report->senders.items);
	report->senders.items = NULL;
	report->senders.count = 0;
	report->queue = NULL;
}

/* Any source becomes those that are known, or nobody's; sources become any. */
static int change_filter(const struct report *report, const struct change *change)
{
	struct multicast_membership other = change->membership;
	struct address nobody;
	int r = -ENOBUFS;

	if (other.source_count && !other.exclude) {
		other.source_count = 0;
		other.exclude = 1;
		return multicast_set_filter(change->fd, &other);
	}
	other.exclude = 0;
	other.sources = report->senders.items;
	other.source_count = report->senders.count;
	if (other.source_count)
		r = multicast_set_filter(change->fd, &other);
	if (r != -ENOBUFS)
		return r;
	address_parse(other.group.family == AF_INET ? "192.0.2.1" : "2001:db8::1", &nobody);
	other.sources = &nobody;
	other.source_count = 1;
	return multicast_set_filter(change->fd, &other);
}

static int change_back(const struct report *report, const struct change *change)
{
	struct multicast_membership membership = change->membership;
	char why[WHY_MAX];

	if (report->rejoins)
		return multicast_join(change->fd, &membership, why);
	if (!membership.source_count)
		membership.exclude = 1;
	return multicast_set_filter(change->fd, &membership);
}

static void begin(struct reports *reports, struct report *report, struct change *change)
{
	change->fd = reports->callbacks->begin(report, &change->membership);
	if (report->rejoins)
		multicast_leave(change->fd, &report->group, report->ifindex);
	else if (change_filter(report, change) < 0)
		change->fd = -1;
}

/* Reports a run of sockets of one group and interface. */
static void report_run(struct reports *reports, struct report **items, size_t count)
{
	struct change one, *changes = count == 1 ? &one : calloc(count, sizeof(*changes));

	for (size_t i = 0; changes && i < count; i++)
		begin(reports, items[i], &changes[i]);
	for (size_t i = 0; i < count; i++) {
		int r = changes && changes[i].fd >= 0 ? change_back(items[i], &changes[i]) : 0;

		forget(items[i]);
		if (r < 0)
			reports->callbacks->failed(items[i]);
	}
	if (changes != &one)
		free(changes);
}

static void report_due(struct reports *reports)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + SLICE_NS;

	while (reports->next < reports->sorted && clock_ns(CLOCK_MONOTONIC) < end) {
		struct report **items = reports->items + reports->next;
		size_t count = 1;

		while (reports->next + count < reports->sorted &&
			!compare(&items[0], &items[count]))
			count++;
		reports->next += count;
		if (*items)
			report_run(reports, items, count);
	}
}

static void sort(struct reports *reports)
{
	struct report **items = reports->items + reports->next;

	qsort(items, reports->count - reports->next, sizeof(*items), compare);
	reports->sorted = reports->count;
	for (size_t i = reports->next; i < reports->count; i++)
		if (reports->items[i])
			reports->items[i]->position = i;
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct timeval next = {.tv_usec = LEARN_US};
	struct reports *reports = argument;

	(void)fd, (void)what;
	if (reports->next == reports->sorted)
		sort(reports);
	report_due(reports);
	if (reports->next == reports->count)
		reports->next = reports->sorted = reports->count = 0;
	if (reports->next < reports->sorted)
		next.tv_usec = REST_US;
	if (reports->count)
		evtimer_add(&reports->timer, &next);
}

struct reports *reports_new(struct event_base *base, const struct report_callbacks *callbacks)
{
	struct reports *reports = calloc(1, sizeof(*reports));

	if (!reports)
		return NULL;
	reports->callbacks = callbacks;
	evtimer_assign(&reports->timer, base, on_timer, reports);
	return reports;
}

void reports_free(struct reports *reports)
{
	if (!reports)
		return;
	evtimer_del(&reports->timer);
	free(reports->items);
	free(reports);
}

int report_add(struct reports *reports, struct report *report, const struct address *group,
	unsigned ifindex, bool rejoins)
{
	static const struct timeval learn = {.tv_usec = LEARN_US};

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
		evtimer_add(&reports->timer, &learn);
	return 0;
}

void report_cancel(struct report *report)
{
	if (!report->queue)
		return;
	report->queue->items[report->position] = NULL;
	forget(report);
}

void report_learn(struct report *report, const union endpoint *sender)
{
	struct address address = endpoint_address(sender);

	for (size_t i = 0; i < report->senders.count; i++)
		if (address_equal(&report->senders.items[i], &address))
			return;
	if (report->senders.count < SENDERS_MAX)
		array_add(&report->senders, address);
}
