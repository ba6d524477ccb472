/* What comes to a port of a group, and to the address of none. Pure. No more is kept than there are
 * ports of groups and interfaces, and of each the first addresses. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/doctor/frame.h"
#include "ctl/doctor/wire.h"

#define STRAYS_BUCKETS 256

struct strays_entry;

/* Zeroed, no port is one of a group. */
struct strays {
	struct strays_entry *buckets[STRAYS_BUCKETS];
	uint8_t ports[65536 / 8]; /* a bit each */
};

void strays_add_port(struct strays *strays, uint16_t port);

static inline bool strays_has_port(const struct strays *strays, uint16_t port)
{
	return strays->ports[port / 8] >> port % 8 & 1;
}

/* Forgets what has come, and frees it. */
void strays_clear(struct strays *strays);

/* A datagram, or its first fragment. is_broadcast: for all hosts of the link. */
void strays_take(
	struct strays *strays, const struct frame *frame, unsigned ifindex, bool is_broadcast);

/* What came to the port, by IP of this family. Borrowed until the next strays_clear(). */
const struct wire_other *strays_seen(const struct strays *strays, sa_family_t family, uint16_t port,
	unsigned ifindex, size_t *ret_count);
