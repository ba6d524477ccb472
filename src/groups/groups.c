#include "groups/groups.h"

#include <errno.h>
#include <poll.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "groups/follow.h"
#include "groups/group_socket.h"
#include "groups/hints.h"
#include "groups/plan.h"
#include "groups/stored_programs.h"
#include "groups/uncounted.h"
#include "net/socket_file.h"
#include "net/turns.h"

/* Up to this number, all groups are compared at once where nothing has told of a change: that is
 * one wake-up instead of two, in a daemon that is idle. */
#define AT_ONCE_MAX 256

/* How often the interfaces are listed at the start, where that fails. */
#define START_TRIES 5
#define START_PAUSE_MS 20

struct groups {
	struct group_context context;
	struct turns accepting;
	struct follow *follow;
	struct forgotten forgotten;
	void (*changed)(void *argument);
	void *argument;
	struct group_set set;
	struct hints *hints;
	struct groups_plan *plan; /* of the change that is under way; NULL: there is none */
	struct link waiters; /* for its end */
	bool is_joining; /* the plan's groups are being joined */
	bool is_started; /* all groups of the start are joined, and the sockets of an earlier run
			    are restored or released */
	struct link taps;
	size_t short_buffers; /* groups with a smaller buffer than they want, when last counted */
};

/* Says once which groups have a smaller receive buffer than they want, and how to fix it. */
static void warn_of_short_buffers(struct groups *groups)
{
	uint64_t wanted = 0, granted = UINT64_MAX;
	const char *first = NULL;
	char others[32] = "";
	size_t count = 0;

	for (size_t i = 0; i < groups->set.count; i++) {
		const struct config_group *config = groups->set.items[i]->config;
		uint64_t smallest = group_smallest_buffer(groups->set.items[i]);

		if (smallest >= config->receive_buffer)
			continue;
		if (!count++)
			first = config->name;
		if (config->receive_buffer > wanted)
			wanted = config->receive_buffer;
		if (smallest < granted)
			granted = smallest;
	}
	if (count > 1)
		snprintf(others, sizeof(others), " and %zu more", count - 1);
	if (count && count != groups->short_buffers)
		log_warning(
			"group %s%s: the receive_buffer is %" PRIu64 " bytes instead of %" PRIu64
			"; a burst may be lost; to fix it: sysctl -w net.core.rmem_max=%" PRIu64,
			first, others, granted, wanted, wanted);
	groups->short_buffers = count;
}

static void on_links_changed(void *argument)
{
	struct groups *groups = argument;

	for (size_t i = 0; i < groups->set.count; i++)
		follow_group(groups->follow, groups->set.items[i]);
}

static void tell_changed(struct groups *groups)
{
	if (groups->changed)
		groups->changed(groups->argument);
}

static void on_followed(void *argument)
{
	struct groups *groups = argument;

	senders_read_disciplines(groups->context.senders, groups->context.interfaces);
	warn_of_short_buffers(groups);
	tell_changed(groups);
}

static const struct follow_callbacks follow_callbacks = {on_links_changed, on_followed};

static void look(struct group_context *context)
{
	follow_look(container_of(context, struct groups, context)->follow);
}

/* One that is made of others has memberships by its legs only. */
static void choose_group(struct group *group)
{
	const struct merged *merged = group->merged;

	if (!merged)
		refresh_choose(group);
	for (unsigned i = 0; merged && i < merged->leg_count; i++)
		if (merged->legs[i].from)
			refresh_choose(merged->legs[i].from);
}

static void choose_refreshed(void *argument, const struct refresh_request *request)
{
	struct groups *groups = argument;
	struct group *named = request->group ? groups_find(groups, request->group) : NULL;

	if (named)
		choose_group(named);
	for (size_t i = 0; !request->group && i < groups->set.count; i++)
		if (address_is_multicast(&groups->set.items[i]->config->address))
			refresh_choose(groups->set.items[i]);
}

struct groups *groups_new(const struct groups_setup *setup)
{
	struct groups *groups = calloc(1, sizeof(*groups));
	struct event_base *base = setup->base;
	const char *mcastctl = setup->mcastctl ? setup->mcastctl : "mcastctl";
	struct group_context *context;
	struct uncounted uncounted = {0};
	struct arena_memory *memory;

	if (!groups)
		return NULL;
	memory = uncounted_settle(setup->counters, &uncounted);
	list_init(&groups->taps);
	list_init(&groups->waiters);
	groups->changed = setup->changed;
	groups->argument = setup->argument;
	context = &groups->context;
	turns_init(&groups->accepting, base, true);
	*context = (struct group_context){.base = base,
		.arena = memory ? arena_new(memory) : NULL,
		.users = setup->users,
		.accepting = &groups->accepting,
		.senders = senders_new(base),
		.rounds = rounds_new(base, &membership_round_callbacks),
		.reports = reports_new(base, &membership_report_callbacks),
		.silences = silences_new(base, setup->notices),
		.expectations = expectations_new(base),
		.same_groups = same_groups_new(),
		.sender_watches = sender_watches_new(base, group_apply_needs),
		.apply_needs = group_apply_needs,
		.notices = setup->notices,
		.guard = setup->guard,
		.counters = setup->counters,
		.store = setup->store,
		.transitions = transitions_new(mcastctl),
		.mcastctl = mcastctl,
		.look = look,
		.uncounted = uncounted,
		.forgotten = &groups->forgotten,
		.running = setup->running,
		.receive_only = setup->receive_only};
	list_init(&context->merged);
	list_init(&context->unicasts);
	list_init(&context->postponed);
	context->refreshes = refreshes_new(context, choose_refreshed, groups);
	if (context->transitions)
		groups->hints = hints_new(base, &groups->set, context->transitions);
	groups->follow = follow_new(
		base, context->forgotten, context->transitions, &follow_callbacks, groups);
	if (groups->follow) {
		context->interfaces = follow_interfaces(groups->follow);
		context->retries = retries_new(
			base, context->interfaces, context->transitions, membership_retry);
		context->send_retries = retries_new(
			base, context->interfaces, context->transitions, outgoing_retry);
	}
	if (!context->arena || !context->senders || !context->rounds || !context->retries ||
		!context->send_retries || !context->reports || !context->silences ||
		!context->expectations || !context->same_groups || !context->refreshes ||
		!context->sender_watches || !context->transitions || !groups->hints) {
		groups_free(groups);
		return NULL;
	}
	return groups;
}

void groups_free(struct groups *groups)
{
	struct group_context *context;

	if (!groups)
		return;
	context = &groups->context;
	context->stopping = store_exists(context->store);
	hints_free(groups->hints);
	groups_plan_free(groups->plan);
	if (context->stopping)
		stored_programs_save(&groups->set, context->store);
	group_set_clear(&groups->set);
	turns_clear(&groups->accepting);
	rounds_free(context->rounds);
	retries_free(context->retries);
	retries_free(context->send_retries);
	reports_free(context->reports);
	expectations_free(context->expectations);
	silences_free(context->silences);
	refreshes_free(context->refreshes);
	same_groups_free(context->same_groups);
	sender_watches_free(context->sender_watches);
	follow_free(groups->follow);
	forgotten_clear(context->forgotten);
	transitions_free(context->transitions);
	senders_free(context->senders);
	arena_free(context->arena);
	free(context->twins);
	free(groups);
}

struct group *groups_find(const struct groups *groups, const char *name)
{
	return group_set_find(&groups->set, name);
}

const struct config_group *groups_find_joined(const struct groups *groups, const char *name)
{
	const struct group *group = groups_find(groups, name);

	return group ? group->own_config : NULL;
}

size_t groups_count(const struct groups *groups)
{
	return groups->set.count;
}

struct group *groups_at(const struct groups *groups, size_t i)
{
	return groups->set.items[i];
}

size_t groups_after(const struct groups *groups, const char *name)
{
	return group_set_after(&groups->set, name);
}

void groups_count_memberships(
	const struct groups *groups, unsigned counts[static MEMBERSHIP_STATES])
{
	for (size_t i = 0; i < groups->set.count; i++) {
		const struct group *group = groups->set.items[i];

		for (size_t j = 0; j < group->memberships.count; j++)
			counts[group->memberships.items[j]->state]++;
	}
}

/* Must run before any join: a socket that is released later would take the new membership with it,
 * where the interface was re-created with the same index. */
static int restore(struct groups *groups, const struct interface_list *interfaces)
{
	struct store *store = groups->context.store;
	char name[STORE_NAME_MAX];
	int r = 0, fd;

	if (groups->is_started || !store_exists(store))
		return 0;
	groups->context.restored.programs = stored_programs_restore(&groups->set, store);
	while ((fd = store_restore_next(store, STORE_SOCKETS, STORED_SOCKET, name)) >= 0) {
		store_remove(store, STORE_SOCKETS, name);
		socket_file_remove_of(fd);
		close(fd);
	}
	for (size_t i = 0; i < groups->set.count && r >= 0; i++)
		r = group_restore(groups->set.items[i], interfaces);
	while ((fd = store_restore_next(store, STORE_MEMBERSHIPS, STORED_PREFIX, name)) >= 0) {
		store_remove(store, STORE_MEMBERSHIPS, name);
		groups->context.restored.lost += stored_socket_discard(fd, interfaces);
	}
	return r;
}

static void reconcile_all(struct groups *groups)
{
	const struct interface_list *interfaces = groups->context.interfaces;
	int r = follow_read_now(groups->follow);

	/* At the start there is nothing to go on with, and nobody to wait. */
	for (int tries = 1; r < 0 && tries < START_TRIES && !groups->is_started; tries++) {
		poll(NULL, 0, START_PAUSE_MS);
		r = follow_read_now(groups->follow);
	}
	if (r < 0) {
		log_error("listing the network interfaces: %s", strerror(-r));
		return;
	}
	r = restore(groups, interfaces);
	groups->is_started = true;
	groups->context.uncounted = (struct uncounted){0};
	for (size_t i = 0; i < groups->set.count && r >= 0; i++)
		r = group_reconcile(groups->set.items[i], interfaces);
	if (r == -ENOMEM)
		log_error("joining groups: out of memory");
	follow_settle(groups->follow);
	warn_of_short_buffers(groups);
}

void groups_reconcile(struct groups *groups)
{
	if (groups->is_started && groups->set.count > AT_ONCE_MAX)
		follow_links(groups->follow, NULL);
	else
		reconcile_all(groups);
}

void groups_follow_links(struct groups *groups, const struct link_change *change)
{
	groups->context.link_changes++;
	if (change || groups->set.count > AT_ONCE_MAX) {
		follow_links(groups->follow, change);
		return;
	}
	reconcile_all(groups);
	tell_changed(groups);
}

void groups_check_hints(struct groups *groups)
{
	hints_check(groups->hints);
}

const struct interface_list *groups_interfaces(const struct groups *groups)
{
	return groups->context.interfaces;
}

const struct restored *groups_restored(const struct groups *groups)
{
	return &groups->context.restored;
}

static int compare_string(const void *name, const void *item)
{
	return strcmp(name, *(const char *const *)item);
}

static bool wants(const struct tap *tap, const struct group *group)
{
	const char *name = group->config->name;

	if (!tap->name_count)
		return !group->config->is_events;
	return bsearch(name, tap->names, tap->name_count, sizeof(*tap->names), compare_string);
}

static bool may_receive(const struct tap *tap, const struct group *group)
{
	return group_permits(group, tap->peer, ACCESS_RECEIVE);
}

/* Attaches the taps that want a new group, which may have replaced another one. Without memory a
 * subscriber misses the group, and nothing else fails. */
static void attach_taps(struct groups *groups, struct group *group, const struct group *replaced)
{
	struct tap *tap;

	list_for_each(tap, &groups->taps, link) {
		if (!wants(tap, group))
			continue;
		if (!may_receive(tap, group)) {
			if (tap->name_count ||
				(replaced && group_delivers_to(replaced, &tap->outlet)))
				tap->lost(tap, group, false);
		} else if (group_attach(group, &tap->outlet) < 0) {
			log_error("group %s: attaching a subscriber: out of memory",
				group->config->name);
		}
	}
}

/* Frees a group that is in no set any more. Taps that name it get its last datagrams, and end;
 * those that watch all groups go on with the others. */
static void end_group(struct groups *groups, struct group *group)
{
	struct tap *tap;

	group_leave(group);
	list_for_each(tap, &groups->taps, link) {
		if (!tap->name_count || !wants(tap, group))
			continue;
		group_detach(group, &tap->outlet);
		tap->lost(tap, group, true);
	}
	group_free(group);
}

/* Attaches a tap to the groups that it names, or to all; or detaches it. */
static int change_tap(struct groups *groups, struct tap *tap, bool attach)
{
	size_t count = tap->name_count ? tap->name_count : groups->set.count;
	int r = 0;

	for (size_t i = 0; i < count && r >= 0; i++) {
		struct group *group = tap->name_count ? groups_find(groups, tap->names[i])
						      : groups->set.items[i];

		if (group && attach && wants(tap, group) && may_receive(tap, group))
			r = group_attach(group, &tap->outlet);
		else if (group)
			group_detach(group, &tap->outlet);
	}
	return r;
}

int groups_add_tap(struct groups *groups, struct tap *tap)
{
	int r = change_tap(groups, tap, true);

	if (r < 0)
		change_tap(groups, tap, false);
	else
		list_append(&groups->taps, &tap->link);
	return r;
}

void groups_remove_tap(struct groups *groups, struct tap *tap)
{
	link_remove(&tap->link);
	change_tap(groups, tap, false);
}

int groups_join(struct groups *groups, const struct config_group *config, struct handlers *handlers)
{
	struct group *group;
	int r = groups->plan ? -EBUSY : group_new(&groups->context, config, NULL, &group);

	if (r < 0)
		return r;
	r = group_own_config(group);
	for (size_t i = 0; i < config->handlers.count && r >= 0; i++) {
		struct handler *handler = handlers_find(handlers, config->handlers.items[i]);

		r = handler ? group_attach(group, handler_outlet(handler)) : -ENOENT;
	}
	r = r < 0 ? r : group_set_add(&groups->set, group);
	if (r < 0) {
		group_free(group);
		return r;
	}
	merged_place(group, NULL, group_set_find, &groups->set);
	attach_taps(groups, group, NULL);
	follow_look(groups->follow);
	group_reconcile(group, groups->context.interfaces);
	warn_of_short_buffers(groups);
	return 0;
}

int groups_leave(struct groups *groups, const char *name)
{
	struct group *group = groups_find(groups, name);

	if (groups->plan)
		return -EBUSY;
	if (!group)
		return -ENOENT;
	if (!group->own_config)
		return -EPERM;
	group_set_remove(&groups->set, group);
	end_group(groups, group);
	return 0;
}

void groups_refresh(struct groups *groups, struct refresh_request *request)
{
	refresh_ask(groups->context.refreshes, request);
}

/* ---- Changing them as a whole ---- */

int groups_begin_change(struct groups *groups, const struct config *wanted,
	const struct handlers_plan *handlers, bool dry_run)
{
	return groups_plan_new(
		&groups->context, &groups->set, wanted, handlers, dry_run, &groups->plan);
}

int groups_prepare(struct groups *groups, struct errors *errors)
{
	return groups_plan_prepare(groups->plan, errors);
}

static void end_change(struct groups *groups)
{
	groups->plan = NULL;
	if (groups->is_joining)
		transitions_end(groups->context.transitions);
	groups->is_joining = groups->context.is_changing = false;
	send_waiters_call(&groups->waiters);
}

/* What was noted about the other groups stays for when they follow. */
static void join_new(struct groups *groups, struct group *group)
{
	groups->context.is_changing = true;
	if (!groups->is_joining) {
		transitions_begin(groups->context.transitions);
		follow_look(groups->follow);
	}
	groups->is_joining = true;
	if (group_reconcile(group, groups->context.interfaces) < 0)
		log_error("group %s: joining: out of memory", group->config->name);
}

/* Once all groups have let go of what they had, the rest is joined. Returns whether there was one.
 */
static bool join_postponed(struct groups *groups)
{
	struct group_context *context = &groups->context;
	struct membership *membership = list_first(
		&context->postponed, struct membership, postponed);

	context->is_changing = false;
	if (!membership)
		return false;
	membership->group->is_settled = false;
	membership_update(membership, context->interfaces);
	membership->group->is_settled = true;
	outgoing_membership_changed(membership->group);
	return true;
}

bool groups_commit(struct groups *groups)
{
	struct group *new, *replaced;

	if (!groups_plan_commit(groups->plan, &new, &replaced)) {
		if (join_postponed(groups))
			return true;
		groups_plan_free(groups->plan);
		end_change(groups);
		return false;
	}
	if (!new) {
		if (replaced)
			end_group(groups, replaced);
		return true;
	}
	attach_taps(groups, new, replaced);
	group_free(replaced);
	if (groups->is_started)
		join_new(groups, new);
	return true;
}

bool groups_abandon(struct groups *groups)
{
	if (!groups->plan)
		return false;
	if (groups_plan_undo(groups->plan))
		return true;
	end_change(groups);
	return false;
}

bool groups_are_changing(const struct groups *groups)
{
	return groups->plan;
}

void groups_wait(struct groups *groups, struct send_waiter *waiter)
{
	list_append(&groups->waiters, &waiter->link);
}
