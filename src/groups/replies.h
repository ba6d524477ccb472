/* Replies: what comes back to the port that a group sends from, as datagrams of the group. They are
 * received on the group's interfaces only. */
#pragma once

#include "groups/outgoing.h"

/* Receives them at the way's sender, which must be one that does. Returns 0, or a negative errno
 * with the reason in why. */
int replies_open(struct way *way, char why[static WHY_MAX]);

/* Receives no more, and delivers what is queued. */
void replies_close(struct way *way);

/* Asks the kernel for what the group's outlets need. */
void replies_apply_needs(struct way *way);

/* Gives the socket the receive buffer that is configured now. */
void replies_apply_buffer(struct way *way);

/* How many datagrams the kernel has dropped at the socket since the last call. */
uint32_t replies_count_drops(struct way *way);
