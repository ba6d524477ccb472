/* IPv4 and IPv6 addresses, without a port and without an interface. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

/* The largest UDP payload, in bytes: 65,535 less the UDP header, and for IPv4 less its header,
 * which counts there. */
#define DATAGRAM_MAX 65527
#define DATAGRAM_MAX_V4 65507

static inline unsigned datagram_max(sa_family_t family)
{
	return family == AF_INET ? DATAGRAM_MAX_V4 : DATAGRAM_MAX;
}

struct address {
	sa_family_t family; /* AF_INET or AF_INET6; AF_UNSPEC: none */
	union {
		struct in_addr v4;
		struct in6_addr v6;
	};
};

/* A socket address in 28 bytes, where sockaddr_storage has 128. */
union endpoint {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* "192.0.2.1" or "2001:db8::1"; no scope, no port. Returns 0 or -EINVAL. */
int address_parse(const char *string, struct address *ret);

/* Writes the text form (RFC 5952). Returns string. */
const char *address_format(const struct address *address, char string[static INET6_ADDRSTRLEN]);

bool address_equal(const struct address *a, const struct address *b);

/* Below, at or above 0: by family, then by their bytes. */
int address_compare(const struct address *a, const struct address *b);

/* Goes on with a hash (base/hash.h); equal addresses hash equally. The fd store's names depend on
 * it, so it must stay the same over releases. */
uint64_t address_hash(uint64_t hash, const struct address *address);

/* 224.0.0.0/4 or ff00::/8. */
bool address_is_multicast(const struct address *address);

/* 255.255.255.255: every host of the link. */
bool address_is_everyone(const struct address *address);

/* 0.0.0.0 or ::. */
bool address_is_any(const struct address *address);

/* 169.254.0.0/16 or fe80::/10 (RFC 3927, RFC 4291). */
bool address_is_link_local(const struct address *address);

/* Whether an address of this scope needs an interface: ff01:: and ff02:: groups, and fe80::
 * addresses. */
bool address_needs_scope(const struct address *address);

/* The first length bits of an address: "10.0.0.0/8"; an address alone is a prefix of all its bits.
 */
struct prefix {
	struct address address;
	unsigned length;
};

/* Returns 0; -EINVAL when it is none; -ERANGE when bits after the length are set, as
 * in 10.0.0.1/8. */
int prefix_parse(const char *string, struct prefix *ret);

bool prefix_contains(const struct prefix *prefix, const struct address *address);

/* Fills in a socket address; ifindex (0: none) is used where the address needs a scope. Returns its
 * length. */
socklen_t address_to_endpoint(
	const struct address *address, uint16_t port, unsigned ifindex, union endpoint *ret);

/* The address and the port of a socket address. */
struct address endpoint_address(const union endpoint *endpoint);

/* Whether both are the same address and port (and, in IPv6, scope). Of IPv4 the first 8 bytes say
 * it: what is behind them was not written. */
static inline bool endpoint_is_same(const union endpoint *a, const union endpoint *b)
{
	return !memcmp(a, b, a->any.sa_family == AF_INET ? 8 : sizeof(*a));
}

uint16_t endpoint_port(const union endpoint *endpoint);

#define ENDPOINT_STRING_MAX (INET6_ADDRSTRLEN + sizeof("[]:65535"))

/* "192.0.2.1:5004" or "[2001:db8::1]:5004"; "-" without an address. Returns string. */
const char *endpoint_format(
	const union endpoint *endpoint, char string[static ENDPOINT_STRING_MAX]);

/* The same for an address that is text already. Returns string. */
const char *format_address_port(
	const char *address, unsigned port, char string[static ENDPOINT_STRING_MAX]);

/* Whether this host has the address now. */
bool endpoint_is_local(const union endpoint *endpoint);
