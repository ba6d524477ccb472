#include "handlers/handlers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/report.h"
#include "handlers/ledger.h"

struct set {
	struct handler **items;
	size_t count;
};

struct handlers {
	struct counters *counters;
	struct set set;
};

struct handlers_plan {
	struct set set;
	bool *kept; /* set.items[i] runs already */
};

static struct handler *set_find(const struct set *set, const char *name, size_t *ret_index)
{
	for (size_t i = 0; i < set->count; i++) {
		if (strcmp(handler_name(set->items[i]), name))
			continue;
		*ret_index = i;
		return set->items[i];
	}
	return NULL;
}

struct handlers *handlers_new(struct counters *counters)
{
	struct handlers *handlers = calloc(1, sizeof(*handlers));

	if (handlers)
		handlers->counters = counters;
	return handlers;
}

void handlers_free(struct handlers *handlers, uint64_t deadline_ns)
{
	if (!handlers)
		return;
	for (size_t i = 0; i < handlers->set.count; i++)
		handler_retire(handlers->set.items[i], deadline_ns);
	free(handlers->set.items);
	free(handlers);
}

static void report(struct errors *errors, const struct config_handler *config, const char *why)
{
	struct subject subject = handler_subject(config);

	config_report(errors, &subject, 0, NULL, "%s", why);
}

/* Starts a handler beside the running one of that name, if any, whose counters it goes on with. */
static int start(const struct handlers *handlers, const struct config_handler *wanted,
	struct handler *running, char why[static WHY_MAX], struct handler **ret)
{
	struct ledger *ledger = running ? ledger_ref(handler_ledger(running))
					: ledger_new(handlers->counters, wanted->name);
	int r = ledger ? handler_start(wanted, ledger, why, ret) : -ENOMEM;

	if (!ledger)
		snprintf(why, WHY_MAX, "out of memory");
	ledger_unref(ledger);
	return r;
}

/* Puts one wanted handler into the plan: the running one where nothing changed, else a new one that
 * goes on with the counters of the old. */
static int plan_handler(struct handlers_plan *plan, const struct handlers *handlers,
	const struct config *before, const struct config_handler *wanted, struct errors *errors)
{
	size_t i = 0, at = plan->set.count;
	struct handler *running = set_find(&handlers->set, wanted->name, &i);
	const struct config_handler *was = before ? config_find_handler(before, wanted->name)
						  : NULL;
	char why[WHY_MAX];
	int r = 0;

	plan->kept[at] = running && was && config_handler_equal(was, wanted);
	if (plan->kept[at])
		plan->set.items[at] = running;
	else
		r = start(handlers, wanted, running, why, &plan->set.items[at]);
	if (r < 0)
		report(errors, wanted, why);
	else
		plan->set.count++;
	return r;
}

int handlers_prepare(struct handlers *handlers, const struct config *before,
	const struct config *wanted, struct errors *errors, struct handlers_plan **ret)
{
	struct handlers_plan *plan = calloc(1, sizeof(*plan));
	int r = 0, failed = 0;

	if (!plan)
		return -ENOMEM;
	plan->set.items = calloc(wanted->handler_count + 1, sizeof(*plan->set.items));
	plan->kept = calloc(wanted->handler_count + 1, sizeof(*plan->kept));
	if (!plan->set.items || !plan->kept)
		failed = -ENOMEM;
	for (size_t i = 0; i < wanted->handler_count && failed != -ENOMEM; i++)
		if ((r = plan_handler(plan, handlers, before, &wanted->handlers[i], errors)) < 0)
			failed = r;
	if (failed < 0) {
		handlers_abandon(plan);
		return failed;
	}
	*ret = plan;
	return 0;
}

struct handler *handlers_plan_find(const struct handlers_plan *plan, const char *name)
{
	size_t i;

	return set_find(&plan->set, name, &i);
}

bool handlers_plan_is_kept(const struct handlers_plan *plan, const struct handler *handler)
{
	for (size_t i = 0; i < plan->set.count; i++)
		if (plan->set.items[i] == handler)
			return plan->kept[i];
	return false;
}

static void plan_free(struct handlers_plan *plan)
{
	free(plan->set.items);
	free(plan->kept);
	free(plan);
}

void handlers_abandon(struct handlers_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->set.count; i++)
		if (!plan->kept[i])
			handler_retire(plan->set.items[i], 0);
	plan_free(plan);
}

/* Whether the plan keeps a running handler. */
static bool plan_keeps(const struct handlers_plan *plan, const struct handler *handler)
{
	for (size_t i = 0; i < plan->set.count; i++)
		if (plan->set.items[i] == handler)
			return true;
	return false;
}

void handlers_commit(struct handlers *handlers, struct handlers_plan *plan, uint64_t deadline_ns)
{
	for (size_t i = 0; i < handlers->set.count; i++)
		if (!plan_keeps(plan, handlers->set.items[i]))
			handler_retire(handlers->set.items[i], deadline_ns);
	for (size_t i = 0; i < plan->set.count; i++)
		if (!plan->kept[i])
			handler_begin(plan->set.items[i]);
	free(handlers->set.items);
	handlers->set = plan->set;
	plan->set.items = NULL;
	plan_free(plan);
}

struct handler *handlers_find(const struct handlers *handlers, const char *name)
{
	size_t i;

	return set_find(&handlers->set, name, &i);
}

size_t handlers_count(const struct handlers *handlers)
{
	return handlers->set.count;
}

struct handler *handlers_at(const struct handlers *handlers, size_t i)
{
	return handlers->set.items[i];
}
