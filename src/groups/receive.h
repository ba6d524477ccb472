/* Reading a membership's socket. */
#pragma once

#include "groups/membership.h"

/* Reads once, and delivers what there was. Returns as arena_receive(). */
int membership_receive(struct membership *membership, struct arena_received *received);

/* The callback of the socket's event; argument is the membership. */
void membership_on_readable(evutil_socket_t fd, short what, void *argument);

/* The callback of pause_new(). */
enum pause_next membership_resume(struct pause_member *member);

/* Asks the kernel for what the group's outlets need, if that has changed; with force also where it
 * is not known what was asked before. */
void membership_apply_needs(struct membership *membership, bool force);

/* Reads how many datagrams the kernel has dropped at the socket. Returns how many are new. */
uint32_t membership_count_drops(struct membership *membership);
