/* Datagrams that were received, in batches of one membership. */
#pragma once

#include <net/if.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/address.h"

/* Maximum number of datagrams in a batch, and of one recvmmsg(2). */
#define BATCH_MAX 64

/* Where a batch was received. Reference-counted, because rings use it after its membership is
 * freed; immutable but for what the kernel dropped. The texts are formatted once, not for each
 * datagram. */
struct origin {
	atomic_uint references;
	uint16_t port;
	bool is_reply; /* came to the port that the group sends from, not to the group */
	unsigned ifindex;
	/* Datagrams since the origin was made, when last read; and of these, up to when its group
	 * last got its handlers. */
	atomic_uint_least64_t kernel_dropped, kernel_dropped_before;
	char address[INET6_ADDRSTRLEN]; /* "" and port 0: an event of the daemon */
	char interface[IF_NAMESIZE]; /* "": the same */
	char group[]; /* name */
};

/* Whether it is that of events of the daemon. */
static inline bool origin_is_event(const struct origin *origin)
{
	return !*origin->address;
}

/* Returns one reference, or NULL without memory. */
struct origin *origin_new(const char *group, const struct address *address, uint16_t port,
	const char *interface, unsigned ifindex);
struct origin *origin_ref(struct origin *origin);
void origin_unref(struct origin *origin);

/* What an outlet needs of datagrams; each costs time in the kernel. */
enum need {
	NEED_SOURCE = 1 << 0,
	NEED_TIMESTAMP = 1 << 1,
	NEED_TTL = 1 << 2,
	NEED_DATAGRAMS = 1 << 3, /* each, with the first PAYLOAD_HEAD bytes of its payload (counting
				    alone does not need them) */
	NEED_PROMPT = 1 << 4, /* at once, not up to two milliseconds later */
	NEED_INTERFACE = 1 << 5, /* of arrival: for sockets that are not bound to one */
	NEED_OWN = 1 << 6, /* whether the group itself has sent it */
	NEED_PAYLOAD = 1 << 7, /* all of the payload */
	NEED_ALL = NEED_SOURCE | NEED_TIMESTAMP | NEED_TTL,
};

/* Bytes of the payload that there are without NEED_PAYLOAD, as far as it has that many. The size is
 * that of all of it. */
#define PAYLOAD_HEAD 128

/* One datagram. The payload belongs to whoever made the batch, and is valid until deliver()
 * returns. What no outlet of the group needs is zero, or undefined in a payload. */
struct datagram {
	const uint8_t *payload;
	uint32_t size;
	uint8_t ttl; /* IP TTL or hop limit as received */
	bool truncated; /* longer than the receive buffer */
	bool is_own; /* sent by the group itself; told only with NEED_OWN */
	bool is_returned; /* a relay of this daemon has sent it with the address of its sender, and
			     this host got it back; told where the source and all of the payload are
			     needed */
	uint64_t timestamp_ns; /* kernel receive time, CLOCK_REALTIME */
	union endpoint source;
	unsigned ifindex; /* of arrival; undefined without NEED_INTERFACE */
};

struct batch {
	struct origin *origin;
	unsigned count; /* at most BATCH_MAX */
	const struct datagram *datagrams;
	unsigned lost; /* datagrams that the handler's queue dropped before these */
	uint64_t read; /* the number of the read that they came in by, over all runs; 0: none */
	uint64_t since_ns; /* none has waited in a queue for longer, CLOCK_MONOTONIC_COARSE */
};

/* A recipient of a group's batches: a handler, a subscriber, a reader of a group socket. deliver()
 * runs in the loop and must not block. Embedded in the object that receives. */
struct outlet {
	void (*deliver)(struct outlet *outlet, const struct batch *batch);
	unsigned needs; /* of enum need */
};
