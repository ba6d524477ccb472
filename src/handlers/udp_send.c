#include "handlers/udp_send.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "net/compat.h"

/* What one UDP_SEGMENT call takes (UDP_MAX_SEGMENTS, and the largest UDP payload). */
#define SEGMENTS_MAX 64

static enum drop_reason reason(int r)
{
	return r == -EAGAIN || r == -ENOBUFS ? DROP_BUSY : r == -EMSGSIZE ? DROP_SIZE : DROP_IO;
}

static void count_refused(struct udp_output *output, int r, unsigned count, struct outcome *outcome)
{
	uint64_t suppressed;

	outcome->dropped[reason(r)] += count;
	if (reason(r) == DROP_IO && log_limit_pass(&output->limit, &suppressed))
		log_warning("udp handler: sending: %s", strerror(-r));
}

/* One by one, but in one call. */
static void send_single(struct udp_output *output, const struct datagram *datagrams, unsigned count,
	struct outcome *outcome)
{
	struct mmsghdr messages[BATCH_MAX];
	struct iovec vectors[BATCH_MAX];

	for (unsigned i = 0; i < count; i++) {
		vectors[i] = (struct iovec){(void *)datagrams[i].payload, datagrams[i].size};
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &output->to,
						       .msg_namelen = output->to_length,
						       .msg_iov = &vectors[i],
						       .msg_iovlen = 1}};
	}
	for (unsigned i = 0; i < count;) {
		int n = sendmmsg(output->fd, messages + i, count - i, MSG_DONTWAIT);

		if (n > 0) {
			outcome->delivered += (unsigned)n;
			i += (unsigned)n;
		} else {
			count_refused(output, -errno, 1, outcome);
			i++;
		}
	}
}

/* How many datagrams from the first on go into one call: all of one size, but the last may be shorter. */
static unsigned run_length(const struct datagram *datagrams, unsigned count)
{
	uint32_t size = datagrams[0].size, total = size;
	unsigned length = 1;

	while (size && length < count && length < SEGMENTS_MAX && datagrams[length].size &&
		datagrams[length].size <= size && total + datagrams[length].size <= DATAGRAM_MAX) {
		total += datagrams[length].size;
		if (datagrams[length++].size < size)
			break;
	}
	return length;
}

/* Hands a run to the kernel as one buffer, which it cuts into datagrams of the first one's size (udp(7), UDP_SEGMENT). */
static int send_segmented(struct udp_output *output, const struct datagram *datagrams, unsigned count)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(uint16_t))];
	} control = {0};
	struct iovec vectors[SEGMENTS_MAX];
	struct msghdr message = {.msg_name = &output->to,
		.msg_namelen = output->to_length,
		.msg_iov = vectors,
		.msg_iovlen = count,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	uint16_t size = (uint16_t)datagrams[0].size;

	for (unsigned i = 0; i < count; i++)
		vectors[i] = (struct iovec){(void *)datagrams[i].payload, datagrams[i].size};
	control.header.cmsg_level = SOL_UDP;
	control.header.cmsg_type = UDP_SEGMENT;
	control.header.cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(&control.header), &size, sizeof(size));
	return sendmsg(output->fd, &message, MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* Whether the device or the path does not segment, which says nothing about the datagrams. */
static bool is_unsupported(int r)
{
	return r == -EIO || r == -EINVAL || r == -EMSGSIZE || r == -EOPNOTSUPP;
}

static void send_run(struct udp_output *output, const struct datagram *datagrams, unsigned count,
	struct outcome *outcome)
{
	int r;

	if (count == 1) {
		send_single(output, datagrams, count, outcome);
		return;
	}
	r = send_segmented(output, datagrams, count);
	if (r >= 0) {
		outcome->delivered += count;
	} else if (is_unsupported(r)) {
		/* Segments larger than the MTU are refused, which singly would be fragmented: only then is it for this run. */
		output->unsegmented = r != -EMSGSIZE && r != -EINVAL;
		send_single(output, datagrams, count, outcome);
	} else {
		count_refused(output, r, count, outcome);
	}
}

void udp_output_send(struct udp_output *output, const struct datagram *datagrams, unsigned count,
	struct outcome *outcome)
{
	unsigned length;

	if (output->unsegmented) {
		send_single(output, datagrams, count, outcome);
		return;
	}
	for (unsigned i = 0; i < count; i += length) {
		length = run_length(datagrams + i, count - i);
		send_run(output, datagrams + i, length, outcome);
	}
}
