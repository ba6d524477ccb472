/* What signals ask of the daemon: SIGTERM and SIGINT end the loop, SIGHUP reloads (or ends it,
 * too), SIGUSR1 begins new files, and after SIGCHLD orphans are reaped. */
#pragma once

#include <stdbool.h>

#include "daemon/reload.h"
#include "handlers/handlers.h"

/* Blocks the signals that would end a daemon that does not handle them yet; signals_new() unblocks
 * them. Ignores the one of the limit on the size of files. */
void signals_hold(bool hold);

struct signals;

/* All of it must live as long. */
struct signals_setup {
	struct event_base *base;
	struct reloads *reloads;
	struct handlers *handlers;
	bool is_adhoc; /* SIGPIPE and SIGHUP end it, like the rest of a pipeline or a terminal */
};

/* Returns 0 or -ENOMEM. */
int signals_new(const struct signals_setup *setup, struct signals **ret);

/* Must come after reloads_free(). Accepts NULL. */
void signals_free(struct signals *signals);
