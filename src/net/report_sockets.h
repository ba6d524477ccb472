/* Has the kernel report a group to the network again, by sockets that are joined to it: it only
 * reports what has changed, so they are changed and changed back at once. What the kernel then
 * sends, some milliseconds later, is the state of now, once for the change and once more for safety
 * (RFC 3376, 4.2.12, 6.4; RFC 3810).
 *
 * Where a socket takes any sender, its source filter is changed: for microseconds it only takes the
 * senders that it is known to have, and for some 10 ns of each change nothing, as the kernel sets
 * the list and its meaning one after the other. Where all take named sources only, they are left
 * alone: another socket joins and leaves again. Nothing is sent while a socket of another program
 * wants any sender of the group, or where IGMPv1, IGMPv2 or MLDv1 is in force: those know nothing
 * of sources. */
#pragma once

#include <stdbool.h>

#include "net/multicast.h"

/* Sources that the kernel takes by default (igmp_max_msf). */
#define REPORT_SENDERS_MAX 10

/* A socket that is joined. */
struct report_socket {
	int fd;
	struct multicast_membership membership;
	const struct address *senders; /* that it is known to have, REPORT_SENDERS_MAX at most */
	size_t sender_count;
	int there_r; /* of changing it: 0, or a negative errno, and it is as it was */
	int back_r; /* of changing it back: with a negative errno, it is to be joined again */
};

/* All sockets of this process that have one group on one interface; there_r and back_r are filled
 * in. With rejoins they all leave and join instead, which older protocols report: what arrives in
 * these microseconds is lost, and IGMPv2 says that the group was left before it reports it. */
void report_sockets(struct report_socket *sockets, size_t count, bool rejoins);

/* The same for one socket, where no other of this process has the group there. Returns 0, or a
 * negative errno: nothing is reported. */
int report_now(int fd, const struct multicast_membership *membership, bool rejoins,
	const struct address *senders, size_t count);
