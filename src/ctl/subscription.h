/* The daemon's groups, as Subscribe sends them: a connection that, where that is wanted, is made
 * again when it is lost, and says so on standard error. What the daemon receives while there is
 * none is not seen here.
 *
 * A service manager may listen at the socket while the daemon is away: then the connection is made
 * at once, and waits for the daemon. So a lost one counts as back only once the daemon has
 * answered. */
#pragma once

#include "ctl/session.h"

struct subscription {
	struct session *session; /* whose client is NULL while there is no connection */
	const char *const *groups; /* none: all */
	size_t count;
	bool reconnects;
	uint64_t lost_ns; /* since when there is none, of CLOCK_MONOTONIC; 0: there is one */
	uint64_t retry_ns; /* when to try again, if lost and without a connection */
	uint64_t pause_ns; /* before that */
	int told; /* the negative errno of the last attempt; 0: none */
	bool greeted; /* the daemon has answered at this connection */
	bool listing; /* ListGroups stands in front of Subscribe, and has not been answered */
};

/* Subscribes. Where it reconnects and there is no daemon, says that it waits, and has to be
 * retried. Returns an exit code. */
int subscription_open(struct subscription *subscription);

/* At retry_ns. Returns an exit code. */
int subscription_retry(struct subscription *subscription);

/* After a negative errno of the connection, or -ECONNRESET where the daemon has ended the
 * subscription. Returns an exit code: EXIT_DONE where it is to be retried. */
int subscription_lost(struct subscription *subscription, int error);

/* Whether an answer is not one of Subscribe, but only says that the daemon is there, or how the
 * groups are: of those that are named and not received, standard error says why. */
bool subscription_takes(struct subscription *subscription, const struct reply *reply);
