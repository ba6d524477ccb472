/* The UDP sockets of this network namespace, as /proc/net/udp and /proc/net/udp6 list them, for
 * everybody; the program that has one, for root. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "net/address.h"

struct udp_socket {
	struct address address; /* that it is bound to */
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

/* Adds the sockets of a text of /proc/net/udp (AF_INET) or udp6 (AF_INET6). Returns 0 or -ENOMEM.
 */
int udp_sockets_parse(struct udp_sockets *sockets, sa_family_t family, const char *text);

/* Reads both files. To be freed with udp_sockets_clear(). Returns 0 or a negative errno. */
int udp_sockets_read(struct udp_sockets *ret);
void udp_sockets_clear(struct udp_sockets *sockets);

/* Appends to a text of size bytes the program that has a socket, "chronyd (pid 812)"; without the
 * privilege to see it, its user, "a program of user 104 (_chrony)". */
void udp_socket_owner(const struct udp_socket *socket, char *ret, size_t size);
