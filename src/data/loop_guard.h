/* Recognizes datagrams that a ring of relays has brought back: they have the payload of one that
 * was relayed a moment ago, a smaller TTL, as each relay lowers it, and another source. A payload
 * that its own sender repeats has the same TTL, and passes. */
#pragma once

#include <stdbool.h>

#include "data/datagram.h"

struct loop_guard;

/* Returns NULL without memory. */
struct loop_guard *loop_guard_new(void);
void loop_guard_free(struct loop_guard *guard); /* accepts NULL */

/* Whether this datagram has been relayed before. One that has not is remembered. Needs its source
 * and TTL. now_ms is any clock in milliseconds. */
bool loop_guard_has_seen(
	struct loop_guard *guard, const struct datagram *datagram, uint32_t now_ms);
