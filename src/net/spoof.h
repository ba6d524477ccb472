/* Sends with the address and port of another host, so that receivers see who sent, and answer
 * there. Opening the sockets needs CAP_NET_RAW (capabilities(7)), sending does not: they are opened
 * at the start, before the capability is dropped. */
#pragma once

#include <stdbool.h>
#include <sys/uio.h>

#include "base/errors.h"
#include "net/address.h"

struct spoof;

/* The way that a datagram leaves by. */
struct spoof_way {
	union endpoint to; /* a host, a group or a broadcast address */
	socklen_t to_length;
	unsigned ifindex; /* 0: the kernel's route */
	int ttl; /* 1 to 255, exactly */
	int dscp; /* RFC 2474 */
	bool loop; /* this host receives it, too, where it is sent to a group */
};

/* Opens the sockets. Returns 0, or a negative errno with the reason in why: -EPERM without
 * CAP_NET_RAW. */
int spoof_new(char why[static WHY_MAX], struct spoof **ret);
void spoof_free(struct spoof *spoof); /* accepts NULL */

/* Sends one datagram for each vector, UDP_OUT_MAX at most, from one sender, without waiting.
 * Returns as udp_out_send(); the error is about the first *ret_refused of them. */
int spoof_send(struct spoof *spoof, const struct spoof_way *way, const union endpoint *from,
	const struct iovec *vectors, unsigned count, unsigned *ret_refused);
