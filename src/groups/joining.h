/* How a membership gets its socket: from an earlier run, from a socket unit, or by opening one. */
#pragma once

#include "base/errors.h"
#include "groups/membership.h"

/* The name under which the keeper has the socket that is joined on an interface. */
void membership_name_socket(
	const struct membership *membership, unsigned ifindex, char name[static STORE_NAME_MAX]);

/* Joins on the interface. Returns 0, or a negative errno with the reason in why. */
int membership_join(
	struct membership *membership, const struct interface *interface, char why[static WHY_MAX]);

/* At the start, before anything is joined: takes the socket of an earlier run back, if it fits and
 * is still joined. What waits at one that does not is received, and the socket given up. interface
 * is NULL when there is none of that name. */
void membership_take_back(struct membership *membership, const struct interface *interface);

/* Gives up a socket of an earlier run that nobody wants any more. Returns how many datagrams waited
 * there: they are lost. */
uint64_t leftover_close(int fd, const struct interface_list *interfaces);
