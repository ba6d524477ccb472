/* The slots that recvmmsg(2) fills: one set for the whole daemon, as what was read is delivered
 * before the next read. A slot has 64 KiB of address space; only the pages that datagrams touch are
 * resident. */
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include "data/counters.h"
#include "data/datagram.h"

#define SLOT_SIZE 65536 /* more than any UDP payload, so that none is truncated */
#define SLOT_STRIDE                                                                             \
	(SLOT_SIZE + 1536) /* a power of two would have all slots compete for the same lines of \
			      the cache */
#define SLOT_CONTROL_SIZE 128

/* With UDP_GRO one slot holds up to SEGMENTS_MAX datagrams of one sender. Fewer slots are filled
 * then, to bound the work of a wake-up. */
#define COALESCED_SLOTS 8
#define SEGMENTS_MAX 128 /* UDP_MAX_SEGMENTS; before Linux 6.9 it was 64 */
#define ARENA_DATAGRAMS_MAX (COALESCED_SLOTS * SEGMENTS_MAX)

/* How the slots' headers are set up. */
enum arena_layout {
	LAYOUT_NAMES = 1 << 0,
	LAYOUT_CONTROL = 1 << 1,
	LAYOUT_CREDENTIALS = 1 << 2,
	LAYOUT_UNREAD = 1 << 3, /* no payload, only its size */
	LAYOUT_HEADS = 1 << 4, /* no more than PAYLOAD_HEAD bytes of it, and its size */
};

/* The msg_len of a slot that is not filled. */
#define SLOT_EMPTY UINT32_MAX

/* The count of a call that has not returned, or whose slots hold several datagrams each. */
#define COUNT_IN_SLOTS UINT64_MAX

/* The part of the arena from which the next run of the daemon can tell what this one has read and
 * not counted (groups/uncounted.h): a record of data/counters.h. The kernel sets a slot's msg_len
 * when it has taken the datagram from the queue. */
COUNTERS_RECORD(arena_memory, {
	uint64_t group; /* whose socket is read: counters_key() of its counters; 0: all is counted
			 */
	uint64_t received, received_bytes, others; /* what it had counted before */
	uint64_t count; /* datagrams that were read */
	uint64_t read; /* the number of the read */
	struct mmsghdr messages[BATCH_MAX];
	uint8_t control[BATCH_MAX][SLOT_CONTROL_SIZE];
});

struct arena {
	uint8_t *slots;
	struct arena_memory *memory;
	struct mmsghdr
		*messages; /* in memory; those that are not filled are SLOT_EMPTY at a call */
	bool owns_memory;
	struct iovec vectors[BATCH_MAX];
	union endpoint names[BATCH_MAX];
	struct datagram datagrams[ARENA_DATAGRAMS_MAX];
	unsigned layout; /* of enum arena_layout */
	unsigned used; /* headers that the kernel has changed since they were set up */
};

/* What one call has received, in all. Whoever removes some of it from the arena corrects count,
 * truncated and bytes. */
struct arena_received {
	unsigned count; /* datagrams */
	unsigned truncated;
	uint64_t bytes;
	unsigned read; /* datagrams that the kernel gave */
	uint64_t read_bytes;
	bool is_full; /* there was no room for more, which may be queued */
};

/* memory is zeroed, or of another arena that is no more, and must live longer; NULL: the arena has
 * its own. Returns NULL without memory. */
struct arena *arena_new(struct arena_memory *memory);
void arena_free(struct arena *arena);

/* Receives what is queued at a membership's socket: BATCH_MAX datagrams at most, so that one flood
 * cannot starve the others, or, coalesced, ARENA_DATAGRAMS_MAX. With NEED_DATAGRAMS they are in
 * arena->datagrams then. needs and coalesce must be those of arena_want(). Returns 0, or a negative
 * errno and an empty *ret. */
int arena_receive(
	struct arena *arena, int fd, unsigned needs, bool coalesce, struct arena_received *ret);

/* The number of datagrams in a filled slot of a socket that coalesces, or of any other. */
unsigned arena_slot_datagrams(struct mmsghdr *message);

/* Gives the first count datagrams in the arena to all of the outlets. */
void arena_deliver(const struct arena *arena, struct origin *origin, unsigned count,
	struct outlet *const *outlets, size_t outlet_count);

/* The same for count datagrams from first on. */
void arena_deliver_some(const struct arena *arena, struct origin *origin, unsigned first,
	unsigned count, struct outlet *const *outlets, size_t outlet_count);

/* Receives up to BATCH_MAX packets from a reader's or writer's UNIX socket into messages and
 * vectors. Returns how many, or a negative errno. Credentials tell an empty packet from the end of
 * the stream (SO_PASSCRED). */
int arena_receive_packets(struct arena *arena, int fd);

/* Asks the kernel for the needs (enum need), and for no more: each costs 35 to 47 ns a datagram.
 * With coalesce the kernel also returns datagrams of one sender together, where they came as one
 * buffer (udp(7), UDP_GRO). Returns 0 or a negative errno. */
int arena_want(int fd, sa_family_t family, unsigned needs, bool coalesce);
