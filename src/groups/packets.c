/* The socket of type SOCK_SEQPACKET: one write is one datagram sent, one read is one received. A
 * program that has missed some is told how many with the next one that it gets. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "groups/arena.h"
#include "groups/socket_kind.h"

/* ---- What the program writes ---- */

/* A program that closes its socket with something unread resets the connection; what it wrote
 * before is still queued. */
static int receive(struct arena *arena, int fd)
{
	int count = arena_receive_packets(arena, fd);

	return count == -ECONNRESET ? arena_receive_packets(arena, fd) : count;
}

/* An empty packet without credentials is the end. */
static int read_packets(struct channel *channel, struct arena *arena, struct written *ret)
{
	int count = receive(arena, channel->fd);

	ret->count = ret->unsent = 0;
	ret->torn = 0;
	ret->end = ret->more = false;
	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		const struct mmsghdr *message = &arena->messages[i];

		if (message->msg_len == 0 && message->msg_hdr.msg_controllen == 0) {
			ret->end = true;
			break;
		}
		if (message->msg_len > channel->max || message->msg_hdr.msg_flags & MSG_TRUNC)
			ret->unsent++;
		else
			ret->vectors[ret->count++] = (struct iovec){
				arena->vectors[i].iov_base, message->msg_len};
	}
	return 0;
}

static unsigned waiting(const struct channel *channel)
{
	(void)channel;
	return 0;
}

/* ---- What it reads ---- */

/* Writes "gap N" to gap_fd. Each gap has its own file, as the program may read it at any time. */
static int write_gap(struct channel *channel)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "gap %" PRIu64 "\n", channel->gap);

	if (channel->gap_fd < 0)
		channel->gap_fd = memfd_create("mcastd-gap", MFD_CLOEXEC);
	return pwrite(channel->gap_fd, text, (size_t)length, 0) == length ? 0 : -errno;
}

/* Attaches the gap to a message (SCM_RIGHTS, unix(7)). A program that does not ask for descriptors
 * gets the datagram as any other, and the kernel closes the file. */
static void attach_gap(
	const struct channel *channel, struct msghdr *message, void *control, size_t size)
{
	struct cmsghdr *item;

	message->msg_control = control;
	message->msg_controllen = size;
	item = CMSG_FIRSTHDR(message);
	item->cmsg_level = SOL_SOCKET;
	item->cmsg_type = SCM_RIGHTS;
	item->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(item), &channel->gap_fd, sizeof(int));
}

static unsigned send_all(struct channel *channel, struct mmsghdr *messages, unsigned count)
{
	unsigned sent = 0;

	while (sent < count) {
		int n = sendmmsg(
			channel->fd, messages + sent, count - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n <= 0) {
			channel->reads_no_more |= n < 0 && errno == EPIPE;
			break;
		}
		sent += (unsigned)n;
	}
	return sent;
}

/* The same, where the first message announces a gap. */
static unsigned send_after_gap(struct channel *channel, struct mmsghdr *messages, unsigned count)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	unsigned sent;

	if (write_gap(channel) < 0)
		return send_all(channel, messages, count); /* announced later */
	attach_gap(channel, &messages[0].msg_hdr, control, sizeof(control));
	sent = send_all(channel, messages, count);
	if (sent) {
		channel->gap = 0;
		closep(&channel->gap_fd);
		channel->gap_fd = -1;
	} else if (errno == ETOOMANYREFS) {
		/* Too many descriptors in flight: the datagram matters more. */
		messages[0].msg_hdr.msg_control = NULL;
		messages[0].msg_hdr.msg_controllen = 0;
		sent = send_all(channel, messages, count);
	}
	return sent;
}

static unsigned write_packets(struct channel *channel, const struct iovec *payloads, unsigned count)
{
	struct mmsghdr messages[BATCH_MAX];

	for (unsigned i = 0; i < count; i++)
		messages[i] = (struct mmsghdr){
			.msg_hdr = {.msg_iov = (struct iovec *)&payloads[i], .msg_iovlen = 1}};
	return channel->gap ? send_after_gap(channel, messages, count)
			    : send_all(channel, messages, count);
}

/* A packet is written as a whole. */
static void finish(struct channel *channel)
{
	(void)channel;
}

const struct socket_kind packets_kind = {
	.type = SOCK_SEQPACKET,
	.suffix = "",
	.empty_is_end = true,
	.read = read_packets,
	.write = write_packets,
	.finish = finish,
	.waiting = waiting,
};
