#include "handlers/handlers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/list.h"
#include "config/report.h"
#include "handlers/ledger.h"
#include "handlers/worker.h"
#include "net/interface.h"
#include "net/own_addresses.h"

struct set {
	struct handler **items; /* sorted by name, as the configuration has them */
	size_t count;
};

struct handlers {
	struct handler_context context;
	struct link forwards;
	struct own_addresses own_addresses;
	struct workers workers;
	struct set set;
};

struct handlers_plan {
	const struct handlers *running;
	struct set set;
};

static int compare_name(const void *name, const void *item)
{
	return strcmp(name, handler_name(*(struct handler *const *)item));
}

static struct handler *set_find(const struct set *set, const char *name)
{
	struct handler *const *found = NULL;

	if (set->count)
		found = bsearch(name, set->items, set->count, sizeof(*set->items), compare_name);
	return found ? *found : NULL;
}

struct handlers *handlers_new(const struct handler_context *context)
{
	CLEANUP(interface_list_clear) struct interface_list interfaces = {0};
	struct handlers *handlers = calloc(1, sizeof(*handlers));

	if (!handlers)
		return NULL;
	list_init(&handlers->forwards);
	handlers->context = *context;
	handlers->context.forwards = &handlers->forwards;
	handlers->context.own_addresses = &handlers->own_addresses;
	if (interface_list_read(&interfaces) >= 0)
		own_addresses_update(&handlers->own_addresses, &interfaces);
	workers_init(&handlers->workers);
	return handlers;
}

unsigned handlers_free(struct handlers *handlers, uint64_t deadline_ns)
{
	unsigned stuck;

	if (!handlers)
		return 0;
	while (handlers->set.count)
		handler_retire(handlers->set.items[--handlers->set.count], deadline_ns);
	stuck = workers_wait(&handlers->workers, deadline_ns + WORKER_END_NS);
	if (stuck)
		return stuck;
	workers_destroy(&handlers->workers);
	free(handlers->set.items);
	own_addresses_clear(&handlers->own_addresses);
	free(handlers);
	return 0;
}

void handlers_expire(struct handlers *handlers)
{
	workers_expire(&handlers->workers);
}

void handlers_links_changed(struct handlers *handlers, const struct interface_list *interfaces)
{
	own_addresses_update(&handlers->own_addresses, interfaces);
	for (size_t i = 0; i < handlers->set.count; i++)
		handler_links_changed(handlers->set.items[i], interfaces);
}

/* Starts a handler beside the running one of that name, if any, whose ledger it shares. */
static int start(struct handlers *handlers, const struct config_handler *wanted,
	struct handler *running, char why[static WHY_MAX], struct handler **ret)
{
	struct ledger *ledger = running ? ledger_ref(handler_ledger(running))
					: ledger_new(handlers->context.counters, wanted->name);
	int r = ledger ? handler_start(
				 wanted, &handlers->context, ledger, &handlers->workers, why, ret)
		       : because(why, -ENOMEM, "out of memory");

	ledger_unref(ledger);
	return r;
}

/* Adds the running handler where nothing has changed, else a new one. */
static int plan_handler(struct handlers_plan *plan, struct handlers *handlers,
	const struct config *before, const struct config_handler *wanted, struct errors *errors)
{
	struct handler *running = handlers_find(handlers, wanted->name), *handler = running;
	const struct config_handler *was = before ? config_find_handler(before, wanted->name)
						  : NULL;
	struct subject subject = handler_subject(wanted);
	char why[WHY_MAX];
	int r = 0;

	if (!running || !was || !config_handler_equal(was, wanted))
		r = start(handlers, wanted, running, why, &handler);
	if (r < 0) {
		config_report(errors, &subject, 0, NULL, "%s", why);
		return r;
	}
	r = array_add(&plan->set, handler);
	if (r < 0 && handler != running)
		handler_retire(handler, 0);
	return r;
}

int handlers_prepare(struct handlers *handlers, const struct config *before,
	const struct config *wanted, struct errors *errors, struct handlers_plan **ret)
{
	struct handlers_plan *plan = calloc(1, sizeof(*plan));
	int r, failed = 0;

	if (!plan)
		return -ENOMEM;
	plan->running = handlers;
	for (size_t i = 0; i < wanted->handler_count; i++)
		if ((r = plan_handler(plan, handlers, before, &wanted->handlers[i], errors)) < 0)
			failed = r;
	if (failed < 0)
		handlers_abandon(plan);
	else
		*ret = plan;
	return failed;
}

struct handler *handlers_plan_find(const struct handlers_plan *plan, const char *name)
{
	return set_find(&plan->set, name);
}

bool handlers_plan_is_unchanged(const struct handlers_plan *plan, const struct handler *handler)
{
	return handler && handlers_find(plan->running, handler_name(handler)) == handler;
}

void handlers_abandon(struct handlers_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->set.count; i++)
		if (!handlers_plan_is_unchanged(plan, plan->set.items[i]))
			handler_retire(plan->set.items[i], 0);
	free(plan->set.items);
	free(plan);
}

void handlers_commit(struct handlers *handlers, struct handlers_plan *plan, uint64_t deadline_ns)
{
	struct set *running = &handlers->set;
	size_t unchanged = 0;

	for (size_t i = 0; i < running->count; i++) {
		struct handler *handler = running->items[i];

		if (handlers_plan_find(plan, handler_name(handler)) == handler)
			running->items[unchanged++] = handler;
		else
			handler_retire(handler, deadline_ns);
	}
	running->count = unchanged;
	for (size_t i = 0; i < plan->set.count; i++)
		if (!handlers_plan_is_unchanged(plan, plan->set.items[i]))
			handler_begin(plan->set.items[i]);
	free(running->items);
	*running = plan->set;
	free(plan);
}

struct handler *handlers_find(const struct handlers *handlers, const char *name)
{
	return set_find(&handlers->set, name);
}

size_t handlers_count(const struct handlers *handlers)
{
	return handlers->set.count;
}

struct handler *handlers_at(const struct handlers *handlers, size_t i)
{
	return handlers->set.items[i];
}
