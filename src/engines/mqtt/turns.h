/* The brokers of "servers" in turn, and the pause before the next attempt: it grows with each round
 * of them in which none could be connected, and with each connection that was lost soon. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/errors.h"
#include "engines/keys.h"

#define PAUSE_MIN_NS (100 * NS_PER_MS)
#define PAUSE_MAX_NS (5 * NS_PER_S)

struct server {
	const char *url;
	char host[HOST_MAX + 1];
	uint16_t port;
};

struct turns {
	struct server *servers;
	size_t count, at, failed; /* failed: servers in this round of attempts */
	uint64_t pause_ns; /* of the last round of attempts that failed */
};

/* The urls live longer; port is of those that name none. Returns 0 or a negative errno. */
int turns_init(struct turns *turns, const struct string_list *urls, uint16_t port);
void turns_clear(struct turns *turns);

/* Whose turn it is. */
struct server *turns_server(const struct turns *turns);

/* This one could not be connected: to the next one. Returns for how long to wait first; 0: not at
 * all. */
uint64_t turns_fail(struct turns *turns);

/* This one is connected. */
void turns_succeed(struct turns *turns);

/* The connection was lost, after a time that makes it stable or not. Returns for how long to wait.
 */
uint64_t turns_lose(struct turns *turns, bool was_stable);
