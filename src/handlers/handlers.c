#include "handlers/handlers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/list.h"
#include "config/report.h"
#include "handlers/exportable.h"
#include "handlers/ledger.h"
#include "handlers/module.h"
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
	struct import_ports import_ports;
	struct workers workers;
	struct set set;
	struct handlers_plan *plan; /* NULL: none is under way */
};

struct handlers_plan {
	struct handlers *handlers;
	const struct config *before, *wanted;
	struct set set; /* that there will be; after the commit, the one that there was */
	size_t next; /* of wanted, or of set */
	int failure; /* of one that was prepared */
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
	handlers->context.import_ports = &handlers->import_ports;
	if (interface_list_read(&interfaces) >= 0)
		own_addresses_update(&handlers->own_addresses, &interfaces);
	workers_init(&handlers->workers);
	return handlers;
}

unsigned handlers_free(struct handlers *handlers, uint64_t deadline_ns)
{
	uint64_t end_ns = worker_end_ns(deadline_ns);
	unsigned stuck;

	if (!handlers)
		return 0;
	while (handlers->plan && handlers_retire(handlers->plan, deadline_ns))
		;
	while (handlers->set.count)
		handler_retire(handlers->set.items[--handlers->set.count], deadline_ns);
	stuck = workers_wait(&handlers->workers, end_ns + WORKER_END_NS);
	if (stuck)
		return stuck;
	workers_destroy(&handlers->workers);
	free(handlers->set.items);
	own_addresses_clear(&handlers->own_addresses);
	free(handlers);
	return 0;
}

void handlers_stop_inputs(struct handlers *handlers, uint64_t deadline_ns)
{
	for (size_t i = 0; handlers && i < handlers->set.count; i++)
		if (handler_intake(handlers->set.items[i]))
			handler_retire_early(handlers->set.items[i], deadline_ns);
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

struct complaints {
	struct errors *errors;
	struct subject subject;
	size_t count;
};

static void complain(void *argument, const char *key, const char *why)
{
	struct complaints *complaints = argument;

	config_report(complaints->errors, &complaints->subject, 0, key, "%s", why);
	complaints->count++;
}

/* Reports all that is wrong with the files of a handler. */
static int check_files(const struct config_handler *wanted, struct errors *errors)
{
	struct complaints complaints = {errors, handler_subject(wanted), 0};
	const struct handler_kind *kind = NULL;
	char why[WHY_MAX];

	if (wanted->kind->check_files)
		wanted->kind->check_files(wanted->settings, complain, &complaints);
	/* Without its module it does not start, which says why. */
	if (module_load(container_of(wanted->kind, struct handler_kind, config), why, &kind) >= 0 &&
		kind->check_files)
		kind->check_files(wanted->settings, complain, &complaints);
	return complaints.count ? -EINVAL : 0;
}

/* Has the running handler the queue that it is to have. */
static int plan_queue(struct handler *running, const struct config_handler *was,
	const struct config_handler *wanted, char why[static WHY_MAX])
{
	bool is_other = !config_handler_equal(was, wanted);
	int r = handler_prepare_queue(running, is_other ? wanted : NULL);

	return r < 0 ? because(why, r, "its queue: %s", strerror(-r)) : 0;
}

/* Of a plan: the handler ends, or goes on as it was. */
static void let_go(const struct handlers_plan *plan, struct handler *handler, uint64_t deadline_ns)
{
	if (handlers_plan_is_unchanged(plan, handler))
		handler_forget_prepared(handler);
	else
		handler_retire(handler, deadline_ns);
}

/* Adds the running handler where nothing has changed but its queue, else a new one. */
static int plan_handler(
	struct handlers_plan *plan, const struct config_handler *wanted, struct errors *errors)
{
	struct handlers *handlers = plan->handlers;
	struct handler *running = handlers_find(handlers, wanted->name), *handler = running;
	const struct config_handler *was = plan->before
						   ? config_find_handler(plan->before, wanted->name)
						   : NULL;
	struct subject subject = handler_subject(wanted);
	bool is_new = !running || !was || !config_handler_goes_on(was, wanted);
	char why[WHY_MAX];
	int r = is_new ? check_files(wanted, errors) : 0;

	if (r < 0)
		return r;
	r = is_new ? start(handlers, wanted, running, why, &handler)
		   : plan_queue(running, was, wanted, why);
	if (r < 0) {
		config_report(errors, &subject, 0, NULL, "%s", why);
		return r;
	}
	r = handler_prepare_inputs(handler, plan->wanted);
	r = r < 0 ? r : array_add(&plan->set, handler);
	if (r < 0)
		let_go(plan, handler, 0);
	return r;
}

int handlers_plan_new(struct handlers *handlers, const struct config *before,
	const struct config *wanted, struct handlers_plan **ret)
{
	struct handlers_plan *plan = calloc(1, sizeof(*plan));

	if (!plan)
		return -ENOMEM;
	*plan = (struct handlers_plan){.handlers = handlers, .before = before, .wanted = wanted};
	handlers->plan = *ret = plan;
	return 0;
}

int handlers_prepare(struct handlers_plan *plan, struct errors *errors)
{
	int r;

	if (plan->next < plan->wanted->handler_count) {
		r = plan_handler(plan, &plan->wanted->handlers[plan->next++], errors);
		plan->failure = r < 0 ? r : plan->failure;
		return 1;
	}
	plan->next = 0;
	return plan->failure;
}

struct handler *handlers_plan_find(const struct handlers_plan *plan, const char *name)
{
	return set_find(&plan->set, name);
}

bool handlers_plan_is_unchanged(const struct handlers_plan *plan, const struct handler *handler)
{
	return handler && handlers_find(plan->handlers, handler_name(handler)) == handler;
}

bool handlers_commit(struct handlers_plan *plan)
{
	struct set before = plan->handlers->set;
	struct handler *handler;

	if (plan->next < plan->set.count) {
		handler = plan->set.items[plan->next++];
		handler_follow_inputs(handler);
		handler_follow_queue(handler);
		if (!handlers_plan_is_unchanged(plan, handler))
			handler_begin(handler);
		return true;
	}
	import_ports_set(&plan->handlers->import_ports, (uint16_t)plan->wanted->import_port);
	plan->handlers->set = plan->set;
	plan->set = before;
	plan->next = 0;
	return false;
}

bool handlers_retire(struct handlers_plan *plan, uint64_t deadline_ns)
{
	if (plan->set.count) {
		let_go(plan, plan->set.items[--plan->set.count], deadline_ns);
		return true;
	}
	plan->handlers->plan = NULL;
	free(plan->set.items);
	free(plan);
	return false;
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

size_t handlers_after(const struct handlers *handlers, const char *name)
{
	const struct set *set = &handlers->set;
	size_t i = lower_bound(name, set->items, set->count, sizeof(*set->items), compare_name);

	return i < set->count && !compare_name(name, &set->items[i]) ? i + 1 : i;
}
