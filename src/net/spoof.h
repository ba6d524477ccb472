/* Sends with the address and port of another host, so that receivers see who sent, and answer
 * there. Opening the sockets needs CAP_NET_RAW (capabilities(7)), sending does not: they are opened
 * at the start, before the capability is dropped.
 *
 * Single datagrams leave by raw sockets (raw(7)). A sender of several datagrams of one size at once
 * is given one of a reserve of UDP sockets, which the kernel segments for: it is bound to the
 * sender's port alone, and each call says the address, so that all hosts that send from that port
 * share it. It is bound to a group that nothing is sent to, and receives nothing: neither answers
 * for the sender nor datagrams for programs of this host. But a program of this host that wants the
 * port for itself alone (without SO_REUSEADDR) does not get it until it was not sent from for a
 * while; ports under 1024 are left out. While the reserve is in use, and where a port cannot be
 * had, datagrams leave by the raw sockets.
 */
#pragma once

#include <stdbool.h>
#include <sys/uio.h>

#include "base/errors.h"
#include "net/address.h"

struct spoof;

/* What to do where there is no struct spoof, for messages. */
#define SPOOF_FIX                                                                       \
	"keep_source needs CAP_NET_RAW when the daemon starts: install the drop-in "    \
	"relay-keeps-source.conf (systemd/examples), or --cap-add NET_RAW where it is " \
	"root in a container, and restart"

/* The way that a datagram leaves by. */
struct spoof_way {
	union endpoint to; /* a host, a group or a broadcast address; of the sender's family */
	socklen_t to_length;
	unsigned ifindex; /* 0: the kernel's route */
	int ttl; /* 1 to 255, exactly */
	int dscp; /* RFC 2474 */
	bool loop; /* this host receives it, too, where it is sent to a group */
	bool splits_runs; /* a queueing discipline may split what is segmented: nothing is */
};

/* Opens the sockets. Returns 0, or a negative errno with the reason in why: -EPERM without
 * CAP_NET_RAW. */
int spoof_new(char why[static WHY_MAX], struct spoof **ret);
void spoof_free(struct spoof *spoof); /* accepts NULL */

/* Sends one datagram for each vector, UDP_OUT_MAX at most, from one sender, without waiting.
 * Returns as udp_out_send(); the error is about the first *ret_refused of them. What was not sent
 * is to be given again, or dropped, before anything else: an error may be left for it. */
int spoof_send(struct spoof *spoof, const struct spoof_way *way, const union endpoint *from,
	const struct iovec *vectors, unsigned count, unsigned *ret_refused);

/* Gives ports that were not sent from for 10 s, or where that costs a socket of the reserve for
 * 10 minutes, back to programs of this host. To be called every minute. now_ns is CLOCK_MONOTONIC.
 */
void spoof_release_idle(struct spoof *spoof, uint64_t now_ns);
