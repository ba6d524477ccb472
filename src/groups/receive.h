/* Reading a membership's socket. */
#pragma once

#include "groups/membership.h"

/* Reads once, and delivers what there was. Returns as arena_receive(). */
int membership_receive(struct membership *membership, struct arena_received *received);

/* Has the loop read its socket: in rounds, or at once where an outlet needs that or the receive
 * buffer is small. To be called
 * again when that may have changed. Returns 0, or a negative errno when it stays as it was. */
int membership_listen(struct membership *membership);

/* Before the socket is closed. */
void membership_stop_listening(struct membership *membership);

/* The callbacks of rounds_new(). */
extern const struct round_callbacks membership_round_callbacks;

/* Asks the kernel for what the group's outlets need, if that has changed; with force also where it
 * is not known what was asked before. */
void membership_apply_needs(struct membership *membership, bool force);

/* Reads how many datagrams the kernel has dropped at the socket. Returns how many are new. */
uint32_t membership_count_drops(struct membership *membership);
