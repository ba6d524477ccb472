/* Makes another configuration the running one, all of it or nothing: prepares everything that can
 * fail beside what runs, and then commits what cannot fail. Both are done in steps, and the steps
 * in portions, so that neither ten thousand groups nor hundreds of handlers keep the loop away.
 * The start is a change from nothing. */
#pragma once

#include "base/errors.h"
#include "config/config.h"
#include "groups/groups.h"
#include "groups/inputs.h"
#include "handlers/handlers.h"
#include "http/http.h"

struct change;

/* What a change needs of the daemon, and must live longer. */
struct change_setup {
	struct event_base *base;
	struct handlers *handlers;
	struct groups *groups;
	struct inputs *inputs;
	struct http *http;
	/* The change has ended. r is 0, or a negative errno with lines in errors. */
	void (*done)(void *argument, int r);
	void *argument;
};

/* Nothing runs yet. Returns NULL without memory. */
struct change *change_new(const struct change_setup *setup);

/* Must come after the groups are freed, which may refer to the configurations. Accepts NULL. */
void change_free(struct change *change);

/* The configuration that runs: NULL at first, from the commit on the new one. */
const struct config *change_running(const struct change *change);

/* Adds what a change to wanted means for what runs: a line for each handler that it replaces or
 * removes, and for which datagrams have waited for more than a moment, as not all of them may still
 * be delivered; and for each group that Join made and that the configuration has now. */
void change_tell_more(
	const struct change *change, const struct config *wanted, struct errors *lines);

/* Begins a change to wanted, which it takes over. errors must live until done(), which is called
 * from here or later. With dry_run nothing is committed. None may be under way. */
void change_begin(
	struct change *change, struct config *wanted, bool dry_run, struct errors *errors);

/* Makes the first change at once. As change_begin(), but returns 0, or a negative errno with lines
 * in errors; done() is not called. */
int change_start(struct change *change, struct config *wanted, bool dry_run, struct errors *errors);

/* Makes what is left of a commit at once: at the stop, each handler is one that runs or one that
 * has been retired, and what comes in has its group. What is only being prepared is left as it is.
 * Accepts NULL. */
void change_finish(struct change *change);

/* For done(): the configuration that nobody refers to any more, which is the caller's then; or
 * NULL. */
struct config *change_take_unused(struct change *change);
