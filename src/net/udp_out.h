/* Sending many datagrams to one address, with as few system calls as the network device allows. */
#pragma once

#include <stdbool.h>
#include <sys/uio.h>

#include "net/address.h"

/* Room for the interface, the source, the TTL and the DSCP as control messages. */
#define UDP_CONTROL_MAX (CMSG_SPACE(sizeof(struct in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int)))

/* Zeroed but for the descriptor. IP_RECVERR or IPV6_RECVERR should be set on it: without, the
 * kernel does not tell what a queue of this host drops (ip(7)). */
struct udp_out {
	int fd;
	bool unsegmented; /* the device does not segment: not tried again */
	size_t too_large; /* the smallest segment that was refused, in bytes; 0: none was */
	uint64_t singly_until_ns; /* no segments until then, CLOCK_MONOTONIC_COARSE; 0: no wait */

	unsigned refused; /* the number of datagrams that the last error was about */
	int pending; /* -ENOBUFS after a part was sent: the next call returns it */
	uint64_t unreachable; /* ICMP errors: each is about a datagram that was sent earlier */
	int unreachable_errno; /* of the last one */

	/* Control messages that each datagram is sent with: udp_out_set_source(). */
	size_t control_size;
	_Alignas(struct cmsghdr) char control[UDP_CONTROL_MAX];
};

/* The most datagrams that one call takes. */
#define UDP_OUT_MAX 64

/* Sends from this address of this host from now on; ifindex is the interface that it leaves by, or
 * 0 for the kernel's route. When the host loses the address, sending fails with -EINVAL. */
void udp_out_set_source(struct udp_out *out, const struct address *source, unsigned ifindex);

/* The same with the TTL or hop limit and the DSCP, which otherwise the socket says. */
void udp_out_set_header(
	struct udp_out *out, const struct address *source, unsigned ifindex, int ttl, int dscp);

/* Sends one datagram for each vector, UDP_OUT_MAX at most, without waiting. Datagrams of one size
 * go to the kernel as one buffer, which it or the device splits (udp(7), UDP_SEGMENT). Returns how
 * many were given to the network, which may be fewer; or a negative errno when not even the first
 * could be. The error is about the first out->refused of them:
 *   -EAGAIN: the socket's buffer is full; none was sent, and none will be before it is writable;
 *   -ENOBUFS: a queue of this host has dropped them. They must not be sent again, as some may have
 *   left. For the next 10 s nothing is segmented, since the kernel reports that a buffer was
 *   dropped only when all of it was.
 * An ICMP error, which is about an earlier datagram, counts in out->unreachable only: what it kept
 * from being sent is sent again. */
int udp_out_send(struct udp_out *out, const union endpoint *to, socklen_t to_length,
	const struct iovec *vectors, unsigned count);
