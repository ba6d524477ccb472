/* Sending many datagrams to one address, with as few system calls as the network device allows. */
#pragma once

#include <stdbool.h>
#include <sys/uio.h>

#include "net/address.h"

struct udp_out {
	int fd;
	bool unsegmented; /* the device does not segment: not tried again */
	size_t too_large; /* the smallest segment that was refused, in bytes; 0: none was */
};

/* The most datagrams that one call takes. */
#define UDP_OUT_MAX 64

/* Sends one datagram for each vector, UDP_OUT_MAX at most, without waiting. Datagrams of one size
 * go to the kernel as one buffer, which it or the device splits (udp(7), UDP_SEGMENT). Returns how
 * many were sent, which may be fewer; or a negative errno when not even the first could be: -EAGAIN
 * or -ENOBUFS when the network takes no more for now. */
int udp_out_send(struct udp_out *out, const union endpoint *to, socklen_t to_length,
	const struct iovec *vectors, unsigned count);
