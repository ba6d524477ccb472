/* Which datagrams have come in whole, by their fragments (RFC 791, 3.2; RFC 8200, 4.5). Pure.
 * Bounded: of more datagrams on their way at once than there is room for, the oldest are forgotten.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ctl/doctor/frame.h"

/* A datagram is incomplete when no more of its fragments have come for this time. They leave their
 * sender back to back. */
#define FRAGMENTS_LATE_NS (100 * 1000 * 1000ull)

struct fragments;

/* What is told of an incomplete datagram: owner is what its first fragment was taken with, or NULL
 * where that one is missing; else is what any of its fragments was taken with. */
typedef void fragments_incomplete(void *owner, void *other);

/* Takes some 100 KB. Returns NULL without memory. To be freed with free(). */
struct fragments *fragments_new(fragments_incomplete *incomplete);

/* Takes a fragment. A datagram may begin in the middle only where may_begin is set: not at the
 * start of a look. Returns the owner of its datagram; NULL: it is not known (yet). */
void *fragments_take(struct fragments *fragments, const struct frame *frame, unsigned ifindex,
	void *owner, void *other, bool may_begin, uint64_t now_ns);

/* Tells of all that are late, and forgets them. */
void fragments_expire(struct fragments *fragments, uint64_t now_ns);

/* Forgets all of them. */
void fragments_clear(struct fragments *fragments);
