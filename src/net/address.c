#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/units.h"

int address_parse(const char *string, struct address *ret)
{
	struct address address = {.family = strchr(string, ':') ? AF_INET6 : AF_INET};

	if (inet_pton(address.family, string, &address.v6) != 1)
		return -EINVAL;
	*ret = address;
	return 0;
}

const char *address_format(const struct address *address, char string[static INET6_ADDRSTRLEN])
{
	if (!inet_ntop(address->family, &address->v6, string, INET6_ADDRSTRLEN))
		strcpy(string, "-");
	return string;
}

bool address_equal(const struct address *a, const struct address *b)
{
	return address_compare(a, b) == 0;
}

int address_compare(const struct address *a, const struct address *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	if (a->family == AF_INET)
		return memcmp(&a->v4, &b->v4, sizeof(a->v4));
	return a->family == AF_INET6 ? memcmp(&a->v6, &b->v6, sizeof(a->v6)) : 0;
}

uint64_t address_hash(uint64_t hash, const struct address *address)
{
	uint8_t bytes[sizeof(*address)] = {0};
	bool v4 = address->family == AF_INET;

	/* As a zeroed struct address, without its padding and what lies behind an IPv4 address. */
	memcpy(bytes, &address->family, sizeof(address->family));
	memcpy(bytes + offsetof(struct address, v6), &address->v6,
		v4 ? sizeof(address->v4) : sizeof(address->v6));
	return hash_bytes(hash, bytes, sizeof(bytes));
}

bool address_is_multicast(const struct address *address)
{
	if (address->family == AF_INET)
		return IN_MULTICAST(ntohl(address->v4.s_addr));
	return address->family == AF_INET6 && IN6_IS_ADDR_MULTICAST(&address->v6);
}

bool address_is_everyone(const struct address *address)
{
	return address->family == AF_INET && address->v4.s_addr == htonl(INADDR_BROADCAST);
}

bool address_is_any(const struct address *address)
{
	static const struct in6_addr any = {0};

	return !memcmp(
		&address->v6, &any, address->family == AF_INET ? sizeof(address->v4) : sizeof(any));
}

bool address_is_link_local(const struct address *address)
{
	if (address->family == AF_INET)
		return (ntohl(address->v4.s_addr) & 0xffff0000) == 0xa9fe0000;
	return address->family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&address->v6);
}

bool address_needs_scope(const struct address *address)
{
	const struct in6_addr *v6 = &address->v6;

	return address->family == AF_INET6 &&
	       (IN6_IS_ADDR_LINKLOCAL(v6) || IN6_IS_ADDR_MC_NODELOCAL(v6) ||
		       IN6_IS_ADDR_MC_LINKLOCAL(v6));
}

static unsigned address_bits(const struct address *address)
{
	return address->family == AF_INET ? 32 : 128;
}

/* Whether the first bits of both are the same. */
static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned rest = bits % 8;

	if (memcmp(a, b, bits / 8))
		return false;
	return !rest || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0;
}

/* The address without the bits after the length. */
static struct address mask(const struct address *address, unsigned length)
{
	struct address masked = *address;
	uint8_t *bytes = masked.v6.s6_addr;

	for (unsigned bit = length; bit < address_bits(address); bit++)
		bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	return masked;
}

int prefix_parse(const char *string, struct prefix *ret)
{
	const char *slash = strchr(string, '/');
	char text[INET6_ADDRSTRLEN];
	size_t size = slash ? (size_t)(slash - string) : strlen(string);
	struct prefix prefix;
	struct address masked;
	uint64_t length;

	if (size >= sizeof(text))
		return -EINVAL;
	memcpy(text, string, size);
	text[size] = '\0';
	if (address_parse(text, &prefix.address) < 0)
		return -EINVAL;
	length = address_bits(&prefix.address);
	if (slash && parse_number(slash + 1, length, &length) < 0)
		return -EINVAL;
	prefix.length = (unsigned)length;
	masked = mask(&prefix.address, prefix.length);
	if (!address_equal(&masked, &prefix.address))
		return -ERANGE;
	*ret = prefix;
	return 0;
}

bool prefix_contains(const struct prefix *prefix, const struct address *address)
{
	return prefix->address.family == address->family &&
	       prefix->length <= address_bits(address) && /* it may be from elsewhere */
	       bits_equal(prefix->address.v6.s6_addr, address->v6.s6_addr, prefix->length);
}

socklen_t address_to_endpoint(
	const struct address *address, uint16_t port, unsigned ifindex, union endpoint *ret)
{
	*ret = (union endpoint){0};
	if (address->family == AF_INET) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons(port);
		ret->v4.sin_addr = address->v4;
		return sizeof(ret->v4);
	}
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons(port);
	ret->v6.sin6_addr = address->v6;
	ret->v6.sin6_scope_id = address_needs_scope(address) ? ifindex : 0;
	return sizeof(ret->v6);
}

struct address endpoint_address(const union endpoint *endpoint)
{
	struct address address = {.family = endpoint->any.sa_family};

	if (address.family == AF_INET)
		address.v4 = endpoint->v4.sin_addr;
	else if (address.family == AF_INET6)
		address.v6 = endpoint->v6.sin6_addr;
	return address;
}

uint16_t endpoint_port(const union endpoint *endpoint)
{
	/* sin_port and sin6_port lie at the same offset. */
	return ntohs(endpoint->v4.sin_port);
}

const char *format_address_port(
	const char *address, unsigned port, char string[static ENDPOINT_STRING_MAX])
{
	snprintf(string, ENDPOINT_STRING_MAX, strchr(address, ':') ? "[%s]:%u" : "%s:%u", address,
		port);
	return string;
}

const char *endpoint_format(const union endpoint *endpoint, char string[static ENDPOINT_STRING_MAX])
{
	struct address address = endpoint_address(endpoint);
	char text[INET6_ADDRSTRLEN];

	if (address.family == AF_UNSPEC)
		return strcpy(string, "-");
	return format_address_port(address_format(&address, text), endpoint_port(endpoint), string);
}

bool endpoint_is_local(const union endpoint *endpoint)
{
	AUTO_CLOSE int fd = socket(endpoint->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	union endpoint from = {0};
	socklen_t length = sizeof(from);
	struct address theirs = endpoint_address(endpoint), ours;

	/* A host sends to itself from the same address. Nothing is sent here. A successful bind
	 * would not prove it: with ip_nonlocal_bind every address can be bound. */
	if (fd < 0 || connect(fd, &endpoint->any, sizeof(*endpoint)) < 0 ||
		getsockname(fd, &from.any, &length) < 0)
		return false;
	ours = endpoint_address(&from);
	return address_equal(&ours, &theirs);
}
