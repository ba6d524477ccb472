/* All running handlers, by name, and changing them as a whole. */
#pragma once

#include "base/errors.h"
#include "data/counters.h"
#include "handlers/handler.h"

struct handlers;

/* The set that there will be: running handlers that do not change, and new ones. */
struct handlers_plan;

/* An empty set, or NULL without memory. What is in context must live longer; its name, forwards and
 * own_addresses are ignored. */
struct handlers *handlers_new(const struct handler_context *context);

/* Retires all of them (handler_retire()), waits for their threads until a second after deadline_ns
 * (CLOCK_MONOTONIC) at most, and frees the set. Returns how many are stuck in a system call: where
 * any are, nothing is freed, and the process must end without them. Accepts NULL. */
unsigned handlers_free(struct handlers *handlers, uint64_t deadline_ns);

/* Drops what is queued for retired handlers past their deadline that are stuck. To be called now
 * and again, so that their accounts settle. */
void handlers_expire(struct handlers *handlers);

/* The network interfaces or their addresses may have changed: tells all. */
void handlers_links_changed(struct handlers *handlers, const struct interface_list *interfaces);

/* Starts, beside what runs, each handler of wanted that does not run unchanged already. before is
 * the configuration that runs, NULL at the start. On failure nothing has changed, and errors has
 * the reasons. */
int handlers_prepare(struct handlers *handlers, const struct config *before,
	const struct config *wanted, struct errors *errors, struct handlers_plan **ret);

/* The handler of that name in the plan, or NULL; and whether it is the one that runs already.
 * Accepts NULL as handler. */
struct handler *handlers_plan_find(const struct handlers_plan *plan, const char *name);
bool handlers_plan_is_unchanged(const struct handlers_plan *plan, const struct handler *handler);

/* Makes the plan the set. Running handlers that are not in it are retired; no group may deliver to
 * them any more. Frees plan. */
void handlers_commit(struct handlers *handlers, struct handlers_plan *plan, uint64_t deadline_ns);

/* Retires what the plan has started, and frees it. Accepts NULL. */
void handlers_abandon(struct handlers_plan *plan);

struct handler *handlers_find(const struct handlers *handlers, const char *name);

/* In the order of the configuration. */
size_t handlers_count(const struct handlers *handlers);
struct handler *handlers_at(const struct handlers *handlers, size_t i);
