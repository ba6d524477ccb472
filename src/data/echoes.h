/* Own datagrams that are expected to come back: what a host sends to a group on several interfaces
 * arrives at its own memberships there. Pure: the caller knows what it has sent. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct echoes;

/* Returns NULL without memory. To be freed with free(). */
struct echoes *echoes_new(void);

/* One copy of this payload is expected on the interface. now_ms is any clock in milliseconds. */
void echoes_expect(
	struct echoes *echoes, const void *payload, size_t size, unsigned ifindex, uint32_t now_ms);

/* Whether a copy was expected; from now on it is not. */
bool echoes_take(
	struct echoes *echoes, const void *payload, size_t size, unsigned ifindex, uint32_t now_ms);
