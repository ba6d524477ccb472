/* All groups. A reload is planned beside what runs, where all that can fail is done, and committed
 * then, which cannot fail. */
#include "groups/groups.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "base/log.h"
#include "config/report.h"
#include "groups/follow.h"
#include "groups/group_socket.h"

/* Up to this number, all groups are compared at once where nothing has told of a change: that is
 * one wake-up instead of two, in a daemon that is idle. */
#define AT_ONCE_MAX 256

struct set {
	struct group **items; /* sorted by name, but while a plan is made */
	size_t count;
};

struct groups {
	struct group_context context;
	struct follow *follow;
	struct forgotten forgotten;
	void (*changed)(void *argument);
	void *argument;
	struct set set;
	bool is_restored; /* the sockets of an earlier run are restored or released */
	struct link taps;
	size_t short_buffers; /* groups with a smaller buffer than they want, when last counted */
};

/* A group in the plan stays as it is if it is the running one, the very same object. */
struct groups_plan {
	struct set set; /* the groups that there will be */
	struct group **configured; /* those of wanted, in its order */
	const struct config *wanted;
	char *directory; /* of the group sockets */
	bool dry_run; /* no sockets are made */
};

static int compare_name(const void *name, const void *item)
{
	return strcmp(name, (*(struct group *const *)item)->config->name);
}

static int compare_groups(const void *a, const void *b)
{
	return compare_name((*(struct group *const *)a)->config->name, b);
}

/* The index of the group of this name, or where it would be. */
static size_t set_position(const struct set *set, const char *name)
{
	return lower_bound(name, set->items, set->count, sizeof(*set->items), compare_name);
}

static struct group *set_find(const struct set *set, const char *name)
{
	size_t i = set_position(set, name);

	return i < set->count && !compare_name(name, &set->items[i]) ? set->items[i] : NULL;
}

static void set_sort(struct set *set)
{
	if (set->count)
		qsort(set->items, set->count, sizeof(*set->items), compare_groups);
}

static int set_add(struct set *set, struct group *group)
{
	size_t at = set_position(set, group->config->name);

	if (set_find(set, group->config->name))
		return -EEXIST;
	if (array_add(set, group) < 0)
		return -ENOMEM;
	memmove(set->items + at + 1, set->items + at, (set->count - 1 - at) * sizeof(*set->items));
	set->items[at] = group;
	return 0;
}

static void set_remove(struct set *set, const struct group *group)
{
	size_t at = set_position(set, group->config->name);

	set->count--;
	memmove(set->items + at, set->items + at + 1, (set->count - at) * sizeof(*set->items));
}

/* Frees the groups but those that another set has, too; both are sorted. The last one comes first:
 * the kernel searches an interface's list of memberships for each that is left, and has the latest
 * first. In the order of joining that takes quadratic time. */
static void set_clear(struct set *set, const struct set *others)
{
	size_t end = others->count;

	for (size_t i = set->count; i-- > 0;) {
		struct group *group = set->items[i];

		while (end && compare_groups(&others->items[end - 1], &group) > 0)
			end--;
		if (!end || others->items[end - 1] != group)
			group_free(group);
	}
	free(set->items);
}

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

	warn_of_short_buffers(groups);
	tell_changed(groups);
}

static const struct follow_callbacks follow_callbacks = {on_links_changed, on_followed};

struct groups *groups_new(const struct groups_setup *setup)
{
	struct groups *groups = calloc(1, sizeof(*groups));
	struct event_base *base = setup->base;
	struct group_context *context;

	if (!groups)
		return NULL;
	list_init(&groups->taps);
	groups->changed = setup->changed;
	groups->argument = setup->argument;
	context = &groups->context;
	*context = (struct group_context){.base = base,
		.arena = arena_new(),
		.senders = senders_new(base),
		.pause = pause_new(base, membership_resume),
		.reports = reports_new(base, &membership_report_callbacks),
		.silences = silences_new(base, setup->notices),
		.notices = setup->notices,
		.guard = setup->guard,
		.counters = setup->counters,
		.store = setup->store,
		.transitions = transitions_new(),
		.forgotten = &groups->forgotten,
		.receive_only = setup->receive_only};
	groups->follow = follow_new(
		base, context->forgotten, context->transitions, &follow_callbacks, groups);
	if (groups->follow) {
		context->interfaces = follow_interfaces(groups->follow);
		context->retries = retries_new(
			base, context->interfaces, context->transitions, membership_retry);
		context->send_retries = retries_new(
			base, context->interfaces, context->transitions, outgoing_retry);
	}
	if (!context->arena || !context->senders || !context->pause || !context->retries ||
		!context->send_retries || !context->reports || !context->silences ||
		!context->transitions) {
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
	set_clear(&groups->set, &(struct set){0});
	pause_free(context->pause);
	retries_free(context->retries);
	retries_free(context->send_retries);
	reports_free(context->reports);
	silences_free(context->silences);
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
	return set_find(&groups->set, name);
}

size_t groups_count(const struct groups *groups)
{
	return groups->set.count;
}

struct group *groups_at(const struct groups *groups, size_t i)
{
	return groups->set.items[i];
}

/* Must run before any join: a socket that is released later would take the new membership with it,
 * where the interface was re-created with the same index. */
static int restore(struct groups *groups, const struct interface_list *interfaces)
{
	struct store *store = groups->context.store;
	char name[STORE_NAME_MAX];
	int r = 0, fd;

	if (groups->is_restored || !store_exists(store))
		return 0;
	groups->is_restored = true;
	for (size_t i = 0; i < groups->set.count && r >= 0; i++)
		r = group_restore(groups->set.items[i], interfaces);
	while ((fd = store_restore_next(store, STORED_PREFIX, name)) >= 0) {
		store_remove(store, name);
		groups->context.restored.lost += stored_socket_discard(fd, interfaces);
	}
	return r;
}

static void reconcile_all(struct groups *groups)
{
	const struct interface_list *interfaces = groups->context.interfaces;
	int r = follow_read_now(groups->follow);

	if (r < 0) {
		log_error("listing the network interfaces: %s", strerror(-r));
		return;
	}
	r = restore(groups, interfaces);
	for (size_t i = 0; i < groups->set.count && r >= 0; i++)
		r = group_reconcile(groups->set.items[i], interfaces);
	if (r == -ENOMEM)
		log_error("joining groups: out of memory");
	follow_settle(groups->follow);
	warn_of_short_buffers(groups);
}

/* What was noted about the others stays for when they follow. */
static void reconcile_new(struct groups *groups)
{
	CLEANUP(interface_list_clear) struct interface_list interfaces = {0};
	int r = interface_list_read(&interfaces);

	if (r < 0)
		log_error("listing the network interfaces: %s", strerror(-r));
	transitions_begin(groups->context.transitions);
	for (size_t i = 0; i < groups->set.count && r >= 0; i++)
		if (!groups->set.items[i]->is_reconciled)
			r = group_reconcile(groups->set.items[i], &interfaces);
	transitions_end(groups->context.transitions);
	if (r == -ENOMEM)
		log_error("joining groups: out of memory");
	follow_read_otherwise(groups->follow);
}

void groups_reconcile(struct groups *groups)
{
	size_t count = groups->set.count, new = 0;

	for (size_t i = 0; i < count; i++)
		new += !groups->set.items[i]->is_reconciled;
	if (count <= AT_ONCE_MAX || new == count) {
		reconcile_all(groups);
		return;
	}
	if (new)
		reconcile_new(groups);
	follow_links(groups->follow, NULL);
}

void groups_follow_links(struct groups *groups, const struct link_change *change)
{
	if (change || groups->set.count > AT_ONCE_MAX) {
		follow_links(groups->follow, change);
		return;
	}
	reconcile_all(groups);
	tell_changed(groups);
}

void groups_follow_routes(struct groups *groups)
{
	struct interface_list interfaces = {0};
	int r = interface_list_read(&interfaces);

	if (r < 0)
		log_error("listing the network interfaces: %s", strerror(-r));
	else
		senders_read_disciplines(groups->context.senders, &interfaces);
	for (size_t i = 0; i < groups->set.count && r >= 0; i++) {
		struct group *group = groups->set.items[i];

		if (!outgoing_follows_route(group))
			continue;
		r = outgoing_update(group, &interfaces);
		group_apply_needs(group);
	}
	interface_list_clear(&interfaces);
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

/* Attaches the taps that want a new group. Without memory a subscriber misses the group, and
 * nothing else fails. */
static void attach_taps(struct groups *groups, struct group *group)
{
	struct tap *tap;

	list_for_each(tap, &groups->taps, link)
		if (wants(tap, group) && group_attach(group, &tap->outlet) < 0)
			log_error("group %s: attaching a subscriber: out of memory",
				group->config->name);
}

/* Attaches a tap to the groups that it names, or to all; or detaches it. */
static int change_tap(struct groups *groups, struct tap *tap, bool attach)
{
	size_t count = tap->name_count ? tap->name_count : groups->set.count;
	int r = 0;

	for (size_t i = 0; i < count && r >= 0; i++) {
		struct group *group = tap->name_count ? groups_find(groups, tap->names[i])
						      : groups->set.items[i];

		if (group && attach && wants(tap, group))
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
	struct interface_list interfaces = {0};
	struct group *group;
	int r = group_new(&groups->context, config, NULL, &group);

	if (r < 0)
		return r;
	r = group_own_config(group);
	for (size_t i = 0; i < config->handlers.count && r >= 0; i++) {
		struct handler *handler = handlers_find(handlers, config->handlers.items[i]);

		r = handler ? group_attach(group, handler_outlet(handler)) : -ENOENT;
	}
	r = r < 0 ? r : set_add(&groups->set, group);
	if (r < 0) {
		group_free(group);
		return r;
	}
	attach_taps(groups, group);
	if (interface_list_read(&interfaces) == 0)
		group_reconcile(group, &interfaces);
	interface_list_clear(&interfaces);
	follow_read_otherwise(groups->follow);
	warn_of_short_buffers(groups);
	return 0;
}

int groups_leave(struct groups *groups, const char *name)
{
	struct group *group = groups_find(groups, name);

	if (!group)
		return -ENOENT;
	if (!group->own_config)
		return -EPERM;
	set_remove(&groups->set, group);
	group_free(group);
	return 0;
}

/* Whether the group can stay as it is: it wants the same, from the same handlers. */
static bool is_unchanged(const struct group *running, const struct config_group *wanted,
	const struct handlers_plan *handlers)
{
	if (!config_group_equal(running->config, wanted))
		return false;
	for (size_t i = 0; i < wanted->handlers.count; i++) {
		const struct handler *handler = handlers_plan_find(
			handlers, wanted->handlers.items[i]);

		if (!handler || !handlers_plan_is_unchanged(handlers, handler))
			return false;
	}
	return true;
}

/* A handler that Join named and a reload has removed is left out; the configuration's own are
 * checked. */
static int attach_handlers(struct group *group, const struct handlers_plan *handlers)
{
	const struct string_list *names = &group->config->handlers;
	int r = 0;

	for (size_t i = 0; i < names->count && r >= 0; i++) {
		struct handler *handler = handlers_plan_find(handlers, names->items[i]);

		if (handler)
			r = group_attach(group, handler_outlet(handler));
		else
			log_warning("group %s: its handler %s does not exist any more",
				group->config->name, names->items[i]);
	}
	return r;
}

static int make_directory(const char *path)
{
	return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* The group's socket is made under a temporary name, and moved to its place by the commit. What is
 * there must be the one of the running group, or one that nobody listens on. */
static int open_socket(struct group *group, const struct group *running,
	const struct groups_plan *plan, char why[static WHY_MAX])
{
	char path[PATH_MAX];
	int r;

	if (!group->config->socket || plan->dry_run)
		return 0;
	r = make_directory(plan->wanted->run_directory);
	r = r < 0 ? r : make_directory(plan->directory);
	if (r < 0)
		return because(why, r,
			"making the directory %s: %s; the daemon must be able to write to "
			"run_directory",
			plan->directory, strerror(-r));
	snprintf(path, sizeof(path), "%s/%s", plan->directory, group->config->name);
	if (!(running && running->socket) && (r = group_socket_check(path, why)) < 0)
		return r;
	snprintf(path, sizeof(path), "%s/.%s", plan->directory, group->config->name);
	return group_socket_new(group, path, why, &group->socket);
}

static int make_group(struct groups *groups, const struct groups_plan *plan,
	const struct config_group *wanted, const struct handlers_plan *handlers,
	char why[static WHY_MAX], struct group **ret)
{
	const struct group *running = groups_find(groups, wanted->name);
	struct group *group = NULL;
	int r = group_new(&groups->context, wanted, running, &group);

	r = r < 0 ? r : attach_handlers(group, handlers);
	r = r < 0 ? because(why, r, "out of memory") : open_socket(group, running, plan, why);
	if (r < 0) {
		group_free(group);
		return r;
	}
	*ret = group;
	return 0;
}

/* Adds one group to the plan: the running one where nothing changed, else a new one. */
static int plan_group(struct groups_plan *plan, struct groups *groups,
	const struct config_group *wanted, const struct handlers_plan *handlers,
	struct errors *errors, struct group **ret)
{
	struct group *running = groups_find(groups, wanted->name), *group = running;
	struct subject subject = group_subject(wanted);
	char why[WHY_MAX];
	int r = 0;

	if (!running || !is_unchanged(running, wanted, handlers))
		r = make_group(groups, plan, wanted, handlers, why, &group);
	if (r < 0) {
		config_report(errors, &subject, 0, NULL, "%s", why);
		return r;
	}
	r = array_add(&plan->set, group);
	if (r < 0 && group != running)
		group_free(group);
	*ret = group;
	return r;
}

/* Groups that Join made stay, unless the configuration now has one of that name. */
static int plan_joined(struct groups_plan *plan, struct groups *groups,
	const struct handlers_plan *handlers, struct errors *errors)
{
	size_t configured = plan->set.count;
	int r = 0;

	for (size_t i = 0; i < groups->set.count && r >= 0; i++) {
		struct group *joined = groups->set.items[i], *group;

		if (!joined->own_config ||
			set_find(&(struct set){plan->set.items, configured}, joined->config->name))
			continue;
		r = plan_group(plan, groups, joined->config, handlers, errors, &group);
		if (r >= 0 && group != joined)
			r = group_own_config(group);
	}
	return r;
}

static struct group **copy_items(const struct set *set)
{
	struct group **items = calloc(set->count + 1, sizeof(struct group *));

	if (items)
		memcpy(items, set->items, set->count * sizeof(struct group *));
	return items;
}

static void free_plan(struct groups_plan *plan)
{
	free(plan->configured);
	free(plan->directory);
	free(plan);
}

int groups_prepare(struct groups *groups, const struct config *wanted,
	struct handlers_plan *handlers, bool dry_run, struct errors *errors,
	struct groups_plan **ret)
{
	struct groups_plan *plan = calloc(1, sizeof(*plan));
	struct group *group;
	int r, failed = 0;

	if (!plan)
		return -ENOMEM;
	if (asprintf(&plan->directory, "%s/groups", wanted->run_directory) < 0) {
		free(plan);
		return -ENOMEM;
	}
	plan->wanted = wanted;
	plan->dry_run = dry_run;
	for (size_t i = 0; i < wanted->group_count; i++)
		if ((r = plan_group(plan, groups, &wanted->groups[i], handlers, errors, &group)) <
			0)
			failed = r;
	if ((r = plan_group(plan, groups, &wanted->events, handlers, errors, &group)) < 0)
		failed = r;
	if (failed >= 0 && !(plan->configured = copy_items(&plan->set)))
		failed = -ENOMEM;
	set_sort(&plan->set);
	if ((r = plan_joined(plan, groups, handlers, errors)) < 0)
		failed = r;
	set_sort(&plan->set);
	if (failed < 0) {
		groups_abandon(groups, plan);
		return failed;
	}
	*ret = plan;
	return 0;
}

void groups_abandon(struct groups *groups, struct groups_plan *plan)
{
	if (!plan)
		return;
	set_clear(&plan->set, &groups->set);
	free_plan(plan);
}

/* Puts a new group in the place of the one that it replaces, if any. */
static void take_place(const struct groups_plan *plan, struct group *group, struct group *replaced)
{
	char path[PATH_MAX];
	int r;

	if (replaced)
		group_inherit(group, replaced);
	if (!group->socket)
		return;
	snprintf(path, sizeof(path), "%s/%s", plan->directory, group->config->name);
	r = group_socket_publish(group->socket, path);
	if (r < 0)
		log_error("group %s: moving its socket to %s: %s", group->config->name, path,
			strerror(-r));
}

void groups_commit(struct groups *groups, struct groups_plan *plan)
{
	const struct config *wanted = plan->wanted;
	size_t at = 0;

	/* They refer to the configuration that is freed. */
	reports_wait(groups->context.reports);
	/* One that Join made belongs to the configuration from now on, if that has it. */
	for (size_t i = 0; i < wanted->group_count; i++)
		group_set_config(plan->configured[i], &wanted->groups[i]);
	group_set_config(plan->configured[wanted->group_count], &wanted->events);
	for (size_t i = 0; i < plan->set.count; i++) {
		struct group *group = plan->set.items[i], *running = NULL;

		while (at < groups->set.count && compare_groups(&groups->set.items[at], &group) < 0)
			at++;
		if (at < groups->set.count && !compare_groups(&groups->set.items[at], &group))
			running = groups->set.items[at];
		if (group == running)
			continue;
		take_place(plan, group, running);
		attach_taps(groups, group);
	}
	set_clear(&groups->set, &plan->set);
	groups->set = plan->set;
	free_plan(plan);
}
