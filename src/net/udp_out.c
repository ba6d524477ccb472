#include "net/udp_out.h"

#include <errno.h>
#include <string.h>

#include "net/compat.h"

static struct msghdr header(
	const union endpoint *to, socklen_t to_length, const struct iovec *vectors, size_t count)
{
	return (struct msghdr){.msg_name = (void *)to,
		.msg_namelen = to_length,
		.msg_iov = (struct iovec *)vectors,
		.msg_iovlen = count};
}

/* Each datagram as its own message, in one system call. */
static int send_singly(const struct udp_out *out, const union endpoint *to, socklen_t to_length,
	const struct iovec *vectors, unsigned count)
{
	struct mmsghdr messages[UDP_OUT_MAX];
	int n;

	for (unsigned i = 0; i < count; i++)
		messages[i].msg_hdr = header(to, to_length, &vectors[i], 1);
	n = sendmmsg(out->fd, messages, count, MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

/* How many datagrams from the first on go into one buffer: all of one size, but the last may be
 * shorter. */
static unsigned run_length(const struct iovec *vectors, unsigned count)
{
	size_t size = vectors[0].iov_len, total = size;
	unsigned length = 1;

	while (size && length < count && vectors[length].iov_len &&
		vectors[length].iov_len <= size &&
		total + vectors[length].iov_len <= DATAGRAM_MAX) {
		total += vectors[length].iov_len;
		if (vectors[length++].iov_len < size)
			break;
	}
	return length;
}

/* Runs of up to this size are copied into one buffer, in bytes: the kernel takes much longer for
 * sixty vectors than for one. */
#define STAGED_MAX 8192

/* Datagrams that were received together are adjacent, and become one vector. Others are copied
 * where they are small. Returns how many vectors remain. */
static unsigned merge(const struct iovec *vectors, unsigned count, struct iovec *merged,
	char staged[static STAGED_MAX])
{
	size_t total = 0;
	unsigned last = 0;

	merged[0] = vectors[0];
	for (unsigned i = 1; i < count; i++) {
		if ((char *)merged[last].iov_base + merged[last].iov_len == vectors[i].iov_base)
			merged[last].iov_len += vectors[i].iov_len;
		else
			merged[++last] = vectors[i];
		total += vectors[i].iov_len;
	}
	if (!last || total + vectors[0].iov_len > STAGED_MAX)
		return last + 1;
	total = 0;
	for (unsigned i = 0; i <= last; i++) {
		memcpy(staged + total, merged[i].iov_base, merged[i].iov_len);
		total += merged[i].iov_len;
	}
	merged[0] = (struct iovec){staged, total};
	return 1;
}

static int send_segmented(const struct udp_out *out, const union endpoint *to, socklen_t to_length,
	const struct iovec *vectors, unsigned count)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(uint16_t))];
	} control = {0};
	struct iovec merged[UDP_OUT_MAX];
	char staged[STAGED_MAX];
	struct msghdr message = header(
		to, to_length, merged, merge(vectors, count, merged, staged));
	uint16_t size = (uint16_t)vectors[0].iov_len;

	message.msg_control = &control;
	message.msg_controllen = sizeof(control);
	control.header.cmsg_level = SOL_UDP;
	control.header.cmsg_type = UDP_SEGMENT;
	control.header.cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(&control.header), &size, sizeof(size));
	return sendmsg(out->fd, &message, MSG_DONTWAIT) < 0 ? -errno : (int)count;
}

/* Whether the device or the path does not segment: the datagrams may be valid. */
static bool is_unsupported(int r)
{
	return r == -EIO || r == -EINVAL || r == -EMSGSIZE || r == -EOPNOTSUPP;
}

/* A run of datagrams that can go into one buffer. */
static int send_run(struct udp_out *out, const union endpoint *to, socklen_t to_length,
	const struct iovec *vectors, unsigned count)
{
	size_t size = vectors[0].iov_len;
	int r;

	if (out->too_large && size >= out->too_large)
		return send_singly(out, to, to_length, vectors, count);
	r = send_segmented(out, to, to_length, vectors, count);
	if (!is_unsupported(r))
		return r;
	/* Segments larger than the MTU are refused; as single datagrams they are fragmented. */
	if (r == -EMSGSIZE)
		out->too_large = size;
	else
		/* Older kernels return EINVAL for it, and for other reasons too: for this run only.
		 */
		out->unsegmented = r != -EINVAL;
	return send_singly(out, to, to_length, vectors, count);
}

/* The number of datagrams before the next run. */
static unsigned single_length(const struct iovec *vectors, unsigned count)
{
	unsigned length = 1;

	while (length < count && run_length(vectors + length, count - length) == 1)
		length++;
	return length;
}

int udp_out_send(struct udp_out *out, const union endpoint *to, socklen_t to_length,
	const struct iovec *vectors, unsigned count)
{
	unsigned sent = 0, length;
	int r = 0;

	while (sent < count && r >= 0) {
		const struct iovec *next = vectors + sent;

		length = out->unsegmented ? 1 : run_length(next, count - sent);
		if (length > 1) {
			r = send_run(out, to, to_length, next, length);
		} else {
			length = out->unsegmented ? count - sent
						  : single_length(next, count - sent);
			r = send_singly(out, to, to_length, next, length);
		}
		if (r < 0)
			break;
		sent += (unsigned)r;
		if ((unsigned)r < length)
			break; /* the next call says why */
	}
	return sent ? (int)sent : r;
}
