/* The groups that there will be after a reload. They are made beside those that run, where all that
 * can fail is done, and committed then, which cannot fail. */
#pragma once

#include <stdbool.h>

#include "groups/group_set.h"

struct config;
struct errors;
struct group_context;
struct groups_plan;
struct handlers_plan;

/* As groups_prepare(). context and running, the groups that run, must live as long as the plan,
 * handlers until this returns. */
int groups_plan_new(struct group_context *context, const struct group_set *running,
	const struct config *wanted, const struct handlers_plan *handlers, bool dry_run,
	struct errors *errors, struct groups_plan **ret);

/* Undoes groups_plan_new(): frees what does not run. Accepts NULL. */
void groups_plan_free(struct groups_plan *plan);

/* Puts the groups in the place of the running ones, which they inherit from, and frees the plan.
 * Returns the groups; the running ones that are not among them are to be freed. */
struct group_set groups_plan_commit(struct groups_plan *plan);
