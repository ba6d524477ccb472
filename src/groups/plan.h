/* The groups that there will be after a reload. They are made beside those that run, where all that
 * can fail is done, and committed then, which cannot fail. Both go group by group, in steps that
 * take little time each, as there may be ten thousand. At every moment each group is the old one or
 * the new one as a whole. */
#pragma once

#include <stdbool.h>

#include "groups/group_set.h"

struct config;
struct errors;
struct group;
struct group_context;
struct groups_plan;
struct handlers_plan;

/* context, wanted and running, the groups that run, must live as long as the plan, handlers until
 * all is prepared. Nothing else may change running meanwhile. With dry_run no file is made, and the
 * plan is only good to be undone. Returns 0 or -ENOMEM. */
int groups_plan_new(struct group_context *context, struct group_set *running,
	const struct config *wanted, const struct handlers_plan *handlers, bool dry_run,
	struct groups_plan **ret);

/* Makes the next group, if it is new or changed. Returns 1 while there is more to do; then 0, or a
 * negative errno with the reasons in errors. */
int groups_plan_prepare(struct groups_plan *plan, struct errors *errors);

/* After all is prepared: takes away the next group that is no longer wanted, or puts the next one
 * in its place, where it inherits from the one that it replaces. Returns whether there is more to
 * do. *ret_new is the group that has come to be among the running ones; NULL: none has. *ret_old is
 * the one that it replaces, or that was taken away, to be freed by the caller; or NULL. */
bool groups_plan_commit(struct groups_plan *plan, struct group **ret_new, struct group **ret_old);

/* Frees the next group that does not run. Returns whether there is more to do. */
bool groups_plan_undo(struct groups_plan *plan);

/* Undoes the rest. Accepts NULL. */
void groups_plan_free(struct groups_plan *plan);
