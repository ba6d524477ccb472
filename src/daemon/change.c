#include "daemon/change.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/identity.h"
#include "net/portions.h"

/* How long the queue of a removed handler is still delivered. */
#define DRAIN_S 5
#define DRAIN_NS (DRAIN_S * NS_PER_S)

/* What has waited for longer waits for a peer that is away or slow, and may well be lost. */
#define USUAL_WAIT_NS NS_PER_S

/* Part of a change. Returns 1 while there is more to do; then 0, or a negative errno with lines in
 * errors. */
typedef int (*part)(struct change *change);

struct change {
	struct change_setup setup;
	struct portions portions;
	struct config *running;
	struct config *wanted; /* before the commit */
	struct config *unused; /* the one that ran before, or that was not committed */
	bool dry_run;
	bool is_committing;
	struct errors *errors;
	struct handlers_plan *handlers_plan;
	const part *parts; /* the rest, NULL at the end */
	int r;
};

static bool is_same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* A running daemon can change neither its user nor the sockets that programs know by their path. */
static int check_fixed(struct change *change)
{
	const struct config *running = change->running, *wanted = change->wanted;
	const struct {
		const char *key, *running, *wanted;
		const struct place *place;
	} fixed[] = {{"control.socket", running->control_socket, wanted->control_socket,
			     &wanted->control_place},
		{"run_directory", running->run_directory, wanted->run_directory,
			&wanted->run_directory_place},
		{"user", running->user, wanted->user, &wanted->user_place},
		{"group", running->group, wanted->group, &wanted->group_place}};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		if (is_same(fixed[i].running, fixed[i].wanted))
			continue;
		config_add_error(change->errors, fixed[i].place,
			"%s: cannot change from %s to %s while the daemon runs; restart it",
			fixed[i].key, fixed[i].running ? fixed[i].running : "nothing",
			fixed[i].wanted ? fixed[i].wanted : "nothing");
		r = -EBUSY;
	}
	return r;
}

/* ---- Preparing ---- */

static int check(struct change *change)
{
	return change->running ? check_fixed(change) : 0;
}

static int begin_handlers(struct change *change)
{
	return handlers_plan_new(
		change->setup.handlers, change->running, change->wanted, &change->handlers_plan);
}

/* A dry run finds what is wrong with the groups as well. */
static int prepare_handlers(struct change *change)
{
	int r = handlers_prepare(change->handlers_plan, change->errors);

	if (r >= 0 || !change->dry_run)
		return r;
	change->r = r;
	return 0;
}

static int begin_groups(struct change *change)
{
	return groups_begin_change(change->setup.groups, change->wanted,
		change->r < 0 ? NULL : change->handlers_plan, change->dry_run);
}

static int prepare_groups(struct change *change)
{
	return groups_prepare(change->setup.groups, change->errors);
}

/* Last, as it makes files: what is wrong with the rest leaves none. */
static int prepare_http(struct change *change)
{
	int r;

	identity_raise();
	r = http_prepare(
		change->setup.http, &change->wanted->http, change->dry_run, change->errors);
	identity_lower();
	return r;
}

static int decide(struct change *change);

static const part preparing[] = {check, begin_handlers, prepare_handlers, begin_groups,
	prepare_groups, prepare_http, decide, NULL};

/* ---- Abandoning ---- */

static int abandon_http(struct change *change)
{
	http_abandon(change->setup.http);
	return 0;
}

static int abandon_groups(struct change *change)
{
	return groups_abandon(change->setup.groups);
}

static int retire(struct change *change, uint64_t deadline_ns)
{
	if (change->handlers_plan && handlers_retire(change->handlers_plan, deadline_ns))
		return 1;
	change->handlers_plan = NULL;
	return 0;
}

static int abandon_handlers(struct change *change)
{
	return retire(change, 0);
}

static int discard(struct change *change)
{
	change->unused = take(change->wanted);
	return 0;
}

static const part abandoning[] = {abandon_http, abandon_groups, abandon_handlers, discard, NULL};

/* ---- Committing ---- */

/* Handlers begin before groups deliver to them, and are retired when no group does any more. */
static int commit_handlers(struct change *change)
{
	return handlers_commit(change->handlers_plan);
}

static int commit_groups(struct change *change)
{
	return groups_commit(change->setup.groups);
}

static int commit_http(struct change *change)
{
	http_commit(change->setup.http);
	return 0;
}

/* After the groups: by now there is one for all that new handlers take in. */
static int follow_inputs(struct change *change)
{
	inputs_follow(change->setup.inputs, change->setup.handlers);
	return 0;
}

static int retire_handlers(struct change *change)
{
	return retire(change, clock_ns(CLOCK_MONOTONIC) + DRAIN_NS);
}

static void tell_waiting(
	const struct change *change, const struct config *wanted, struct errors *lines)
{
	const struct handlers *handlers = change->setup.handlers;
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	for (size_t i = 0; i < handlers_count(handlers); i++) {
		struct handler *handler = handlers_at(handlers, i);
		const char *name = handler_name(handler);
		const struct config_handler *was = config_find_handler(change->running, name),
					    *next = config_find_handler(wanted, name);
		struct account account;

		if (was && next && config_handler_goes_on(was, next))
			continue;
		handler_account(handler, &account);
		if (account.oldest_ns && now - account.oldest_ns > USUAL_WAIT_NS)
			errors_add(lines,
				"handler %s: %" PRIu64
				" datagram%s wait%s for it, what it does not "
				"deliver within %u seconds is dropped",
				name, account.queued, plural(account.queued),
				account.queued == 1 ? "s" : "", DRAIN_S);
	}
}

static void tell_joined(
	const struct change *change, const struct config *wanted, struct errors *lines)
{
	for (size_t i = 0; i < wanted->group_count; i++) {
		const char *name = wanted->groups[i].name;
		const struct config_group *joined = groups_find_joined(change->setup.groups, name);
		char address[INET6_ADDRSTRLEN], target[ENDPOINT_STRING_MAX];

		if (joined)
			errors_add(lines,
				"group %s: takes the place of the one that was joined, %s", name,
				format_address_port(address_format(&joined->address, address),
					(unsigned)joined->port, target));
	}
}

void change_tell_more(
	const struct change *change, const struct config *wanted, struct errors *lines)
{
	tell_waiting(change, wanted, lines);
	tell_joined(change, wanted, lines);
}

static int reconcile(struct change *change)
{
	identity_raise();
	groups_reconcile(change->setup.groups);
	identity_lower();
	return 0;
}

static const part committing[] = {commit_handlers, commit_groups, follow_inputs, commit_http,
	retire_handlers, reconcile, NULL};

static int decide(struct change *change)
{
	change->parts = abandoning;
	if (change->dry_run)
		return 1;
	change->parts = committing;
	change->is_committing = true;
	change->unused = change->running;
	change->running = take(change->wanted);
	return 1;
}

/* ---- Step by step ---- */

/* Returns whether there is more to do. */
static bool go_on(struct change *change)
{
	int r = (*change->parts)(change);

	if (r == 0)
		return *++change->parts;
	if (r > 0)
		return true;
	if (!errors_total(change->errors))
		errors_add(change->errors, "applying the configuration: %s", strerror(-r));
	change->r = r;
	change->parts = abandoning;
	return true;
}

static bool step(void *argument)
{
	struct change *change = argument;

	if (go_on(change))
		return true;
	change->is_committing = false;
	change->setup.done(change->setup.argument, change->r);
	return false;
}

struct change *change_new(const struct change_setup *setup)
{
	struct change *change = calloc(1, sizeof(*change));

	if (!change)
		return NULL;
	change->setup = *setup;
	portions_init(&change->portions, setup->base, step, change);
	return change;
}

void change_free(struct change *change)
{
	if (!change)
		return;
	portions_stop(&change->portions);
	config_free(change->running);
	config_free(change->wanted);
	config_free(change->unused);
	free(change);
}

const struct config *change_running(const struct change *change)
{
	return change->running;
}

static void prepare(
	struct change *change, struct config *wanted, bool dry_run, struct errors *errors)
{
	change->wanted = wanted;
	change->dry_run = dry_run;
	change->errors = errors;
	change->parts = preparing;
	change->r = 0;
}

void change_begin(struct change *change, struct config *wanted, bool dry_run, struct errors *errors)
{
	prepare(change, wanted, dry_run, errors);
	portions_start(&change->portions);
}

int change_start(struct change *change, struct config *wanted, bool dry_run, struct errors *errors)
{
	prepare(change, wanted, dry_run, errors);
	while (go_on(change))
		;
	change->is_committing = false;
	return change->r;
}

void change_finish(struct change *change)
{
	if (!change || !change->is_committing)
		return;
	portions_stop(&change->portions);
	while (step(change))
		;
}

struct config *change_take_unused(struct change *change)
{
	return take(change->unused);
}
