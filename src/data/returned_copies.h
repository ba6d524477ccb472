/* Copies that this host gets back of what its relays have sent with the source of another host: a
 * broadcast always comes back, and with loop what is sent to a group. Neither the source nor the
 * port tells them from what a network brings. Pure: the caller says what was sent and what came. */
#pragma once

#include "data/datagram.h"

struct returned_copies;

/* How long after it was sent a copy is known. */
#define RETURNED_COPIES_MS 2000

/* Takes 128 KiB, that are not resident until used. Returns NULL without memory. To be freed with
 * free(). */
struct returned_copies *returned_copies_new(void);

/* A datagram was sent with this source, and comes back on an interface; 0: it is not known on which
 * one. Where more were sent than there is room for, the oldest are forgotten. now_ms is any clock
 * in milliseconds. Accepts NULL. */
void returned_copies_expect(struct returned_copies *copies, const union endpoint *source,
	const void *payload, size_t size, unsigned ifindex, uint32_t now_ms);

/* Whether any copy may still come. Accepts NULL. */
bool returned_copies_are_expected(const struct returned_copies *copies, uint32_t now_ms);

/* Whether what came in by an interface is such a copy. The kernel gives one to each socket: each
 * taker gets as many as were sent. The datagram must have its source and its payload. */
bool returned_copies_take(struct returned_copies *copies, const void *taker,
	const struct datagram *datagram, unsigned ifindex, uint32_t now_ms);
