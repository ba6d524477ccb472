/* Sockets that send, by one interface and from one address and port. */
#pragma once

#include <net/if.h>
#include <stdint.h>

#include "base/errors.h"
#include "net/address.h"
#include "net/interface.h"
#include "net/udp_out.h"

/* What a sending socket is set to. Sockets of equal options serve each other. */
struct send_socket {
	sa_family_t family;
	unsigned ifindex; /* the only interface to leave by; 0: the kernel's route */
	char interface[IF_NAMESIZE]; /* its name */
	struct address source; /* AF_UNSPEC: the kernel chooses one of the interface */
	bool source_is_named; /* it is the one by which the interface is named */
	const char *source_key; /* what the user calls it; NULL: source_address */
	uint16_t port; /* to send from; 0: any */
	const char *port_key; /* what the user calls it; NULL: source_port */
	uint8_t dscp;
	bool unicast; /* what it sends to is a host or a broadcast address, and no group */
	bool receives; /* unicast to its port is received; otherwise nothing is */
	bool splits_runs; /* nothing is segmented (struct udp_out) */
};

/* Chooses the interface to leave by, from its name, alternative name or address (NULL: the kernel's
 * route): sets ifindex, interface, splits_runs. Sets source, where it has none, to the address that
 * names the interface; else for IPv4 to the interface's first, as the kernel would take another
 * interface's. Of lo that is 127.0.0.1. Returns 0, or with the reason in why -ENODEV, -ENETDOWN or
 * -EADDRNOTAVAIL. */
int send_socket_choose(struct send_socket *wanted, const struct interface_list *interfaces,
	const char *name, char why[static WHY_MAX]);

/* Opens a non-blocking socket. It never sends by another interface than its own, and shares its
 * port with other programs where they share it. One that does not receive leaves unicast to its
 * port to the others: it is bound to a group that nothing is sent to. What a queueing discipline
 * drops fails with ENOBUFS (ip(7), IP_RECVERR). Returns 0, or a negative errno with the reason in
 * why. */
int send_socket_open(
	const struct send_socket *wanted, char why[static WHY_MAX], struct udp_out *ret);

/* The address that a socket is bound to for its port alone: a group that nothing is ever sent to.
 * Returns its length. */
socklen_t send_socket_reserved(sa_family_t family, uint16_t port, union endpoint *ret);

bool send_socket_equal(const struct send_socket *a, const struct send_socket *b);

/* The TTL or hop limit (0 to 255; at least 1 where it is no group), and whether this host receives
 * what it sends to a group. Return 0 or a negative errno. */
int send_socket_set_ttl(int fd, sa_family_t family, bool unicast, int ttl);
int send_socket_set_loop(int fd, sa_family_t family, int loop);

/* The port that it sends from. */
uint16_t send_socket_port(int fd);

/* From now on nothing more is received; what is queued can still be read. */
void send_socket_stop_receiving(int fd);

/* Discards queued ICMP errors, as poll(2) reports them until they are read. */
void send_socket_discard_errors(int fd);
