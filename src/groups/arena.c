#include "groups/arena.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "net/compat.h"
#include "net/socket_option.h"

struct arena *arena_new(struct arena_memory *memory)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	if (!arena)
		return NULL;
	arena->owns_memory = !memory;
	arena->memory = memory ? memory : calloc(1, sizeof(*memory));
	arena->slots = mmap(NULL, (size_t)BATCH_MAX * SLOT_STRIDE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena->slots == MAP_FAILED || !arena->memory) {
		arena_free(arena);
		return NULL;
	}
	arena->messages = arena->memory->messages;
	memset(arena->messages, 0, sizeof(arena->memory->messages));
	for (unsigned i = 0; i < BATCH_MAX; i++) {
		arena->vectors[i] = (struct iovec){
			arena->slots + (size_t)i * SLOT_STRIDE, SLOT_SIZE};
		arena->messages[i].msg_hdr.msg_iov = &arena->vectors[i];
		arena->messages[i].msg_hdr.msg_iovlen = 1;
		arena->messages[i].msg_len = SLOT_EMPTY;
	}
	return arena;
}

void arena_free(struct arena *arena)
{
	if (!arena)
		return;
	if (arena->slots != MAP_FAILED)
		munmap(arena->slots, (size_t)BATCH_MAX * SLOT_STRIDE);
	if (arena->owns_memory)
		free(arena->memory);
	free(arena);
}

static size_t control_size(unsigned layout)
{
	/* Room for the credentials and no more, so that descriptors that a program sends along are
	 * refused. */
	return layout & LAYOUT_CREDENTIALS ? CMSG_SPACE(sizeof(struct ucred))
	       : layout & LAYOUT_CONTROL   ? SLOT_CONTROL_SIZE
					   : 0;
}

/* Sets up the headers: all of them for a new layout, else those whose lengths the kernel has
 * changed. */
static void prepare(struct arena *arena, unsigned layout)
{
	unsigned changed = layout & (LAYOUT_NAMES | LAYOUT_CONTROL | LAYOUT_CREDENTIALS)
				   ? arena->used
				   : 0;
	unsigned count = layout == arena->layout ? changed : BATCH_MAX;
	size_t control = control_size(layout);
	struct mmsghdr *messages = arena->messages;

	for (unsigned i = 0; i < count; i++) {
		struct msghdr *header = &messages[i].msg_hdr;

		header->msg_name = layout & LAYOUT_NAMES ? &arena->names[i] : NULL;
		header->msg_namelen = layout & LAYOUT_NAMES ? sizeof(arena->names[i]) : 0;
		header->msg_iovlen = layout & LAYOUT_UNREAD ? 0 : 1;
		arena->vectors[i].iov_len = layout & LAYOUT_HEADS ? PAYLOAD_HEAD : SLOT_SIZE;
		header->msg_controllen = control;
		header->msg_control = control ? arena->memory->control[i] : NULL;
		messages[i].msg_len = SLOT_EMPTY;
	}
	arena->layout = layout;
	arena->used = 0;
}

/* Receives into up to count slots. Returns how many were filled, or a negative errno. */
static int fill(struct arena *arena, int fd, unsigned layout, unsigned count)
{
	int n;

	prepare(arena, layout);
	/* MSG_TRUNC: returns the size of the datagram, even where less was copied (recv(2)). */
	n = recvmmsg(fd, arena->messages, count,
		MSG_DONTWAIT | (layout & (LAYOUT_UNREAD | LAYOUT_HEADS) ? MSG_TRUNC : 0), NULL);
	if (n < 0)
		return -errno;
	arena->used = (unsigned)n;
	return n;
}

/* Reads the control messages of a slot. *ret_segment is the size of each of several datagrams. */
static void read_control(struct msghdr *header, struct datagram *datagram, uint32_t *ret_segment)
{
	int number;

	for (struct cmsghdr *item = CMSG_FIRSTHDR(header); item; item = CMSG_NXTHDR(header, item)) {
		if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec time;

			memcpy(&time, CMSG_DATA(item), sizeof(time));
			datagram->timestamp_ns = timespec_ns(&time);
			continue;
		}
		memcpy(&number, CMSG_DATA(item), sizeof(number));
		if ((item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_TTL) ||
			(item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_HOPLIMIT))
			datagram->ttl = (uint8_t)number;
		else if (item->cmsg_level == SOL_UDP && item->cmsg_type == UDP_GRO)
			*ret_segment = (uint32_t)number;
		else if (item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_PKTINFO)
			datagram->ifindex = (unsigned)number; /* its first member */
		else if (item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_PKTINFO)
			memcpy(&datagram->ifindex,
				CMSG_DATA(item) + offsetof(struct in6_pktinfo, ipi6_ifindex),
				sizeof(datagram->ifindex));
	}
}

/* Describes the datagram in a slot, or the first of several. */
static void read_slot(const struct arena *arena, unsigned i, unsigned layout,
	struct mmsghdr *message, struct datagram *datagram, uint32_t *ret_segment)
{
	datagram->payload = arena->slots + (size_t)i * SLOT_STRIDE;
	datagram->size = message->msg_len;
	datagram->truncated = !(layout & LAYOUT_HEADS) && message->msg_hdr.msg_flags & MSG_TRUNC;
	datagram->is_own = datagram->is_returned = false;
	datagram->ttl = 0;
	datagram->timestamp_ns = 0;
	if (layout & LAYOUT_NAMES)
		datagram->source = arena->names[i];
	else
		datagram->source.any.sa_family = AF_UNSPEC;
	if (layout & LAYOUT_CONTROL) {
		datagram->ifindex = 0;
		read_control(&message->msg_hdr, datagram, ret_segment);
	}
}

/* Appends the datagrams of a slot to arena->datagrams, which has count. Returns the new count. */
static unsigned split_slot(struct arena *arena, unsigned i, unsigned count)
{
	uint32_t segment = 0, left;
	struct datagram datagram;

	read_slot(arena, i, arena->layout, &arena->messages[i], &datagram, &segment);
	left = datagram.size;
	do {
		datagram.size = segment && segment < left ? segment : left;
		left -= datagram.size;
		arena->datagrams[count++] = datagram;
		datagram.payload += datagram.size;
	} while (left && count < ARENA_DATAGRAMS_MAX);
	return count;
}

unsigned arena_slot_datagrams(struct mmsghdr *message)
{
	struct datagram datagram;
	uint32_t segment = 0;

	read_control(&message->msg_hdr, &datagram, &segment);
	return segment && message->msg_len ? (message->msg_len + segment - 1) / segment : 1;
}

/* Only the sizes. What was not to be read does not count as truncated. */
static void count_slots(struct mmsghdr *messages, struct arena_received *ret)
{
	for (unsigned i = 0; i < ret->count; i++) {
		ret->bytes += messages[i].msg_len;
		messages[i].msg_len = SLOT_EMPTY;
	}
}

static void read_slots(struct arena *arena, struct arena_received *ret)
{
	unsigned count = ret->count, layout = arena->layout;
	struct mmsghdr *message = arena->messages;
	struct datagram *datagram = arena->datagrams;
	uint32_t segment;

	for (unsigned i = 0; i < count; i++, message++, datagram++) {
		read_slot(arena, i, layout, message, datagram, &segment);
		ret->bytes += datagram->size;
		ret->truncated += datagram->truncated;
		message->msg_len = SLOT_EMPTY;
	}
}

static void split_slots(struct arena *arena, struct arena_received *ret)
{
	unsigned filled = ret->count;

	ret->count = 0;
	for (unsigned i = 0; i < filled; i++) {
		ret->bytes += arena->messages[i].msg_len;
		ret->truncated += (arena->messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
		ret->count = split_slot(arena, i, ret->count);
	}
	arena->memory->count = ret->count;
	atomic_signal_fence(memory_order_seq_cst);
	for (unsigned i = 0; i < filled; i++)
		arena->messages[i].msg_len = SLOT_EMPTY;
}

/* Of payloads that no outlet reads, only the beginning is copied from the kernel, or nothing. */
static unsigned choose_layout(unsigned needs, bool coalesce)
{
	if (coalesce)
		return LAYOUT_CONTROL | (needs & NEED_SOURCE ? LAYOUT_NAMES : 0);
	if (!(needs & NEED_DATAGRAMS))
		return LAYOUT_UNREAD;
	return (needs & NEED_SOURCE ? LAYOUT_NAMES : 0) |
	       (needs & NEED_PAYLOAD ? 0 : LAYOUT_HEADS) |
	       (needs & (NEED_TIMESTAMP | NEED_TTL | NEED_INTERFACE) ? LAYOUT_CONTROL : 0);
}

static int receive(
	struct arena *arena, int fd, unsigned needs, bool coalesce, struct arena_received *ret)
{
	unsigned slots = coalesce ? COALESCED_SLOTS : BATCH_MAX;
	int filled = fill(arena, fd, choose_layout(needs, coalesce), slots);

	*ret = (struct arena_received){0};
	if (filled < 0)
		return filled;
	ret->count = (unsigned)filled;
	ret->is_full = ret->count == slots;
	if (coalesce) {
		split_slots(arena, ret);
		return 0;
	}
	arena->memory->count = ret->count;
	atomic_signal_fence(memory_order_seq_cst);
	if (needs & NEED_DATAGRAMS)
		read_slots(arena, ret);
	else
		count_slots(arena->messages, ret);
	return 0;
}

int arena_receive(
	struct arena *arena, int fd, unsigned needs, bool coalesce, struct arena_received *ret)
{
	int r = receive(arena, fd, needs, coalesce, ret);

	ret->read = ret->count;
	ret->read_bytes = ret->bytes;
	return r;
}

void arena_deliver_some(const struct arena *arena, struct origin *origin, unsigned first,
	unsigned count, struct outlet *const *outlets, size_t outlet_count)
{
	for (unsigned end = first + count; first < end; first += BATCH_MAX) {
		struct batch batch = {.origin = origin,
			.count = end - first < BATCH_MAX ? end - first : BATCH_MAX,
			.datagrams = arena->datagrams + first,
			.read = arena->memory->read};

		for (size_t i = 0; i < outlet_count; i++)
			outlets[i]->deliver(outlets[i], &batch);
	}
}

void arena_deliver(const struct arena *arena, struct origin *origin, unsigned count,
	struct outlet *const *outlets, size_t outlet_count)
{
	arena_deliver_some(arena, origin, 0, count, outlets, outlet_count);
}

int arena_receive_packets(struct arena *arena, int fd)
{
	return fill(arena, fd, LAYOUT_CREDENTIALS, BATCH_MAX);
}

int arena_want(int fd, sa_family_t family, unsigned needs, bool coalesce)
{
	int r = socket_set(fd, SOL_SOCKET, SO_TIMESTAMPNS, !!(needs & NEED_TIMESTAMP));

	r = r < 0 ? r
		  : socket_set_ip(fd, family, IP_RECVTTL, IPV6_RECVHOPLIMIT, !!(needs & NEED_TTL));
	if (r >= 0 && needs & NEED_INTERFACE)
		r = socket_set_ip(fd, family, IP_PKTINFO, IPV6_RECVPKTINFO, 1);
	/* Fails before Linux 5.0, where datagrams come one by one. */
	socket_set(fd, SOL_UDP, UDP_GRO, coalesce);
	return r;
}
