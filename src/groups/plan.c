/* Changing all groups at once: first everything that can fail, beside what runs, then the change
 * itself, which cannot. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "config/report.h"
#include "groups/group_socket.h"
#include "groups/registry.h"

/* Each running group is marked with what the plan does with it (enum group_fate). */
struct groups_plan {
	struct group_set set; /* what there will be: groups that stay, and new ones */
	char *directory; /* of the group sockets */
	bool dry_run; /* no sockets are made */
	const char
		*run_directory; /* in which it lies; of the configuration, while the plan is made */
};

static void report(struct errors *errors, const struct config_group *config, const char *why)
{
	struct subject subject = group_subject(config);

	config_report(errors, &subject, 0, NULL, "%s", why);
}

/* Whether the group can stay as it is: it wants the same, from the same handlers. */
static bool is_unchanged(const struct group *running, const struct config_group *wanted,
	const struct handlers_plan *handlers)
{
	if (!config_group_equal(running->config, wanted))
		return false;
	for (size_t i = 0; i < wanted->handlers.count; i++)
		if (!handlers_plan_is_kept(
			    handlers, handlers_plan_find(handlers, wanted->handlers.items[i])))
			return false;
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
			log_warning("group %s: its handler %s is not there any more",
				group->config->name, names->items[i]);
	}
	return r;
}

static int make_directory(const char *path)
{
	return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* The group's socket is made under a name of its own, and takes its place at the commit. What is
 * there must be the one of the running group, or one that a daemon has left behind. */
static int open_socket(struct group *group, const struct group *running,
	const struct groups_plan *plan, char why[static WHY_MAX])
{
	char path[PATH_MAX];
	int r;

	if (!group->config->socket || plan->dry_run)
		return 0;
	r = make_directory(plan->run_directory);
	r = r < 0 ? r : make_directory(plan->directory);
	if (r < 0) {
		snprintf(why, WHY_MAX,
			"making the directory %s: %s; the daemon must be able to write to "
			"run_directory",
			plan->directory, strerror(-r));
		return r;
	}
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
	struct group *group;
	int r = group_new(&groups->context, wanted, running, &group);

	snprintf(why, WHY_MAX, "out of memory");
	if (r < 0)
		return r;
	r = attach_handlers(group, handlers);
	if (r >= 0)
		r = open_socket(group, running, plan, why);
	if (r < 0) {
		group_set_free_group(group);
		return r;
	}
	*ret = group;
	return 0;
}

static int plan_group(struct groups_plan *plan, struct groups *groups,
	const struct config_group *wanted, const struct handlers_plan *handlers,
	struct errors *errors)
{
	struct group *running = groups_find(groups, wanted->name), *group = running;
	char why[WHY_MAX];
	int r = 0;

	if (running && is_unchanged(running, wanted, handlers)) {
		running->fate = GROUP_STAYS;
	} else {
		r = make_group(groups, plan, wanted, handlers, why, &group);
		if (r < 0) {
			report(errors, wanted, why);
			return r;
		}
		if (running)
			running->fate = GROUP_IS_REPLACED;
	}
	r = group_set_append(&plan->set, group);
	if (r < 0 && group != running)
		group_set_free_group(group);
	return r;
}

/* Groups that Join made go on, unless the configuration has one of that name by now. */
static int plan_joined(struct groups_plan *plan, struct groups *groups,
	const struct handlers_plan *handlers, struct errors *errors)
{
	int r = 0;

	for (size_t i = 0; i < groups->set.count && r >= 0; i++) {
		struct group *group = groups->set.items[i], *joined;

		if (!group->until_stop || group->fate != GROUP_GOES)
			continue;
		r = plan_group(plan, groups, group->config, handlers, errors);
		if (r < 0)
			return r;
		joined = plan->set.items[plan->set.count - 1];
		joined->until_stop = true;
		if (joined != group)
			r = group_own_config(joined);
	}
	return r;
}

int groups_prepare(struct groups *groups, const struct config *wanted,
	struct handlers_plan *handlers, bool dry_run, struct errors *errors,
	struct groups_plan **ret)
{
	struct groups_plan *plan = calloc(1, sizeof(*plan));
	int r, failed = 0;

	if (!plan)
		return -ENOMEM;
	if (asprintf(&plan->directory, "%s/groups", wanted->run_directory) < 0) {
		free(plan);
		return -ENOMEM;
	}
	plan->run_directory = wanted->run_directory;
	plan->dry_run = dry_run;
	for (size_t i = 0; i < groups->set.count; i++) {
		groups->set.items[i]->fate = GROUP_GOES;
		groups->set.items[i]->wanted = NULL;
	}
	for (size_t i = 0; i < wanted->group_count; i++) {
		if ((r = plan_group(plan, groups, &wanted->groups[i], handlers, errors)) < 0)
			failed = r;
		else
			plan->set.items[plan->set.count - 1]->wanted = &wanted->groups[i];
	}
	if ((r = plan_joined(plan, groups, handlers, errors)) < 0)
		failed = r;
	if (failed < 0) {
		groups_abandon(groups, plan);
		return failed;
	}
	group_set_sort(&plan->set);
	*ret = plan;
	return 0;
}

void groups_abandon(struct groups *groups, struct groups_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->set.count; i++)
		if (!group_set_contains(&groups->set, plan->set.items[i]))
			group_set_free_group(plan->set.items[i]);
	free(plan->set.items);
	free(plan->directory);
	free(plan);
}

/* Puts a new group in the place of the one that it replaces, if any. */
static void take_place(const struct groups_plan *plan, struct group *group, struct group *replaced)
{
	char path[PATH_MAX];
	int r;

	if (replaced) {
		group_inherit(group, replaced);
		group_socket_move_connections(replaced->socket, group->socket);
	}
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
	for (size_t i = 0; i < plan->set.count; i++) {
		struct group *group = plan->set.items[i],
			     *running = groups_find(groups, group->config->name);

		/* One that Join made is the configuration's from now on, if that has it. */
		group->until_stop = !group->wanted;
		if (group->wanted)
			group_set_config(group, group->wanted);
		if (group == running)
			continue;
		take_place(plan, group, running);
		groups_attach_taps(groups, group);
	}
	/* Last in, first out, see group_set_clear(). */
	for (size_t i = groups->set.count; i-- > 0;)
		if (groups->set.items[i]->fate != GROUP_STAYS)
			group_set_free_group(groups->set.items[i]);
	free(groups->set.items);
	groups->set = plan->set;
	free(plan->directory);
	free(plan);
}
