#include "ctl/target.h"

#include <errno.h>
#include <string.h>

#include "base/units.h"

int target_parse(const char *string, struct address *ret_address, uint16_t *ret_port,
	char why[static WHY_MAX])
{
	bool bracketed = *string == '[';
	const char *start = string + bracketed;
	size_t length = strcspn(start, bracketed ? "]" : ":");
	const char *port_string = start + length + bracketed;
	char text[INET6_ADDRSTRLEN];
	struct address address;
	uint64_t port;

	if (bracketed && !start[length])
		return because(why, -EINVAL, "the address has no closing bracket");
	if (*port_string++ != ':')
		return because(why, -EINVAL,
			"the port is missing: write ADDRESS:PORT, like 233.252.0.1:5004");
	if (!bracketed && strchr(port_string, ':'))
		return because(
			why, -EINVAL, "an IPv6 address goes in brackets, like [ff15::1]:5004");
	snprintf(text, sizeof(text), "%.*s", (int)length, start);
	/* Brackets are for IPv6 alone. */
	if (length >= sizeof(text) || address_parse(text, &address) < 0 ||
		bracketed != (address.family == AF_INET6))
		return because(why, -EINVAL,
			"not an IPv4 address, nor an IPv6 address in brackets (an interface is "
			"named with --interface)");
	if (parse_number(port_string, UINT16_MAX, &port) < 0 || !port)
		return because(why, -EINVAL, "the port is not a number from 1 to 65535");
	*ret_address = address;
	*ret_port = (uint16_t)port;
	return 0;
}
