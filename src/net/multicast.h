/* The socket options of multicast: everything that the forty lines in everybody's program forget.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/errors.h"
#include "net/address.h"

/* One membership: a group and port on one interface. */
struct multicast_membership {
	struct address group;
	uint16_t port;
	const char *interface;
	unsigned ifindex;
	const struct address *sources; /* only these (SSM), or with exclude all but these */
	size_t source_count;
	int exclude;
};

/* Opens a non-blocking socket that receives this membership's datagrams and no others: not those of
 * other groups that anybody on the host has joined on the port, not this group's on other
 * interfaces, not other sources'. Other programs may bind the same group and port. Returns the
 * descriptor, or a negative errno with the reason in why. RFC 3678; ip(7), ipv6(7),
 * IP_MULTICAST_ALL. */
int multicast_open_receiver(
	const struct multicast_membership *membership, char why[static WHY_MAX]);

/* The same for a socket that the service manager has bound to the group and its port
 * (systemd.socket(5), ListenDatagram=), with what it is allowed and the daemon is not. Returns 0,
 * or a negative errno. */
int multicast_adopt_receiver(
	int fd, const struct multicast_membership *membership, char why[static WHY_MAX]);

/* Leaves the group on the interface: nothing more comes in, what waits can still be read. */
void multicast_leave(int fd, const struct address *group, unsigned ifindex);

/* Asks for a receive buffer of so many bytes, as far as it may be had. Returns how many were
 * granted. */
uint64_t socket_set_receive_buffer(int fd, uint64_t bytes);

/* The same for the group that the socket is bound to. */
void multicast_leave_bound(int fd, unsigned ifindex);

/* Whether it is a UDP socket that is bound to this address and port. */
bool socket_is_bound_to(int fd, const struct address *address, uint16_t port);

/* The granted receive buffer in bytes, comparable to what was asked for (the kernel doubles it). */
uint64_t socket_receive_buffer(int fd);

/* Datagrams that the kernel dropped at this socket since it was opened, modulo 2^32. Exact at once,
 * where SO_RXQ_OVFL lags behind (SO_MEMINFO, SK_MEMINFO_DROPS). */
uint32_t socket_drops(int fd);

/* What waits at a socket that has been read to its end before, in bytes of its receive buffer,
 * twice what is asked for. */
uint64_t socket_backlog(int fd);

/* Opens a non-blocking socket for sending to groups of this family out of one interface; ifindex 0:
 * the kernel's route decides. Returns the descriptor, or a negative errno. */
int multicast_open_sender(sa_family_t family, unsigned ifindex);

/* How far datagrams go (IP TTL or hop limit, 0 to 255), and whether this host sees its own. Return
 * 0 or a negative errno. */
int multicast_set_ttl(int fd, sa_family_t family, int ttl);
int multicast_set_loop(int fd, sa_family_t family, int loop);
