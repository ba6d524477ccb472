/* The headers of UDP datagrams that are sent by raw sockets (RFC 768). Pure. */
#pragma once

#include <netinet/udp.h>
#include <stddef.h>

#include "net/address.h"

/* Writes the header of a payload of size bytes, DATAGRAM_MAX at most. from and to are of one
 * family. Over IPv4 the checksum is written as well; over IPv6 the kernel writes it (RFC 3542,
 * IPV6_CHECKSUM), and it is 0 here. */
void udp_header_write(struct udphdr *ret, const union endpoint *from, const union endpoint *to,
	const void *payload, size_t size);
