/* The targets of the command line: groups that are printed on standard output, without a file
 * ("ad hoc mode"). */
#pragma once

#include <event2/event.h>

#include "config/config.h"
#include "daemon/options.h"
#include "groups/groups.h"

/* Adds the targets to a configuration, and the handler that prints them. Returns 0, -ENOMEM, or
 * -EINVAL with lines in errors. */
int adhoc_configure(const struct options *options, struct config *config, struct errors *errors);

struct adhoc;

/* Ends the loop at the count or the timeout, and without a configuration when nobody reads any
 * more; logs once a second what is lost while that grows. *ret is NULL without targets. All that is
 * given must live as long. Returns 0 or -ENOMEM. */
int adhoc_start(const struct options *options, struct event_base *base, struct groups *groups,
	struct handlers *handlers, struct adhoc **ret);

/* Logs what was lost in all. Must come after the handlers have ended, and while the counters are
 * mapped. Returns the exit status of the program. Accepts NULL. */
int adhoc_finish(struct adhoc *adhoc);

/* Accepts NULL. */
void adhoc_free(struct adhoc *adhoc);
