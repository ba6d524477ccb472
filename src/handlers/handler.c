#include "handlers/handler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "data/filter.h"
#include "data/intake.h"
#include "formats/rtp.h"
#include "handlers/exportable.h"
#include "handlers/ledger.h"
#include "handlers/module.h"
#include "handlers/worker.h"

/* The ring of what comes in: what the network takes in some 10 ms. */
#define INTAKE_BYTES (4 << 20)

struct handler {
	struct outlet outlet;
	struct filter filter;
	const struct handler_kind *kind;
	struct ledger *ledger;
	struct worker *worker; /* for kinds that may block; owns their object */
	void *object; /* of other kinds */
	struct intake *intake; /* NULL: the kind imports nothing */
	struct queue_limits *queue; /* prepared; NULL: it stays as it is */
	struct string_list *inputs; /* prepared: the groups that take what comes in */
	uint64_t inputs_hash; /* of those that the kind was told of; 0: of none yet */
	struct exportable *exportable; /* for kinds that export; else NULL */
	bool is_patient; /* the kind has patience(): its object does not need datagrams at once */
	bool strips_rtp;
	bool takes_all; /* as it comes: nothing is filtered or stripped */
};

/* The number of copies of each datagram; what the filter kept out is counted for each. */
static unsigned count_copies(
	struct handler *handler, const struct batch *batch, const struct filtered *filtered)
{
	if (!handler->kind->copies)
		return 1;
	return handler->kind->copies(handler->object, batch->origin, filtered);
}

static void count_filtered(
	struct handler *handler, const struct batch *batch, struct filtered filtered)
{
	unsigned copies = count_copies(handler, batch, &filtered);

	filtered.filtered *= copies;
	filtered.over_rate *= copies;
	ledger_filtered(handler->ledger, &filtered);
}

static void hand_on(struct handler *handler, const struct batch *batch)
{
	struct outcome outcome = {0};
	unsigned copies;

	if (!batch->count)
		return;
	if (handler->worker) {
		worker_push(handler->worker, batch);
		return;
	}
	copies = count_copies(handler, batch, &(struct filtered){0});
	handler->kind->deliver(handler->object, batch, &outcome);
	ledger_received(handler->ledger, batch->count * copies, &outcome);
}

/* Leaves the payload of each datagram that is RTP, and drops the others. Returns how many are left.
 * No kind that sends copies has the key. */
static unsigned strip_rtp(struct handler *handler, struct datagram *datagrams, unsigned count)
{
	struct outcome outcome = {0};
	unsigned left = 0;
	struct rtp rtp;

	for (unsigned i = 0; i < count; i++) {
		struct datagram *datagram = &datagrams[i];

		if (!rtp_parse(datagram->payload, datagram->size, &rtp))
			continue;
		datagrams[left] = *datagram;
		datagrams[left].payload += rtp.offset;
		datagrams[left++].size = (uint32_t)rtp.size;
	}
	outcome.dropped[DROP_STRIP] = count - left;
	if (left < count)
		ledger_received(handler->ledger, count - left, &outcome);
	return left;
}

static void choose_and_hand_on(struct handler *handler, const struct batch *batch)
{
	uint64_t now = handler->filter.wanted.rate_interval_ns ? clock_ns(CLOCK_MONOTONIC) : 0;
	struct datagram passed[BATCH_MAX];
	struct filtered filtered;
	struct batch rest = {.origin = batch->origin, .datagrams = passed};

	if (handler->takes_all) {
		hand_on(handler, batch);
		return;
	}
	rest.count = filter_apply(&handler->filter, batch, now, passed, &filtered);
	if (filtered.filtered || filtered.over_rate)
		count_filtered(handler, batch, filtered);
	if (handler->strips_rtp)
		rest.count = strip_rtp(handler, passed, rest.count);
	hand_on(handler, &rest);
}

/* A reply answers what this host asked: it is not relayed. */
static void deliver(struct outlet *outlet, const struct batch *batch)
{
	struct handler *handler = container_of(outlet, struct handler, outlet);

	ledger_begin_read(handler->ledger, batch->read);
	if (batch->origin->is_reply && handler->kind->config.relays)
		count_filtered(handler, batch, (struct filtered){.filtered = batch->count});
	else
		choose_and_hand_on(handler, batch);
}

static void free_inputs(struct string_list *inputs)
{
	if (inputs)
		string_list_clear(inputs);
	free(inputs);
}

static void free_queue(struct queue_limits *queue)
{
	if (queue)
		queue_limits_clear(queue);
	free(queue);
}

/* What may not leave does not use up the rate. */
static void deliver_exported(struct outlet *outlet, const struct batch *batch)
{
	struct handler *handler = container_of(outlet, struct handler, outlet);
	struct datagram room[BATCH_MAX];
	struct batch rest = *batch;

	ledger_begin_read(handler->ledger, batch->read);
	rest.datagrams = exportable_choose(handler->exportable, batch, room, &rest.count);
	if (rest.count < batch->count)
		count_filtered(
			handler, batch, (struct filtered){.filtered = batch->count - rest.count});
	choose_and_hand_on(handler, &rest);
}

static void handler_free(struct handler *handler)
{
	if (!handler)
		return;
	if (handler->object)
		handler->kind->close(handler->object);
	handler_forget_prepared(handler);
	filter_clear(&handler->filter);
	intake_unref(handler->intake);
	exportable_free(handler->exportable);
	ledger_unref(handler->ledger);
	free(handler);
}
DEFINE_CLEANUP(struct handler *, handler_free)

static bool has_patience(const struct handler *handler)
{
	return handler->kind->patience && handler->kind->patience(handler->object);
}

/* For a kind that imports. */
static int make_intake(struct handler *handler)
{
	struct intake_book *book;

	if (!handler->kind->config.imports)
		return 0;
	book = ledger_input(handler->ledger);
	return book ? intake_new(INTAKE_BYTES, book, &handler->intake) : -ENOMEM;
}

/* Opens the kind's object, and puts a worker in front of it if it may block. */
static int open_object(struct handler *handler, const struct config_handler *config,
	const struct handler_context *context, struct workers *workers, char why[static WHY_MAX])
{
	struct handler_context own = *context;
	int r;

	own.name = handler->ledger->name;
	own.ledger = handler->ledger;
	r = make_intake(handler);
	if (r < 0)
		return because(why, r, "the ring of what comes in: %s", strerror(-r));
	own.intake = handler->intake;
	r = handler->kind->open(config->settings, &own, why, &handler->object);
	if (r < 0)
		return r;
	handler->is_patient = has_patience(handler);
	handler->outlet.needs = handler->kind->needs(config->settings) |
				filter_needs(&handler->filter) |
				(handler->is_patient ? 0 : NEED_PROMPT);
	handler->outlet.deliver = handler->exportable ? deliver_exported : deliver;
	if (handler->exportable)
		handler->outlet.needs |= EXPORTABLE_NEEDS;
	if (!handler->kind->config.may_block)
		return 0;
	r = worker_start(
		workers, handler->kind, handler->object, config, handler->ledger, &handler->worker);
	if (r < 0)
		return because(why, r, "starting its thread: %s", strerror(-r));
	handler->object = NULL;
	if (handler->intake)
		worker_hold(handler->worker, handler->intake);
	return 0;
}

int handler_start(const struct config_handler *config, const struct handler_context *context,
	struct ledger *ledger, struct workers *workers, char why[static WHY_MAX],
	struct handler **ret)
{
	CLEANUP(handler_freep) struct handler *handler = calloc(1, sizeof(*handler));
	int r;

	because(why, -ENOMEM, "out of memory"); /* unless a call says otherwise */
	if (!handler)
		return -ENOMEM;
	r = module_load(
		container_of(config->kind, struct handler_kind, config), why, &handler->kind);
	if (r < 0)
		return r;
	handler->ledger = ledger_ref(ledger);
	if (filter_init(&handler->filter, &config->filter) < 0)
		return -ENOMEM;
	handler->strips_rtp = config->strip == STRIP_RTP;
	handler->takes_all = handler->filter.is_open && !handler->strips_rtp;
	if (config->kind->exports && !(handler->exportable = exportable_new(context)))
		return -ENOMEM;
	r = open_object(handler, config, context, workers, why);
	if (r < 0)
		return r;
	*ret = take(handler);
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int handler_prepare_inputs(struct handler *handler, const struct config *wanted)
{
	struct string_list *inputs;
	int r = 0;

	if (!handler->intake)
		return 0;
	free_inputs(take(handler->inputs));
	inputs = calloc(1, sizeof(*inputs));
	if (!inputs)
		return -ENOMEM;
	for (size_t i = 0; i < wanted->group_count && r >= 0; i++)
		if (string_list_has(&wanted->groups[i].inputs, handler_name(handler)))
			r = string_list_add(inputs, wanted->groups[i].name);
	if (inputs->count)
		qsort(inputs->items, inputs->count, sizeof(*inputs->items), compare_names);
	handler->inputs = inputs;
	return r;
}

static uint64_t hash_names(const struct string_list *names)
{
	uint64_t hash = HASH_BEGIN;

	for (size_t i = 0; i < names->count; i++)
		hash = hash_bytes(hash, names->items[i], strlen(names->items[i]) + 1);
	return hash;
}

/* A handler by which something comes in as well is on the way from group to group, where the pauses
 * of a group would be most of the time that a datagram takes. Groups ask later for what is needed.
 */
static void need_prompt_between_groups(struct handler *handler, const struct string_list *inputs)
{
	if (inputs->count)
		handler->outlet.needs |= NEED_PROMPT;
	else if (handler->is_patient)
		handler->outlet.needs &= ~(unsigned)NEED_PROMPT;
}

void handler_follow_inputs(struct handler *handler)
{
	struct string_list *inputs = take(handler->inputs);
	uint64_t hash = inputs ? hash_names(inputs) : 0;

	if (inputs)
		need_prompt_between_groups(handler, inputs);
	if (!inputs || hash == handler->inputs_hash || !handler->kind->subscribe ||
		!handler->worker) {
		free_inputs(inputs);
		return;
	}
	handler->inputs_hash = hash;
	worker_subscribe(handler->worker, inputs);
}

int handler_prepare_queue(struct handler *handler, const struct config_handler *wanted)
{
	struct queue_limits *queue;
	int r;

	free_queue(take(handler->queue));
	if (!wanted || !handler->worker)
		return 0;
	queue = calloc(1, sizeof(*queue));
	r = queue ? worker_prepare_queue(handler->worker, wanted, queue) : -ENOMEM;
	if (r < 0)
		free_queue(queue);
	else
		handler->queue = queue;
	return r;
}

void handler_follow_queue(struct handler *handler)
{
	struct queue_limits *queue = take(handler->queue);

	if (queue)
		worker_change_queue(handler->worker, queue);
	free_queue(queue);
}

void handler_forget_prepared(struct handler *handler)
{
	free_inputs(take(handler->inputs));
	free_queue(take(handler->queue));
}

void handler_begin(struct handler *handler)
{
	ledger_set_kind(handler->ledger,
		ledger_kind_hash(handler->kind->config.name, handler->kind->counters));
	ledger_set_object(handler->ledger,
		handler->worker ? worker_object(handler->worker) : handler->object);
	if (!handler->kind->begin)
		return;
	if (handler->worker)
		worker_begin(handler->worker);
	else
		handler->kind->begin(handler->object);
}

void handler_retire(struct handler *handler, uint64_t deadline_ns)
{
	if (!handler)
		return;
	if (handler->intake)
		intake_stop(handler->intake);
	if (handler->worker)
		worker_retire(handler->worker, deadline_ns);
	handler_free(handler);
}

static void deliver_retired(struct outlet *outlet, const struct batch *batch)
{
	struct handler *handler = container_of(outlet, struct handler, outlet);
	struct outcome outcome = {.dropped[DROP_SHUTDOWN] = batch->count};

	ledger_received(handler->ledger, batch->count, &outcome);
}

void handler_retire_early(struct handler *handler, uint64_t deadline_ns)
{
	intake_stop(handler->intake);
	if (handler->worker)
		worker_retire(take(handler->worker), deadline_ns);
	handler->outlet.deliver = deliver_retired;
}

void handler_links_changed(struct handler *handler, const struct interface_list *interfaces)
{
	if (handler->kind->links_changed)
		handler->kind->links_changed(handler->object, interfaces);
}

bool handler_records(const struct handler *handler)
{
	return handler->kind->rotate;
}

int handler_rotate(struct handler *handler)
{
	struct outcome outcome = {0};

	if (!handler_records(handler))
		return -EOPNOTSUPP;
	if (handler->worker) {
		worker_rotate(handler->worker);
		return 0;
	}
	handler->kind->rotate(handler->object, &outcome);
	ledger_received(handler->ledger, 0, &outcome);
	return 0;
}

struct outlet *handler_outlet(struct handler *handler)
{
	return &handler->outlet;
}

const char *handler_name(const struct handler *handler)
{
	return handler->ledger->name;
}

const char *handler_type(const struct handler *handler)
{
	return handler->kind->config.name;
}

const char *const *handler_counters(const struct handler *handler)
{
	return handler->kind->counters;
}

struct ledger *handler_ledger(struct handler *handler)
{
	return handler->ledger;
}

struct intake *handler_intake(struct handler *handler)
{
	return handler->intake;
}

void handler_count_lost(struct handler *handler, uint64_t read, uint64_t count)
{
	ledger_count_lost(handler->ledger, read, count);
}

void handler_account(struct handler *handler, struct account *ret)
{
	workers_account(handler->ledger, ret);
}

bool handler_queue_fill(struct handler *handler, unsigned *ret)
{
	if (handler->worker)
		*ret = workers_queue_fill(handler->ledger);
	return handler->worker;
}

bool handler_has_interfaces(const struct handler *handler)
{
	return handler->kind->copies;
}

bool handler_has_window(const struct handler *handler)
{
	return handler->kind->held_bytes;
}

const char *handler_error(const struct handler *handler)
{
	if (handler->kind->error && !handler->worker)
		return handler->kind->error(handler->object);
	return ledger_error(handler->ledger);
}

const char *handler_interface_error(const struct handler *handler, const char *interface)
{
	return handler->kind->interface_error(handler->object, interface);
}
