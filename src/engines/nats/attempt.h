/* One attempt to connect to a nats-server. It may block (names, handshakes), so it has a thread of
 * its own, which nobody waits for: an attempt that takes too long is abandoned, and ends by itself.
 * The thread and whoever began it have a reference each. */
#pragma once

#include <nats/nats.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "engines/keys.h"
#include "engines/nats/contact.h"
#include "engines/nats/login.h"

struct attempt;

/* Begins to connect to a server as it is configured. patience_ns is for all that the server has to
 * answer until it is connected, once its name is looked up. old is a connection that the thread
 * closes first, which may wait; NULL: there is none. wake is an eventfd(2), which is written to
 * when the attempt is over. Returns 0, or a negative errno: then old is still the caller's. */
int attempt_start(struct login *login, const char *server, uint64_t patience_ns, int wake,
	natsConnection *old, struct attempt **ret);

/* Whether the name of the server is looked up at this moment. */
bool attempt_is_looking_up(const struct attempt *attempt);

/* What looking up the name takes in all: libnats does it again, which takes as long. It is not of
 * the patience. 0: it is not known yet. */
uint64_t attempt_lookups_ns(const struct attempt *attempt);

/* Whether one that has failed after this time had no more of it: libnats waits in whole
 * milliseconds. */
static inline bool attempt_is_late(uint64_t took_ns, uint64_t patience_ns)
{
	return took_ns + 10 * NS_PER_MS >= patience_ns;
}

bool attempt_is_over(struct attempt *attempt);

/* Of one that is over, and freed by that: the connection, and what is said of it in *ret; or NULL
 * with the reason in why. */
natsConnection *attempt_end(
	struct attempt *attempt, struct contact **ret, char why[static WHY_MAX]);

/* Leaves the attempt to itself, and frees it. Until it is over, it counts in login->stuck. */
void attempt_abandon(struct attempt *attempt);

/* Frees what the libraries have allocated for the calling thread: the process may end before the
 * thread has. */
void attempt_release_thread(void);
