#include "groups/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/log.h"
#include "config/report.h"
#include "groups/group.h"
#include "groups/group_socket.h"
#include "handlers/handlers.h"
#include "net/descriptors.h"
#include "service/path_fix.h"

/* What there is, and what there will be, of one name. */
struct planned {
	struct group *running; /* NULL: none */
	struct group *group; /* NULL: none; the running one: it stays as it is */
	const struct config_group *config; /* NULL: Join made it */
};

struct groups_plan {
	struct group_context *context;
	struct group_set *running;
	const struct config *wanted;
	const struct handlers_plan *handlers;
	char *directory; /* of the group sockets */
	bool dry_run; /* no sockets are made, but whether they could be is checked */
	unsigned unopened; /* how many would have been made */
	bool is_short; /* of descriptors, which was told */
	const struct config_group **sorted; /* those of wanted by name, with that of events */
	size_t next_wanted, next_running; /* to be planned */
	struct {
		struct planned *items;
		size_t count;
	} planned; /* sorted by name */
	int failure;
	struct group **room; /* for all groups; NULL: it is in use */
	size_t left; /* planned groups from here on were freed if they are not wanted */
	size_t placed; /* planned groups before are in their place */
	size_t place; /* in running, of the next one */
};

/* Whether the group can stay as it is: it wants the same, from the same handlers. */
static bool is_unchanged(const struct groups_plan *plan, const struct group *running,
	const struct config_group *wanted)
{
	const struct handlers_plan *handlers = plan->handlers;

	if (!config_group_equal(running->config, wanted))
		return false;
	if (wanted->inputs.count && plan->wanted->import_port != plan->context->import_port)
		return false;
	for (size_t i = 0; i < wanted->handlers.count && handlers; i++) {
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
	const struct uncounted *uncounted = &group->context->uncounted;
	const struct string_list *names = &group->config->handlers;
	int r = 0;

	for (size_t i = 0; i < names->count && handlers && r >= 0; i++) {
		struct handler *handler = handlers_plan_find(handlers, names->items[i]);

		if (handler)
			r = group_attach(group, handler_outlet(handler));
		else
			log_warning("group %s: its handler %s does not exist any more",
				group->config->name, names->items[i]);
		if (handler && uncounted->group == counters_key(group->counters))
			handler_count_lost(handler, uncounted->read, uncounted->count);
	}
	return r;
}

static int make_directory(const char *path)
{
	return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* Whether make_directory() could make it, or files can be made in it. */
static int check_directory(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return -errno;
	if (!S_ISDIR(status.st_mode))
		return -ENOTDIR;
	return faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/* The first of these that is there must take what is to be made in it. */
static int check_directories(const struct groups_plan *plan)
{
	const char *run_directory = plan->wanted->run_directory;
	const char *slash = strrchr(run_directory, '/');
	char parent[PATH_MAX];
	int r = check_directory(plan->directory);

	if (r == -ENOENT)
		r = check_directory(run_directory);
	if (r != -ENOENT)
		return r;
	snprintf(parent, sizeof(parent), "%.*s/", (int)(slash - run_directory), run_directory);
	return check_directory(parent);
}

static int make_directories(const struct groups_plan *plan)
{
	int r = make_directory(plan->wanted->run_directory);

	return r < 0 ? r : make_directory(plan->directory);
}

static int check_socket(struct groups_plan *plan, const struct config_group *config,
	const char *path, const struct group_socket *replaced, char why[static WHY_MAX])
{
	int r = group_socket_check(config, path, replaced, plan->context->running, why);

	plan->unopened += group_socket_doors(path, replaced);
	return r < 0 ? r : descriptors_check(plan->unopened, why);
}

static int open_socket(struct group *group, const struct group *running, struct groups_plan *plan,
	char why[static WHY_MAX])
{
	const struct group_socket *replaced = running ? running->socket : NULL;
	char path[PATH_MAX], fix[PATH_FIX_MAX];
	int r;

	if (!group->config->socket)
		return 0;
	r = plan->dry_run ? check_directories(plan) : make_directories(plan);
	if (r < 0)
		return because(why, r, "making the directory %s: %s%s", plan->directory,
			strerror(-r), path_fix(r, plan->directory, PATH_LISTENING, fix));
	snprintf(path, sizeof(path), "%s/%s", plan->directory, group->config->name);
	if (plan->dry_run)
		return check_socket(plan, group->config, path, replaced, why);
	return group_socket_new(group, path, replaced, why, &group->socket);
}

static int make_group(struct groups_plan *plan, const struct config_group *wanted,
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

/* A group that can stay is no reason to refuse what else changes. */
static int keep_running(const struct groups_plan *plan, struct planned *planned, const char *why)
{
	planned->group = planned->running;
	if (!plan->dry_run)
		log_warning("group %s: its socket was removed by somebody, and cannot be made "
			    "again: %s",
			planned->running->config->name, why);
	return 0;
}

/* Plans one name: the running group where nothing changed and the files of its sockets are there,
 * else a new one. */
static int plan_group(struct groups_plan *plan, const struct config_group *wanted, bool is_joined,
	struct planned *planned, struct errors *errors)
{
	struct subject subject = group_subject(wanted);
	bool may_stay = planned->running && is_unchanged(plan, planned->running, wanted);
	char why[WHY_MAX];
	int r;

	planned->group = planned->running;
	planned->config = is_joined ? NULL : wanted;
	if (may_stay && !group_socket_is_removed(planned->running->socket))
		return 0;
	r = make_group(plan, wanted, planned->running, why, &planned->group);
	if (r >= 0 && is_joined && (r = group_own_config(planned->group)) < 0) {
		group_free(take(planned->group));
		because(why, r, "out of memory");
	}
	if (r < 0 && may_stay)
		return keep_running(plan, planned, why);
	/* One line for all that find no descriptor. */
	if (r < 0 && (r != -EMFILE || !plan->is_short))
		config_report(errors, &subject, 0, NULL, "%s", why);
	plan->is_short |= r == -EMFILE;
	return r;
}

/* Takes the next name from the wanted groups, the running ones, or both. A group that Join made
 * stays, unless the configuration now has one of that name. */
static int plan_next(struct groups_plan *plan, struct errors *errors)
{
	size_t wanted_count = plan->wanted->group_count + 1;
	const struct config_group *wanted = NULL;
	struct planned planned = {0};
	int order = -1, r = 0;

	if (plan->next_running < plan->running->count)
		planned.running = plan->running->items[plan->next_running];
	if (plan->next_wanted < wanted_count)
		wanted = plan->sorted[plan->next_wanted];
	if (planned.running)
		order = wanted ? strcmp(wanted->name, planned.running->config->name) : 1;
	plan->next_wanted += order <= 0;
	plan->next_running += order >= 0;
	if (order < 0)
		planned.running = NULL;
	if (order <= 0)
		r = plan_group(plan, wanted, false, &planned, errors);
	else if (planned.running->own_config)
		r = plan_group(plan, planned.running->config, true, &planned, errors);
	if (r >= 0 && (r = array_add(&plan->planned, planned)) < 0 &&
		planned.group != planned.running)
		group_free(planned.group);
	return r;
}

/* Room for all groups, as array_grow() expects it: the commit cannot fail. */
static int make_room(struct groups_plan *plan)
{
	size_t room = 1;

	while (room < plan->planned.count)
		room *= 2;
	plan->room = calloc(room, sizeof(struct group *));
	return plan->room ? 0 : -ENOMEM;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp((*(const struct config_group *const *)a)->name,
		(*(const struct config_group *const *)b)->name);
}

static int sort_wanted(struct groups_plan *plan)
{
	const struct config *wanted = plan->wanted;
	size_t count = wanted->group_count;

	plan->sorted = calloc(count + 1, sizeof(*plan->sorted));
	if (!plan->sorted)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		plan->sorted[i] = &wanted->groups[i];
	plan->sorted[count] = &wanted->events;
	qsort(plan->sorted, count + 1, sizeof(*plan->sorted), compare_names);
	return 0;
}

int groups_plan_new(struct group_context *context, struct group_set *running,
	const struct config *wanted, const struct handlers_plan *handlers, bool dry_run,
	struct groups_plan **ret)
{
	struct groups_plan *plan = calloc(1, sizeof(*plan));

	if (!plan)
		return -ENOMEM;
	*plan = (struct groups_plan){.context = context,
		.running = running,
		.wanted = wanted,
		.handlers = handlers,
		.dry_run = dry_run};
	if (sort_wanted(plan) < 0 ||
		asprintf(&plan->directory, "%s/groups", wanted->run_directory) < 0) {
		plan->directory = NULL;
		groups_plan_free(plan);
		return -ENOMEM;
	}
	*ret = plan;
	return 0;
}

int groups_plan_prepare(struct groups_plan *plan, struct errors *errors)
{
	int r;

	if (plan->next_wanted <= plan->wanted->group_count ||
		plan->next_running < plan->running->count) {
		r = plan_next(plan, errors);
		plan->failure = r < 0 ? r : plan->failure;
		return 1;
	}
	plan->left = plan->planned.count;
	return plan->failure < 0 ? plan->failure : make_room(plan);
}

bool groups_plan_undo(struct groups_plan *plan)
{
	const struct planned *planned;

	if (plan->planned.count) {
		planned = &plan->planned.items[--plan->planned.count];
		if (planned->group != planned->running)
			group_free(planned->group);
		return true;
	}
	free(plan->planned.items);
	free(plan->sorted);
	free(plan->room);
	free(plan->directory);
	free(plan);
	return false;
}

void groups_plan_free(struct groups_plan *plan)
{
	while (plan && groups_plan_undo(plan))
		;
}

/* Begins the commit. */
static void move_to_room(struct groups_plan *plan)
{
	struct group_set *running = plan->running;

	if (running->count)
		memcpy(plan->room, running->items, running->count * sizeof(struct group *));
	free(running->items);
	running->items = take(plan->room);
	plan->context->import_port = (uint16_t)plan->wanted->import_port;
}

/* Returns the group if it is to be left. */
static struct group *leave(struct groups_plan *plan, struct planned *planned)
{
	if (planned->group)
		return NULL;
	group_set_remove(plan->running, planned->running);
	return take(planned->running);
}

/* Returns the group if it is a new one. One that Join made belongs to the configuration from now
 * on, if that has it. */
static struct group *place(
	struct groups_plan *plan, struct planned *planned, struct group **ret_replaced)
{
	struct group *group = planned->group, *replaced = planned->running;
	size_t at = plan->place;

	if (!group)
		return NULL;
	plan->place++;
	if (planned->config)
		group_set_config(group, planned->config);
	if (group == replaced)
		return NULL;
	if (replaced) {
		group_inherit(group, replaced);
		plan->running->items[at] = group;
	} else {
		group_set_put(plan->running, at, group);
		group_socket_begin(group->socket, NULL);
	}
	planned->running = group;
	merged_place(group, replaced, group_set_find, plan->running);
	*ret_replaced = replaced;
	return group;
}

/* Those that are left come first, as they may be there under another name, and the last of them
 * first: the kernel searches an interface's list of memberships for each that is left, and has the
 * latest first. In the order of joining that takes quadratic time. */
bool groups_plan_commit(struct groups_plan *plan, struct group **ret_new, struct group **ret_old)
{
	*ret_new = *ret_old = NULL;
	if (plan->room)
		move_to_room(plan);
	if (plan->left)
		*ret_old = leave(plan, &plan->planned.items[--plan->left]);
	else if (plan->placed < plan->planned.count)
		*ret_new = place(plan, &plan->planned.items[plan->placed++], ret_old);
	else
		return false;
	return true;
}
