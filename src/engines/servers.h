/* The addresses of servers in the configuration: SCHEME://HOST[:PORT], or HOST:PORT. */
#pragma once

#include "config/schema.h"

#define HOST_MAX 255 /* bytes of a host's name */

/* The host of a server's address, without the brackets of IPv6, and its port, or fallback where
 * there is none. Returns 0, or -EINVAL: it is no such address. */
int engine_split_server(const char *server, uint16_t fallback, char ret_host[static HOST_MAX + 1],
	uint16_t *ret_port);

/* How the servers of one kind of broker are written. */
struct engine_schemes {
	const char *plain, *tls; /* with "://"; NULL: there are none */
	uint16_t port; /* 0: it must be given */
};

/* Whether all of them are addresses, without a user or a password, and all of them with TLS or
 * none: who can take one of them away must not get the rest in the clear. Returns 0, or -EINVAL
 * with the reason in why, which never shows a password. */
int engine_check_servers(const struct string_list *servers, const struct engine_schemes *schemes,
	bool *ret_tls, char why[static WHY_MAX]);
