#include "ctl/target.h"

#include <string.h>

#include "base/units.h"

/* Finds where the address lies, and the port behind it. */
static enum target_error split(
	const char *string, const char **ret_address, size_t *ret_length, const char **ret_port)
{
	const char *colon = strrchr(string, ':');
	size_t length = colon ? (size_t)(colon - string) : 0;

	if (*string == '[') {
		const char *bracket = strchr(string, ']');

		if (!bracket)
			return TARGET_BAD_ADDRESS;
		if (bracket[1] != ':')
			return TARGET_NO_PORT;
		*ret_address = string + 1;
		*ret_length = (size_t)(bracket - string) - 1;
		*ret_port = bracket + 2;
		return TARGET_OK;
	}
	if (!colon)
		return TARGET_NO_PORT;
	if (memchr(string, ':', length))
		return TARGET_NEEDS_BRACKETS;
	*ret_address = string;
	*ret_length = length;
	*ret_port = colon + 1;
	return TARGET_OK;
}

enum target_error target_parse(const char *string, struct address *ret_address, uint16_t *ret_port)
{
	const char *start, *port_string;
	char text[INET6_ADDRSTRLEN];
	struct address address;
	uint64_t port;
	size_t length;
	enum target_error error = split(string, &start, &length, &port_string);

	if (error)
		return error;
	if (length >= sizeof(text))
		return TARGET_BAD_ADDRESS;
	memcpy(text, start, length);
	text[length] = '\0';
	/* Brackets are for IPv6 alone. */
	if (address_parse(text, &address) < 0 || (*string == '[') != (address.family == AF_INET6))
		return TARGET_BAD_ADDRESS;
	if (parse_number(port_string, UINT16_MAX, &port) < 0 || !port)
		return TARGET_BAD_PORT;
	*ret_address = address;
	*ret_port = (uint16_t)port;
	return TARGET_OK;
}

const char *target_error_words(enum target_error error)
{
	switch (error) {
	case TARGET_OK:
		break;
	case TARGET_NO_PORT:
		return "the port is missing: write ADDRESS:PORT, like 233.252.0.1:5004";
	case TARGET_NEEDS_BRACKETS:
		return "an IPv6 address goes in brackets, like [ff15::1]:5004";
	case TARGET_BAD_ADDRESS:
		return "not an IPv4 address nor an IPv6 address in brackets (an interface is named "
		       "with "
		       "--interface)";
	case TARGET_BAD_PORT:
		return "the port is not a number from 1 to 65535";
	}
	return "";
}
