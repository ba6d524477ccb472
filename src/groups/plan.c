#include "groups/plan.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "base/log.h"
#include "config/report.h"
#include "groups/group.h"
#include "groups/group_socket.h"
#include "handlers/handlers.h"

/* A group in the plan stays as it is if it is the running one, the very same object. */
struct groups_plan {
	struct group **configured; /* those of wanted, in its order, then that of events */
	struct group_set set; /* the groups that there will be */
	struct group_context *context;
	const struct group_set *running;
	const struct config *wanted;
	const struct handlers_plan *handlers;
	char *directory; /* of the group sockets */
	bool dry_run; /* no sockets are made */
};

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
	if (!running || !running->socket)
		r = group_socket_check(path, why);
	else if ((r = group_socket_publish(running->socket, path)) < 0)
		r = because(why, r, "moving its socket to %s: %s", path, strerror(-r));
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/.%s", plan->directory, group->config->name);
	return group_socket_new(group, path, why, &group->socket);
}

static int make_group(const struct groups_plan *plan, const struct config_group *wanted,
	const struct group *running, char why[static WHY_MAX], struct group **ret)
{
	struct group *group = NULL;
	int r = group_new(plan->context, wanted, running, &group);

	r = r < 0 ? r : attach_handlers(group, plan->handlers);
	r = r < 0 ? because(why, r, "out of memory") : open_socket(group, running, plan, why);
	if (r < 0) {
		group_free(group);
		return r;
	}
	*ret = group;
	return 0;
}

/* Adds one group to the plan: the running one where nothing changed, else a new one. */
static int plan_group(struct groups_plan *plan, const struct config_group *wanted,
	struct errors *errors, struct group **ret)
{
	struct group *running = group_set_find(plan->running, wanted->name), *group = running;
	struct subject subject = group_subject(wanted);
	char why[WHY_MAX];
	int r = 0;

	if (!running || !is_unchanged(running, wanted, plan->handlers))
		r = make_group(plan, wanted, running, why, &group);
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
static int plan_joined(struct groups_plan *plan, struct errors *errors)
{
	const struct group_set *running = plan->running;
	size_t configured = plan->set.count;
	int r = 0;

	for (size_t i = 0; i < running->count && r >= 0; i++) {
		struct group *joined = running->items[i], *group;

		if (!joined->own_config ||
			group_set_find(&(struct group_set){plan->set.items, configured},
				joined->config->name))
			continue;
		r = plan_group(plan, joined->config, errors, &group);
		if (r >= 0 && group != joined)
			r = group_own_config(group);
	}
	return r;
}

static struct group **copy_items(const struct group_set *set)
{
	struct group **items = calloc(set->count + 1, sizeof(struct group *));

	if (items)
		memcpy(items, set->items, set->count * sizeof(struct group *));
	return items;
}

int groups_plan_new(struct group_context *context, const struct group_set *running,
	const struct config *wanted, const struct handlers_plan *handlers, bool dry_run,
	struct errors *errors, struct groups_plan **ret)
{
	struct groups_plan *plan = calloc(1, sizeof(*plan));
	struct group *group;
	int r, failed = 0;

	if (!plan)
		return -ENOMEM;
	*plan = (struct groups_plan){.context = context,
		.running = running,
		.wanted = wanted,
		.handlers = handlers,
		.dry_run = dry_run};
	if (asprintf(&plan->directory, "%s/groups", wanted->run_directory) < 0) {
		free(plan);
		return -ENOMEM;
	}
	for (size_t i = 0; i < wanted->group_count; i++)
		if ((r = plan_group(plan, &wanted->groups[i], errors, &group)) < 0)
			failed = r;
	if ((r = plan_group(plan, &wanted->events, errors, &group)) < 0)
		failed = r;
	if (failed >= 0 && !(plan->configured = copy_items(&plan->set)))
		failed = -ENOMEM;
	group_set_sort(&plan->set);
	if ((r = plan_joined(plan, errors)) < 0)
		failed = r;
	group_set_sort(&plan->set);
	if (failed < 0) {
		groups_plan_free(plan);
		return failed;
	}
	*ret = plan;
	return 0;
}

void groups_plan_free(struct groups_plan *plan)
{
	if (!plan)
		return;
	group_set_clear(&plan->set, plan->running);
	free(plan->configured);
	free(plan->directory);
	free(plan);
}

/* Moves a group's socket to its place. One that could not be moved earlier is tried again by each
 * reload. */
static void publish(const struct groups_plan *plan, struct group *group)
{
	char path[PATH_MAX];
	int r;

	if (!group->socket)
		return;
	snprintf(path, sizeof(path), "%s/%s", plan->directory, group->config->name);
	r = group_socket_publish(group->socket, path);
	if (r < 0)
		log_error("group %s: moving its socket to %s: %s; a reload tries again",
			group->config->name, path, strerror(-r));
}

struct group_set groups_plan_commit(struct groups_plan *plan)
{
	const struct config *wanted = plan->wanted;
	struct group_set set = plan->set;
	size_t at = 0;

	/* One that Join made belongs to the configuration from now on, if that has it. */
	for (size_t i = 0; i < wanted->group_count; i++)
		group_set_config(plan->configured[i], &wanted->groups[i]);
	group_set_config(plan->configured[wanted->group_count], &wanted->events);
	for (size_t i = 0; i < set.count; i++) {
		struct group *group = set.items[i];
		struct group *running = group_set_next(plan->running, &at, group);

		if (running && group != running)
			group_inherit(group, running);
		publish(plan, group);
	}
	free(plan->configured);
	free(plan->directory);
	free(plan);
	return set;
}
