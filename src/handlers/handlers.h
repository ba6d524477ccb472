/* All running handlers, by name, and changing them as a whole. */
#pragma once

#include "base/errors.h"
#include "data/counters.h"
#include "handlers/handler.h"

struct handlers;

/* The set that there will be: running handlers that do not change, and new ones. Each call does one
 * step of the way there, as hundreds of handlers would keep the loop away for long. */
struct handlers_plan;

/* An empty set, or NULL without memory. What is in context must live longer; its name, forwards,
 * own_addresses and import_ports are ignored. */
struct handlers *handlers_new(const struct handler_context *context);

/* Retires all of them (handler_retire()), waits for their threads until a second after
 * worker_end_ns() (CLOCK_MONOTONIC) at most, and frees the set. Returns how many are stuck in a
 * system call: where any are, nothing is freed, and the process must end without them. Accepts
 * NULL. */
unsigned handlers_free(struct handlers *handlers, uint64_t deadline_ns);

/* Before handlers_free(): has those take no more by which something comes in, and retires them
 * (handler_retire_early()). */
void handlers_stop_inputs(struct handlers *handlers, uint64_t deadline_ns);

/* Drops what is queued for retired handlers past their deadline that are stuck. To be called now
 * and again, so that their accounts settle. */
void handlers_expire(struct handlers *handlers);

/* The network interfaces or their addresses may have changed: tells all. */
void handlers_links_changed(struct handlers *handlers, const struct interface_list *interfaces);

/* A plan towards the handlers of wanted. before is the configuration that runs, NULL at the start.
 * Both must live until the plan is committed or retired. Only one plan may be under way;
 * handlers_free() ends it, too. Returns 0 or -ENOMEM. */
int handlers_plan_new(struct handlers *handlers, const struct config *before,
	const struct config *wanted, struct handlers_plan **ret);

/* Starts, beside what runs, the next handler that does not run unchanged already. Returns 1 while
 * there is more to do; then 0, or a negative errno with the reasons in errors. Then nothing has
 * changed, and handlers_retire() must follow. */
int handlers_prepare(struct handlers_plan *plan, struct errors *errors);

/* The handler of that name in the plan, or NULL; and whether it is the one that runs already.
 * Accepts NULL as handler. */
struct handler *handlers_plan_find(const struct handlers_plan *plan, const char *name);
bool handlers_plan_is_unchanged(const struct handlers_plan *plan, const struct handler *handler);

/* Begins the next handler that was prepared. Returns whether there is more to do. With the last one
 * the plan becomes the set. Groups may deliver to what was the set until handlers_retire(). */
bool handlers_commit(struct handlers_plan *plan);

/* Retires the next handler of the plan that is not in the set: after the commit one that ran, which
 * no group may deliver to any more, else one that was prepared. Returns whether there is more to
 * do; else the plan is freed. */
bool handlers_retire(struct handlers_plan *plan, uint64_t deadline_ns);

struct handler *handlers_find(const struct handlers *handlers, const char *name);

/* In the order of their names. */
size_t handlers_count(const struct handlers *handlers);
struct handler *handlers_at(const struct handlers *handlers, size_t i);

/* The place of the first handler whose name comes after this one. */
size_t handlers_after(const struct handlers *handlers, const char *name);
