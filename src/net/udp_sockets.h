/* The UDP sockets of this network namespace, as /proc/net/udp and /proc/net/udp6 list them, for
 * everybody. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "net/address.h"

struct udp_socket {
	struct address address; /* that it is bound to; of IPv4 also where it is written as one of
				   IPv6, as ::ffff:192.0.2.1 */
	uint16_t port;
	uid_t uid; /* of its owner */
	uint64_t inode;
	uint32_t drops; /* datagrams that the kernel dropped at it, modulo 2^32 */
	uint32_t queued; /* bytes of its receive buffer that are in use */
};

struct udp_sockets {
	struct udp_socket *items;
	size_t count;
};

/* Adds the sockets of a text of /proc/net/udp (AF_INET) or udp6 (AF_INET6). Lines that are not as
 * the kernel writes them are left out. Returns 0 or -ENOMEM. */
int udp_sockets_parse(struct udp_sockets *sockets, sa_family_t family, const char *text);

/* Reads both files; a kernel without IPv6 has one. To be freed with udp_sockets_clear(). Returns 0
 * or a negative errno. */
int udp_sockets_read(struct udp_sockets *ret);
void udp_sockets_clear(struct udp_sockets *sockets);
