#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

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
	if (a->family != b->family)
		return false;
	if (a->family == AF_INET)
		return a->v4.s_addr == b->v4.s_addr;
	return a->family != AF_INET6 || IN6_ARE_ADDR_EQUAL(&a->v6, &b->v6);
}

bool address_is_multicast(const struct address *address)
{
	if (address->family == AF_INET)
		return IN_MULTICAST(ntohl(address->v4.s_addr));
	return address->family == AF_INET6 && IN6_IS_ADDR_MULTICAST(&address->v6);
}

bool address_needs_scope(const struct address *address)
{
	const struct in6_addr *v6 = &address->v6;

	return address->family == AF_INET6 && (IN6_IS_ADDR_LINKLOCAL(v6) || IN6_IS_ADDR_MC_NODELOCAL(v6) ||
						      IN6_IS_ADDR_MC_LINKLOCAL(v6));
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

const char *endpoint_format(
	const union endpoint *endpoint, char string[static ENDPOINT_STRING_MAX])
{
	struct address address = endpoint_address(endpoint);
	char text[INET6_ADDRSTRLEN];

	if (address.family == AF_UNSPEC)
		strcpy(string, "-");
	else
		snprintf(string, ENDPOINT_STRING_MAX, address.family == AF_INET ? "%s:%u" : "[%s]:%u",
			address_format(&address, text), endpoint_port(endpoint));
	return string;
}
