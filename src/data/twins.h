/* Datagrams that arrive twice because two interfaces are on the same network: the copy of one has
 * the same sender, port and payload, and came in by another interface. Pure: the caller says what
 * came in where. */
#pragma once

#include "data/datagram.h"

/* How long after a datagram its copy is known. */
#define TWINS_WINDOW_MS 1000

struct twins;

/* Takes 400 KB, that are not resident until used. Returns NULL without memory. To be freed with
 * free(). */
struct twins *twins_new(void);

/* Whether a datagram is the copy of one that came in by another interface, *ret_other, within
 * TWINS_WINDOW_MS. What a sender repeats by one interface is none: of equal datagrams as many are
 * no copies as came in by the interface that brought most. Only datagrams of one owner are
 * compared. now_ms is any clock in milliseconds. */
bool twins_take(struct twins *twins, const void *owner, const struct datagram *datagram,
	unsigned ifindex, uint32_t now_ms, unsigned *ret_other);
