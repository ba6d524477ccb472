#include "net/listen_address.h"

#include <errno.h>
#include <string.h>

#include "base/units.h"
#include "net/socket_file.h"

static int parse_path(const char *path, struct listen_address *ret, char why[static WHY_MAX])
{
	if (strlen(path) >= SOCKET_FILE_PATH_MAX)
		return because(why, -EINVAL, "is longer than %d bytes, use a shorter path",
			SOCKET_FILE_PATH_MAX - 1);
	if (path[strlen(path) - 1] == '/')
		return because(why, -EINVAL, "is a directory, add the name of the socket");
	*ret = (struct listen_address){.path = path};
	return 0;
}

/* Splits at the last colon, which in brackets is part of the address. */
static int split(const char *string, char host[static INET6_ADDRSTRLEN], const char **ret_port)
{
	const char *colon = strrchr(string, ':');
	const char *end = colon ? colon : string + strlen(string);
	bool has_brackets = *string == '[';

	if (has_brackets && (!colon || colon == string || colon[-1] != ']'))
		return -EINVAL;
	if (has_brackets) {
		string++;
		end--;
	}
	if (end - string >= INET6_ADDRSTRLEN)
		return -EINVAL;
	memcpy(host, string, (size_t)(end - string));
	host[end - string] = '\0';
	if (has_brackets == !strchr(host, ':'))
		return -EINVAL;
	*ret_port = colon ? colon + 1 : NULL;
	return 0;
}

/* Of an address that cannot be bound, or is written otherwise. */
static int check_v6(const struct listen_address *address, char why[static WHY_MAX])
{
	const struct in6_addr *v6 = &address->address.v6;

	if (address->address.family != AF_INET6)
		return 0;
	if (IN6_IS_ADDR_V4MAPPED(v6))
		return because(why, -EINVAL, "is an address of IPv4, write %u.%u.%u.%u:%u",
			v6->s6_addr[12], v6->s6_addr[13], v6->s6_addr[14], v6->s6_addr[15],
			address->port);
	if (IN6_IS_ADDR_LINKLOCAL(v6))
		return because(why, -EINVAL,
			"is a link-local address, which other interfaces have, too; use another "
			"address, such as [::1]:%u",
			address->port);
	return 0;
}

int listen_address_parse(const char *string, struct listen_address *ret, char why[static WHY_MAX])
{
	struct listen_address address = {0};
	char host[INET6_ADDRSTRLEN];
	uint64_t port = 0;
	const char *text;

	if (*string == '/')
		return parse_path(string, ret, why);
	if (address_parse(string, &address.address) == 0)
		return because(why, -EINVAL, "has no port, write %s%s%s:9184",
			address.address.family == AF_INET6 ? "[" : "", string,
			address.address.family == AF_INET6 ? "]" : "");
	if (split(string, host, &text) < 0 || address_parse(host, &address.address) < 0)
		return because(why, -EINVAL,
			"is none of ADDRESS:PORT, [ADDRESS]:PORT and /PATH; write 127.0.0.1:9184");
	if (!text || parse_number(text, 65535, &port) < 0 || !port)
		return because(why, -EINVAL, "has no port between 1 and 65535");
	if (address_is_multicast(&address.address) || address_is_everyone(&address.address))
		return because(why, -EINVAL,
			"is no address that a program can connect to; write 127.0.0.1:%u",
			(unsigned)port);
	address.port = (uint16_t)port;
	if (check_v6(&address, why) < 0)
		return -EINVAL;
	*ret = address;
	return 0;
}

bool listen_address_equal(const struct listen_address *a, const struct listen_address *b)
{
	if (a->path || b->path)
		return a->path && b->path && !strcmp(a->path, b->path);
	return a->port == b->port && address_equal(&a->address, &b->address);
}

bool listen_address_is_loopback(const struct listen_address *address)
{
	if (address->path)
		return false;
	if (address->address.family == AF_INET)
		return ntohl(address->address.v4.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&address->address.v6);
}
