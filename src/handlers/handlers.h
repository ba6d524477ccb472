/* All running handlers, by name, and changing them as a whole. */
#pragma once

#include "base/errors.h"
#include "data/counters.h"
#include "handlers/handler.h"

struct handlers;
struct handlers_plan;

/* An empty set, or NULL without memory. counters must live longer. */
struct handlers *handlers_new(struct counters *counters);

/* Retires all of them (handler_retire()) and frees the set. Accepts NULL. */
void handlers_free(struct handlers *handlers, uint64_t deadline_ns);

/* Starts everything of wanted that does not run unchanged already, beside what runs. before is the
 * configuration that runs, NULL at the start. On failure nothing has changed, and errors says what.
 */
int handlers_prepare(struct handlers *handlers, const struct config *before,
	const struct config *wanted, struct errors *errors, struct handlers_plan **ret);

/* The handler of that name after the plan is carried out, or NULL. */
struct handler *handlers_plan_find(const struct handlers_plan *plan, const char *name);

/* Whether it is one that runs already. */
bool handlers_plan_is_kept(const struct handlers_plan *plan, const struct handler *handler);

/* Makes the plan's handlers the set. What is not in it is retired; no group may deliver to it any
 * more. Frees plan. */
void handlers_commit(struct handlers *handlers, struct handlers_plan *plan, uint64_t deadline_ns);

/* Ends what the plan started. Accepts NULL. */
void handlers_abandon(struct handlers_plan *plan);

struct handler *handlers_find(const struct handlers *handlers, const char *name);

/* In the order of the configuration. */
size_t handlers_count(const struct handlers *handlers);
struct handler *handlers_at(const struct handlers *handlers, size_t i);
