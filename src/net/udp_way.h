/* The way of datagrams out of this host: the interface, the address and the port that they leave
 * from. */
#pragma once

#include <net/if.h>
#include <stdbool.h>

#include "base/errors.h"
#include "net/address.h"
#include "net/udp_out.h"

struct interface_list;

/* As configured. */
struct udp_way {
	struct address to; /* a host, a group or a broadcast address */
	uint16_t port;
	const char *interface; /* a name, alternative name or address; NULL: the kernel's route */
	struct address source; /* AF_UNSPEC: the interface's, or the kernel's choice */
	const char *source_key; /* what the user calls it; NULL: source_address */
	uint16_t source_port; /* 0: any */
	int dscp; /* RFC 2474 */
};

/* A socket for one way. */
struct udp_socket {
	struct udp_out out; /* out.fd is -1 while there is none */
	union endpoint to;
	socklen_t to_length;
	unsigned ifindex; /* 0: the kernel's route */
	char interface[IF_NAMESIZE];
	struct address source; /* sent from; AF_UNSPEC: the kernel chooses */
	uint16_t source_port; /* of the socket */
	bool is_broadcast; /* where it goes is a broadcast address */
	bool has_no_carrier; /* nothing leaves this host: the link has no carrier */
};

/* Opens a non-blocking socket that sends by this way and by no other, and receives nothing: it
 * takes no unicast from programs that have the same port, and its queue does not fill up. It has
 * IP_RECVERR set. ICMP errors reach it only where the way is to a host and has no source_port.
 * interfaces are those of now, or NULL: then they are listed, where they matter, and the kernel
 * may hold that up. ret->out is zeroed. Returns 0, or a negative errno with the reason in why:
 * -ENODEV, -ENETDOWN or -EADDRNOTAVAIL while the interface or the address is not there, -EADDRINUSE
 * or -EACCES while the port cannot be had. */
int udp_way_open(const struct udp_way *way, const struct interface_list *interfaces,
	struct udp_socket *ret, char why[static WHY_MAX]);

/* To be called after a change of links or routes, with the interfaces as they are now. Returns
 * whether the socket still is the one that udp_way_open() would open: its interface is the one that
 * is meant, and its address is there. Takes over the link's carrier and queueing discipline:
 * nothing is segmented where that would split it. */
bool udp_way_follow(const struct udp_way *way, struct udp_socket *socket,
	const struct interface_list *interfaces);
