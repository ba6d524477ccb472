/* Where a server listens, as the configuration has it: "127.0.0.1:9184", "[::1]:9184", or the path
 * of a UNIX socket. Pure. */
#pragma once

#include <stdbool.h>

#include "base/errors.h"
#include "net/address.h"

struct listen_address {
	const char *path; /* a part of what was parsed; NULL: none */
	struct address address;
	uint16_t port;
};

/* Returns 0, or -EINVAL with what is wrong, and what to write instead, in why. */
int listen_address_parse(const char *string, struct listen_address *ret, char why[static WHY_MAX]);

bool listen_address_equal(const struct listen_address *a, const struct listen_address *b);

/* Whether only this host can connect by IP: 127.0.0.0/8 or ::1. */
bool listen_address_is_loopback(const struct listen_address *address);
