#include "groups/reader.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* Counts datagrams that the program missed. The next one that it takes tells it. */
static void miss(struct reader *reader, unsigned count)
{
	*reader->unread += count;
	reader->gap += count;
}

/* The same, because it does not read. */
static void miss_unread(struct reader *reader, unsigned count)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC_COARSE);

	miss(reader, count);
	if (!reader->full_since_ns)
		reader->full_since_ns = now;
	if (reader->is_stalled || now - reader->full_since_ns < READER_STALL_S * NS_PER_S)
		return;
	reader->is_stalled = true;
	reader->stalled(reader);
}

/* Whether a program that has missed something is to miss more, until it has read half of what is
 * queued: otherwise nearly every datagram would come with a gap of its own. */
static bool is_behind(const struct reader *reader)
{
	int waiting = 0;

	return ioctl(reader->fd, SIOCOUTQ, &waiting) == 0 && waiting > READER_BUFFER;
}

/* Writes "gap N" to gap_fd. Each gap has its own file, as the program may read it at any time. */
static int write_gap(struct reader *reader)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "gap %" PRIu64 "\n", reader->gap);

	if (reader->gap_fd < 0)
		reader->gap_fd = memfd_create("mcastd-gap", MFD_CLOEXEC);
	return pwrite(reader->gap_fd, text, (size_t)length, 0) == length ? 0 : -errno;
}

/* Attaches the gap to a message (SCM_RIGHTS, unix(7)). A program that does not ask for descriptors
 * gets the datagram as any other, and the kernel closes the file. */
static void attach_gap(
	const struct reader *reader, struct msghdr *message, void *control, size_t size)
{
	struct cmsghdr *item;

	message->msg_control = control;
	message->msg_controllen = size;
	item = CMSG_FIRSTHDR(message);
	item->cmsg_level = SOL_SOCKET;
	item->cmsg_type = SCM_RIGHTS;
	item->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(item), &reader->gap_fd, sizeof(int));
}

static unsigned send_all(int fd, struct mmsghdr *messages, unsigned count)
{
	unsigned sent = 0;

	while (sent < count) {
		int n = sendmmsg(fd, messages + sent, count - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n <= 0)
			break;
		sent += (unsigned)n;
	}
	return sent;
}

/* The same, where the first message announces a gap. */
static unsigned send_after_gap(struct reader *reader, struct mmsghdr *messages, unsigned count)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	unsigned sent;

	if (write_gap(reader) < 0)
		return send_all(reader->fd, messages, count); /* announced later */
	attach_gap(reader, &messages[0].msg_hdr, control, sizeof(control));
	sent = send_all(reader->fd, messages, count);
	if (sent) {
		reader->gap = 0;
		closep(&reader->gap_fd);
		reader->gap_fd = -1;
	} else if (errno == ETOOMANYREFS) {
		/* Too many descriptors in flight: the datagram matters more. */
		messages[0].msg_hdr.msg_control = NULL;
		messages[0].msg_hdr.msg_controllen = 0;
		sent = send_all(reader->fd, messages, count);
	}
	return sent;
}

/* Fills in what is to be written. Returns how many messages. */
static unsigned fill(const struct reader *reader, const struct batch *batch, struct iovec *vectors,
	struct mmsghdr *messages)
{
	unsigned count = 0;

	for (unsigned i = 0; i < batch->count; i++) {
		const struct datagram *datagram = &batch->datagrams[i];

		if (!datagram->size && reader->empty_skipped) {
			++*reader->empty_skipped;
			continue;
		}
		vectors[count] = (struct iovec){(void *)datagram->payload, datagram->size};
		messages[count] = (struct mmsghdr){
			.msg_hdr = {.msg_iov = &vectors[count], .msg_iovlen = 1}};
		count++;
	}
	return count;
}

/* A program that does not read only loses its own datagrams. The reading side of its connection
 * notices when it has closed the socket. */
static void deliver(struct outlet *outlet, const struct batch *batch)
{
	struct reader *reader = container_of(outlet, struct reader, outlet);
	struct mmsghdr messages[BATCH_MAX];
	struct iovec vectors[BATCH_MAX];
	unsigned count = fill(reader, batch, vectors, messages), sent;

	if (!count)
		return;
	if (!user_may_deliver(reader->user)) {
		miss(reader, count);
		return;
	}
	if (reader->gap && is_behind(reader)) {
		miss_unread(reader, count);
		return;
	}
	sent = reader->gap ? send_after_gap(reader, messages, count)
			   : send_all(reader->fd, messages, count);
	if (sent)
		reader->full_since_ns = 0;
	if (sent < count)
		miss_unread(reader, count - sent);
	user_delivered(reader->user);
}

void reader_init(struct reader *reader, int fd)
{
	reader->outlet.deliver = deliver;
	reader->outlet.needs = NEED_PROMPT;
	reader->fd = fd;
	reader->gap_fd = -1;
}

void reader_clear(struct reader *reader)
{
	closep(&reader->gap_fd);
}
