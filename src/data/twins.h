/* Datagrams that arrive twice because two interfaces are on the same network: the copy of one has
 * the same sender, port and payload, and came in by another interface. Pure: the caller says what
 * came in where. */
#pragma once

#include "data/datagram.h"

/* How long after a datagram its copy is known, and how many of them are: 2048 times 4. */
#define TWINS_WINDOW_MS 1000
#define TWINS_SETS 2048

/* The most interfaces on one network. What comes in by more of them passes. */
#define TWINS_INTERFACES 8

struct twins;

/* Takes 320 bytes for each of the sets, that are not resident until used. Returns NULL without
 * memory. To be freed with free(). */
struct twins *twins_new(uint32_t sets, uint32_t window_ms);

/* Whether a datagram is the copy of one that came in by another interface, *ret_other, within
 * the window. What a sender repeats by one interface is none: of equal datagrams as many are
 * no copies as came in by the interface that brought most. Only datagrams of one owner are
 * compared. now_ms is any clock in milliseconds, of which the datagrams need not be in order. */
bool twins_take(struct twins *twins, const void *owner, const struct datagram *datagram,
	unsigned ifindex, uint32_t now_ms, unsigned *ret_other);
