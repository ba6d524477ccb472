/* Sockets that receive, and their options. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/errors.h"
#include "net/address.h"

/* What a membership's address is on this host now. */
enum reach {
	REACH_NONE, /* another host's, as far as the kernel's tables tell */
	REACH_UNKNOWN, /* they could not be read, for lack of memory or descriptors */
	REACH_MULTICAST,
	REACH_BROADCAST,
	REACH_UNICAST, /* of this host, 0.0.0.0 or ::, or link-local */
};

enum reach multicast_reach(const struct address *address);

/* One membership: a group and port on one interface. A broadcast address, one of this host, or any
 * (0.0.0.0, ::) is received as well: then nothing is joined, and the caller checks the sources. */
struct multicast_membership {
	struct address group;
	enum reach reach; /* of group */
	bool any_interface; /* not only what arrives on the interface; not with REACH_MULTICAST */
	uint16_t port;
	const char *interface;
	unsigned ifindex;
	const struct address *sources; /* only these (SSM), or with exclude all but these */
	size_t source_count;
	int exclude;
};

/* Opens a non-blocking socket that receives this membership's datagrams and no others: not those of
 * other groups that anybody on the host has joined on the port, not this group's on other
 * interfaces, not other sources'. Other programs may bind the same group and port. A unicast
 * address is not shared, so that no other program's datagrams are taken. Returns the descriptor, or
 * a negative errno with the reason in why. RFC 3678; ip(7), ipv6(7), IP_MULTICAST_ALL. */
int multicast_open_receiver(
	const struct multicast_membership *membership, char why[static WHY_MAX]);

/* The same for a socket that the service manager has bound to the group and its port
 * (systemd.socket(5), ListenDatagram=), with privileges that the daemon may lack. Returns 0, or a
 * negative errno with the reason in why. */
int multicast_adopt_receiver(
	int fd, const struct multicast_membership *membership, char why[static WHY_MAX]);

/* Joins, on a socket that receives the group's port and is not joined. Returns 0, or a negative
 * errno with the reason in why. */
int multicast_join(int fd, const struct multicast_membership *membership, char why[static WHY_MAX]);

/* Replaces the sources of a joined socket (MCAST_MSFILTER, RFC 3678): those only, or with exclude
 * all but those. Returns 0 or a negative errno. */
int multicast_set_filter(int fd, const struct multicast_membership *membership);

/* The same where the socket takes other senders than the membership says: those of an earlier run,
 * which may have ended while it reported the membership again. */
int multicast_restore_filter(int fd, const struct multicast_membership *membership);

/* Leaves the group on the interface: nothing more arrives, and what is queued can still be read.
 * What still comes to an address that is no multicast counts as dropped from then on. */
void multicast_leave(int fd, const struct address *group, unsigned ifindex);

/* The same for the group that the socket is bound to. */
void multicast_leave_bound(int fd, unsigned ifindex);

/* Asks for a receive buffer of this size. Returns the size that was granted, in bytes. */
uint64_t socket_set_receive_buffer(int fd, uint64_t bytes);

/* Whether it is a UDP socket that is bound to this address and port. */
bool socket_is_bound_to(int fd, const struct address *address, uint16_t port);

/* The granted receive buffer in bytes, comparable to what was asked for (the kernel doubles it). */
uint64_t socket_receive_buffer(int fd);

/* Datagrams that the kernel dropped at this socket since it was opened, modulo 2^32. Exact at once,
 * where SO_RXQ_OVFL lags behind (SO_MEMINFO, SK_MEMINFO_DROPS). Returns 0 or a negative errno. */
int socket_drops(int fd, uint32_t *ret);

/* Whether the kernel lets the daemon read the socket. Where a seccomp filter or a security module
 * forbids it, a socket that has something stays readable without end. Clears pending errors of the
 * socket; what the kernel lacks for a moment is none. Returns 0, or a negative errno with the
 * reason in why. */
int socket_check_read(int fd, char why[static WHY_MAX]);

/* What is queued at the socket, in bytes of its receive buffer as the kernel counts it: twice what
 * socket_receive_buffer() says is its limit. */
uint64_t socket_backlog(int fd);
