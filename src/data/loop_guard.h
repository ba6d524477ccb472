/* Ends rings of relays, whoever is in them, and whatever they do to the TTL, to ports and to
 * addresses. Pure: the caller says what came, from which address and when. One guard serves all
 * relays of the daemon, as a ring may use several. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"

struct returned_copies;
struct loop_guard;

enum loop_verdict {
	LOOP_NONE, /* to be relayed */
	LOOP_FOUND, /* not to be relayed, and the first of a ring: to be reported */
	LOOP_AGAIN, /* not to be relayed: the ring goes on */
};

/* Returns NULL without memory. */
struct loop_guard *loop_guard_new(void);
void loop_guard_free(struct loop_guard *guard); /* accepts NULL */

/* The copies that this host gets back of what its relays send with the addresses of others
 * (data/returned_copies.h). NULL: there were none so far. Accepts NULL. */
struct returned_copies *loop_guard_copies(const struct loop_guard *guard);

/* The same, for a relay that sends such copies. NULL without memory. Accepts NULL. */
struct returned_copies *loop_guard_make_copies(struct loop_guard *guard);

/* What to do with a datagram that came from this address. One that is to be relayed counts as
 * relayed. now_ns is any monotonic clock. */
enum loop_verdict loop_guard_judge(struct loop_guard *guard, const void *payload, size_t size,
	const struct address *source, uint64_t now_ns);

/* After a batch: how long the reader of its membership is asked to read nothing, in ms; 0: it goes
 * on. Asked once. Then follows one of the others. */
uint32_t loop_guard_take_pause(struct loop_guard *guard);

/* The reader cannot pause. */
void loop_guard_refuse_pause(struct loop_guard *guard);

/* The pause is over: what is judged from now on was queued. */
void loop_guard_end_pause(struct loop_guard *guard);

/* What was queued has been judged; is_all: and there was no more of it. */
void loop_guard_was_queued(struct loop_guard *guard, bool is_all, uint64_t now_ns);
