/* Ends rings of relays, whoever is in them, and whatever they do to the TTL, to ports and to
 * addresses. Pure: the caller says what came, from which address and when. One guard serves all
 * relays of the daemon, as a ring may use several. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"

struct loop_guard;

enum loop_verdict {
	LOOP_NONE, /* to be relayed */
	LOOP_FOUND, /* not to be relayed, and the first of a ring: to be reported */
	LOOP_AGAIN, /* not to be relayed: the ring goes on */
};

/* Returns NULL without memory. */
struct loop_guard *loop_guard_new(void);
void loop_guard_free(struct loop_guard *guard); /* accepts NULL */

/* What to do with a datagram that came from this address. One that is to be relayed counts as
 * relayed. now_ns is any monotonic clock. */
enum loop_verdict loop_guard_judge(struct loop_guard *guard, const void *payload, size_t size,
	const struct address *source, uint64_t now_ns);
