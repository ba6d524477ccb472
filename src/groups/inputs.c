#include "groups/inputs.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/timer.h"
#include "data/intake.h"
#include "groups/group.h"
#include "groups/groups.h"
#include "handlers/handlers.h"
#include "handlers/ledger.h"

/* Batches of one handler in one round of the loop: neither receiving nor other handlers wait for
 * long. */
#define BATCHES_MAX 2

/* When to try again where an event could not be added. */
static const struct timeval again = {.tv_usec = 10000};

/* How often inputs_finish() looks, in milliseconds. */
#define BUSY_MS 1

struct inputs {
	struct event_base *base;
	struct groups *groups;
	struct link list;
};

/* The ring of one handler. */
struct input {
	struct link link;
	struct inputs *inputs;
	struct intake *intake; /* a reference */
	struct ledger *ledger; /* a reference: it has the account */
	struct event readable;
	struct event retry; /* where readable could not be added */
	struct send_waiter waiter;
	struct log_limit limit;
	bool is_ending; /* by inputs_finish() */
};

static void input_free(struct input *input)
{
	sender_cancel(&input->waiter);
	event_del(&input->readable);
	evtimer_del(&input->retry);
	link_remove(&input->link);
	intake_unref(input->intake);
	ledger_unref(input->ledger);
	free(input);
}

static void watch(struct input *input)
{
	if (event_add(&input->readable, NULL) < 0)
		timer_start(&input->retry, &again);
}

static void on_retry(evutil_socket_t fd, short what, void *argument)
{
	(void)fd, (void)what;
	watch(argument);
}

static void on_ready(struct send_waiter *waiter)
{
	watch(container_of(waiter, struct input, waiter));
}

/* ---- Sending ---- */

/* No group takes it: a reload has removed it from the configuration meanwhile. */
static void drop_unwanted(struct input *input, const struct intake_item *items, unsigned count)
{
	if (log_limit_pass(&input->limit))
		log_warning("handler %s: a datagram that came in for group %s was not sent: no "
			    "group of this name has \"%s\" in its inputs",
			input->ledger->name, items->group, input->ledger->name);
	intake_settle(input->intake, 0, count, INTAKE_SEND);
}

static void refuse(struct input *input, struct group *group, int r, const struct unsent *unsent)
{
	enum intake_drop reason = r == -EMSGSIZE ? INTAKE_SIZE : INTAKE_SEND;
	char why[WHY_MAX];

	group->counters->send_failed += unsent->count;
	if (log_limit_pass(&group->unsent_limits[UNSENT_IMPORT])) {
		group_explain(group, r, unsent, why);
		log_warning("group %s: a datagram that came in by handler %s was not sent: %s",
			group->config->name, input->ledger->name, why);
	}
	intake_settle(input->intake, 0, unsent->count, reason);
}

/* Sends the first ones, of one group. Returns 1, or -EAGAIN when the group's sender is to be waited
 * for. */
static int send_to(
	struct input *input, struct group *group, const struct intake_item *items, unsigned count)
{
	unsigned most = datagram_max(group->config->address.family), good;
	struct unsent unsent = {.count = 1};
	struct iovec vectors[BATCH_MAX];
	int r = -EMSGSIZE;

	for (good = 0; good < count && items[good].size <= most; good++)
		vectors[good] = (struct iovec){(void *)items[good].payload, items[good].size};
	if (good)
		r = group_import_batch(group, vectors, good, &unsent);
	if (r > 0) {
		intake_settle(input->intake, (unsigned)r, 0, INTAKE_SEND);
	} else if (r == -EAGAIN) {
		sender_wait(unsent.way->importer, &input->waiter);
		return r;
	} else {
		refuse(input, group, r, &unsent);
	}
	return 1;
}

/* Sends the oldest datagrams. Returns 1 when some are done, 0 when there are none, or -EAGAIN when
 * the waiter will be called. */
static int send_oldest(struct input *input)
{
	struct groups *groups = input->inputs->groups;
	struct intake_item items[BATCH_MAX];
	unsigned count = intake_peek(input->intake, items, BATCH_MAX);
	struct group *group;

	if (!count)
		return 0;
	group = groups_find(groups, items->group);
	if (group && group_takes_input(group, input->ledger->name))
		return send_to(input, group, items, count);
	/* The handler may know already what the change will bring. */
	if (groups_are_changing(groups) && !input->is_ending) {
		groups_wait(groups, &input->waiter);
		return -EAGAIN;
	}
	drop_unwanted(input, items, count);
	return 1;
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
	struct input *input = argument;
	int r = 1;

	(void)fd, (void)what;
	for (unsigned i = 0; i < BATCHES_MAX && r > 0; i++)
		r = send_oldest(input);
	if (r < 0)
		event_del(&input->readable);
	else if (r == 0 && intake_is_finished(input->intake))
		input_free(input);
}

/* ---- All inputs ---- */

struct inputs *inputs_new(struct event_base *base, struct groups *groups)
{
	struct inputs *inputs = calloc(1, sizeof(*inputs));

	if (!inputs)
		return NULL;
	inputs->base = base;
	inputs->groups = groups;
	list_init(&inputs->list);
	return inputs;
}

static struct input *find(const struct inputs *inputs, const struct intake *intake)
{
	struct input *input, *found = NULL;

	list_for_each(input, &inputs->list, link)
		if (input->intake == intake)
			found = input;
	return found;
}

static void add(struct inputs *inputs, struct handler *handler)
{
	struct intake *intake = handler_intake(handler);
	struct input *input;

	if (!intake || find(inputs, intake))
		return;
	input = calloc(1, sizeof(*input));
	if (!input) {
		log_error("handler %s: taking what comes in: out of memory", handler_name(handler));
		return;
	}
	input->inputs = inputs;
	input->intake = intake_ref(intake);
	input->ledger = ledger_ref(handler_ledger(handler));
	input->waiter.ready = on_ready;
	event_assign(&input->readable, inputs->base, intake_fd(intake), EV_READ | EV_PERSIST,
		on_readable, input);
	evtimer_assign(&input->retry, inputs->base, on_retry, input);
	list_append(&inputs->list, &input->link);
	watch(input);
}

void inputs_follow(struct inputs *inputs, struct handlers *handlers)
{
	for (size_t i = 0; i < handlers_count(handlers); i++)
		add(inputs, handlers_at(handlers, i));
}

/* Sends until the network is busy. Returns whether there is, or may be, more. */
static bool drain(struct input *input)
{
	sender_cancel(&input->waiter);
	while (send_oldest(input) > 0)
		;
	return !intake_is_finished(input->intake);
}

void inputs_finish(struct inputs *inputs, uint64_t until_ns)
{
	struct input *input;
	bool is_busy = true;

	if (!inputs)
		return;
	list_for_each(input, &inputs->list, link)
		input->is_ending = true;
	while (is_busy && clock_ns(CLOCK_MONOTONIC) < until_ns) {
		is_busy = false;
		list_for_each(input, &inputs->list, link)
			is_busy |= drain(input);
		if (is_busy)
			poll(NULL, 0, BUSY_MS);
	}
	list_for_each(input, &inputs->list, link) {
		ledger_abandon_intake(input->ledger, input->intake);
		input_free(input);
	}
	free(inputs);
}
