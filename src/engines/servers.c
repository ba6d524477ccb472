#include "engines/servers.h"

#include <errno.h>
#include <string.h>

#include "base/units.h"

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
#define ADDRESS_CHARACTERS NAME_CHARACTERS ":%" /* of IPv6, with the interface */

int engine_split_server(const char *server, uint16_t fallback, char ret_host[static HOST_MAX + 1],
	uint16_t *ret_port)
{
	const char *scheme = strstr(server, "://"), *host = scheme ? scheme + 3 : server, *end;
	bool is_bracketed = *host == '[';
	uint64_t port = fallback;
	size_t length;

	host += is_bracketed;
	length = strspn(host, is_bracketed ? ADDRESS_CHARACTERS : NAME_CHARACTERS);
	end = host + length;
	if (!length || length > HOST_MAX || (is_bracketed && *end++ != ']'))
		return -EINVAL;
	if (*end && (*end != ':' || parse_number(end + 1, UINT16_MAX, &port) < 0))
		return -EINVAL;
	if (!port)
		return -EINVAL;
	memcpy(ret_host, host, length);
	ret_host[length] = '\0';
	*ret_port = (uint16_t)port;
	return 0;
}

static bool begins_with(const char *string, const char *start)
{
	return start && !strncmp(string, start, strlen(start));
}

/* What is wrong never shows an address that may have a password in it. */
static int check_server(
	const char *server, const struct engine_schemes *schemes, char why[static WHY_MAX])
{
	char host[HOST_MAX + 1], buffer[SHOWN_MAX];
	bool has_scheme = begins_with(server, schemes->plain) || begins_with(server, schemes->tls);
	uint16_t port;

	if (strchr(server, '@'))
		return because(why, -EINVAL,
			"has a user or a password in an address, where everybody reads them: write "
			"username = \"USER\"; and password_file = \"FILE\";");
	shown(server, buffer);
	if (schemes->plain && !has_scheme)
		return because(why, -EINVAL,
			"\"%s\" has no scheme that is known here, write \"%sHOST\" or, for TLS, "
			"\"%sHOST\"",
			buffer, schemes->plain, schemes->tls);
	if (!schemes->plain && strstr(server, "://"))
		return because(why, -EINVAL, "\"%s\" has a scheme, write \"HOST:PORT\"", buffer);
	if (engine_split_server(server, schemes->port, host, &port) < 0)
		return because(why, -EINVAL,
			"\"%s\" is no address of a server, write \"%sHOST:PORT\"", buffer,
			schemes->plain ? schemes->plain : "");
	return 0;
}

int engine_check_servers(const struct string_list *servers, const struct engine_schemes *schemes,
	bool *ret_tls, char why[static WHY_MAX])
{
	size_t tls = 0;

	for (size_t i = 0; i < servers->count; i++) {
		int r = check_server(servers->items[i], schemes, why);

		if (r < 0)
			return r;
		tls += begins_with(servers->items[i], schemes->tls);
	}
	*ret_tls = tls;
	if (tls && tls < servers->count)
		return because(why, -EINVAL, "are with and without TLS, write \"%s...\" for all",
			schemes->tls);
	return 0;
}
