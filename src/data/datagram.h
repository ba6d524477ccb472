/* What came out of a group: datagrams, in batches of one membership. */
#pragma once

#include <net/if.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/address.h"

/* The most datagrams in one batch: what one recvmmsg(2) asks for. */
#define BATCH_MAX 64

/* Where a batch came in. Immutable and counted, because rings hold on to it after its membership
 * has gone. The texts are made once, not for each datagram. */
struct origin {
	atomic_uint references;
	uint16_t port;
	bool is_reply; /* came to the port that the group sends from, not to the group */
	unsigned ifindex;
	atomic_uint_least64_t
		kernel_dropped; /* datagrams, since the socket was opened, when last read */
	char address[INET6_ADDRSTRLEN];
	char interface[IF_NAMESIZE];
	char group[]; /* the group's name */
};

/* Returns one reference, or NULL without memory. */
struct origin *origin_new(const char *group, const struct address *address, uint16_t port,
	const char *interface, unsigned ifindex);
struct origin *origin_ref(struct origin *origin);
void origin_unref(struct origin *origin);

/* What a datagram's reader may ask for beyond the payload; each costs the kernel time. */
enum need {
	NEED_SOURCE = 1 << 0,
	NEED_TIMESTAMP = 1 << 1,
	NEED_TTL = 1 << 2,
	NEED_DATAGRAMS = 1 << 3, /* the payload at all: what merely counts does not. Of every
				    outlet, by itself */
	NEED_PROMPT = 1 << 4, /* at once, and not two milliseconds later */
	NEED_ALL = NEED_SOURCE | NEED_TIMESTAMP | NEED_TTL,
};

/* One datagram. The payload belongs to whoever made the batch, and is valid until deliver()
 * returns. What nobody of the group asked for is zero. */
struct datagram {
	const uint8_t *payload;
	uint32_t size;
	uint8_t ttl; /* IP TTL or hop limit as received */
	bool truncated; /* longer than the kernel could hand over */
	uint64_t timestamp_ns; /* kernel receive time, CLOCK_REALTIME */
	union endpoint source;
};

struct batch {
	struct origin *origin;
	unsigned count; /* at most BATCH_MAX */
	const struct datagram *datagrams;
	unsigned lost; /* datagrams that the queue in front of a handler dropped before these */
};

/* Whoever takes batches from a group: a handler, a subscriber, a reader of a group socket.
 * deliver() runs in the loop and must not block. Embedded in the object that receives. */
struct outlet {
	void (*deliver)(struct outlet *outlet, const struct batch *batch);
	unsigned needs; /* of enum need */
};
