#include "groups/arena.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"

struct arena *arena_new(void)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	if (!arena)
		return NULL;
	arena->slots = mmap(NULL, (size_t)BATCH_MAX * SLOT_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena->slots == MAP_FAILED) {
		free(arena);
		return NULL;
	}
	for (unsigned i = 0; i < BATCH_MAX; i++) {
		arena->vectors[i] = (struct iovec){arena->slots + (size_t)i * SLOT_SIZE, SLOT_SIZE};
		arena->messages[i].msg_hdr.msg_iov = &arena->vectors[i];
		arena->messages[i].msg_hdr.msg_iovlen = 1;
		arena->datagrams[i].payload = arena->vectors[i].iov_base;
	}
	return arena;
}

void arena_free(struct arena *arena)
{
	if (!arena)
		return;
	munmap(arena->slots, (size_t)BATCH_MAX * SLOT_SIZE);
	free(arena);
}

/* Points the headers at what is wanted; the kernel changes the lengths with every call. */
static void prepare(struct arena *arena, bool names, bool control)
{
	for (unsigned i = 0; i < BATCH_MAX; i++) {
		struct msghdr *header = &arena->messages[i].msg_hdr;

		header->msg_name = names ? &arena->names[i] : NULL;
		header->msg_namelen = names ? sizeof(arena->names[i]) : 0;
		header->msg_control = control ? arena->control[i] : NULL;
		header->msg_controllen = control ? SLOT_CONTROL_SIZE : 0;
		header->msg_flags = 0;
		arena->vectors[i].iov_len = SLOT_SIZE;
	}
}

static void read_control(struct msghdr *header, struct datagram *datagram)
{
	datagram->timestamp_ns = 0;
	datagram->ttl = 0;
	for (struct cmsghdr *item = CMSG_FIRSTHDR(header); item; item = CMSG_NXTHDR(header, item)) {
		if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec time;

			memcpy(&time, CMSG_DATA(item), sizeof(time));
			datagram->timestamp_ns = timespec_ns(&time);
		} else if ((item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_TTL) ||
			   (item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_HOPLIMIT)) {
			int ttl;

			memcpy(&ttl, CMSG_DATA(item), sizeof(ttl));
			datagram->ttl = (uint8_t)ttl;
		}
	}
}

int arena_receive(struct arena *arena, int fd, unsigned needs)
{
	bool names = needs & NEED_SOURCE, control = needs & (NEED_TIMESTAMP | NEED_TTL);
	int count;

	prepare(arena, names, control);
	count = recvmmsg(fd, arena->messages, BATCH_MAX, MSG_DONTWAIT, NULL);
	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++) {
		struct datagram *datagram = &arena->datagrams[i];

		datagram->size = arena->messages[i].msg_len;
		datagram->truncated = arena->messages[i].msg_hdr.msg_flags & MSG_TRUNC;
		if (names)
			datagram->source = arena->names[i];
		else
			datagram->source.any.sa_family = AF_UNSPEC;
		read_control(&arena->messages[i].msg_hdr, datagram);
	}
	return count;
}

int arena_receive_packets(struct arena *arena, int fd)
{
	int count;

	prepare(arena, false, true);
	/* Room for the credentials and no more: descriptors that a program passes along are not let in. */
	for (unsigned i = 0; i < BATCH_MAX; i++)
		arena->messages[i].msg_hdr.msg_controllen = CMSG_SPACE(sizeof(struct ucred));
	count = recvmmsg(fd, arena->messages, BATCH_MAX, MSG_DONTWAIT, NULL);
	return count < 0 ? -errno : count;
}

static int set_flag(int fd, int level, int option, bool on)
{
	int value = on;

	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

int arena_want(int fd, sa_family_t family, unsigned needs)
{
	int r = set_flag(fd, SOL_SOCKET, SO_TIMESTAMPNS, needs & NEED_TIMESTAMP);

	if (r < 0)
		return r;
	if (family == AF_INET)
		return set_flag(fd, IPPROTO_IP, IP_RECVTTL, needs & NEED_TTL);
	return set_flag(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, needs & NEED_TTL);
}
