#include "net/udp_out.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <string.h>

#include "base/clock.h"
#include "net/compat.h"

#define SINGLY_NS (10 * NS_PER_S)

/* The most errors that one call reads. The socket's receive buffer holds fewer. */
#define ERRORS_READ_MAX 1024

/* The largest buffer of segments, in bytes, for either family. */
#define SEGMENTED_MAX DATAGRAM_MAX_V4

static struct msghdr header(const struct udp_out *out, const union endpoint *to,
	socklen_t to_length, const struct iovec *vectors, size_t count)
{
	return (struct msghdr){.msg_name = (void *)to,
		.msg_namelen = to_length,
		.msg_iov = (struct iovec *)vectors,
		.msg_iovlen = count,
		.msg_control = (void *)out->control,
		.msg_controllen = out->control_size};
}

/* Writes a control message and returns its size, in bytes. */
static size_t put_control(void *at, int level, int type, const void *data, size_t size)
{
	struct cmsghdr *control = at;

	memset(at, 0, CMSG_SPACE(size));
	control->cmsg_level = level;
	control->cmsg_type = type;
	control->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(control), data, size);
	return CMSG_SPACE(size);
}

void udp_out_set_source(struct udp_out *out, const struct address *source, unsigned ifindex)
{
	struct in_pktinfo v4 = {.ipi_ifindex = (int)ifindex, .ipi_spec_dst = source->v4};
	struct in6_pktinfo v6 = {.ipi6_ifindex = ifindex, .ipi6_addr = source->v6};

	if (source->family == AF_INET)
		out->control_size = put_control(
			out->control, IPPROTO_IP, IP_PKTINFO, &v4, sizeof(v4));
	else
		out->control_size = put_control(
			out->control, IPPROTO_IPV6, IPV6_PKTINFO, &v6, sizeof(v6));
}

void udp_out_set_header(
	struct udp_out *out, const struct address *source, unsigned ifindex, int ttl, int dscp)
{
	bool v4 = source->family == AF_INET;
	int level = v4 ? IPPROTO_IP : IPPROTO_IPV6, tos = dscp << 2;

	udp_out_set_source(out, source, ifindex);
	out->control_size += put_control(out->control + out->control_size, level,
		v4 ? IP_TTL : IPV6_HOPLIMIT, &ttl, sizeof(ttl));
	if (tos)
		out->control_size += put_control(out->control + out->control_size, level,
			v4 ? IP_TOS : IPV6_TCLASS, &tos, sizeof(tos));
}

/* Reads one ICMP error, or one of this host, from the error queue. Returns 1 for ICMP, 0 for
 * others, or -EAGAIN at its end. */
static int read_error(struct udp_out *out)
{
	_Alignas(struct cmsghdr) char control[512];
	struct msghdr message = {.msg_control = control, .msg_controllen = sizeof(control)};
	const struct sock_extended_err *error;
	int icmp = 0;

	if (recvmsg(out->fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return -errno;
	for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part;
		part = CMSG_NXTHDR(&message, part)) {
		bool v4 = part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR;

		if (!v4 && (part->cmsg_level != IPPROTO_IPV6 || part->cmsg_type != IPV6_RECVERR))
			continue;
		error = (const void *)CMSG_DATA(part);
		if (error->ee_origin != SO_EE_ORIGIN_ICMP && error->ee_origin != SO_EE_ORIGIN_ICMP6)
			continue;
		out->unreachable++;
		out->unreachable_errno = (int)error->ee_errno;
		icmp = 1;
	}
	return icmp;
}

/* Empties the error queue: while it holds an ICMP error each send fails. Returns whether there was
 * one. */
static bool read_errors(struct udp_out *out)
{
	bool icmp = false;
	int r = 0;

	for (int i = 0; i < ERRORS_READ_MAX && r >= 0; i++) {
		r = read_error(out);
		icmp = icmp || r > 0;
	}
	return icmp;
}

/* Each datagram as its own message, in one system call. */
static int send_singly(struct udp_out *out, const union endpoint *to, socklen_t to_length,
	const struct iovec *vectors, unsigned count)
{
	struct mmsghdr messages[UDP_OUT_MAX];
	int n;

	for (unsigned i = 0; i < count; i++)
		messages[i].msg_hdr = header(out, to, to_length, &vectors[i], 1);
	n = sendmmsg(out->fd, messages, count, MSG_DONTWAIT);
	if (n == (int)count)
		return n;
	if (n < 0)
		n = -errno;
	/* After a part was sent the next call says why no more was. */
	if (read_errors(out) && n < 0) {
		n = sendmmsg(out->fd, messages, count, MSG_DONTWAIT);
		n = n < 0 ? -errno : n;
	}
	return n;
}

/* How many datagrams from the first on go into one buffer: all of one size, but the last may be
 * shorter. */
static unsigned run_length(const struct iovec *vectors, unsigned count)
{
	size_t size = vectors[0].iov_len, total = size;
	unsigned length = 1;

	while (size && length < count && vectors[length].iov_len &&
		vectors[length].iov_len <= size &&
		total + vectors[length].iov_len <= SEGMENTED_MAX) {
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

static int send_segmented(struct udp_out *out, const union endpoint *to, socklen_t to_length,
	const struct iovec *vectors, unsigned count)
{
	_Alignas(struct cmsghdr) char control[sizeof(out->control) + CMSG_SPACE(sizeof(uint16_t))];
	struct iovec merged[UDP_OUT_MAX];
	char staged[STAGED_MAX];
	struct msghdr message = header(
		out, to, to_length, merged, merge(vectors, count, merged, staged));
	uint16_t size = (uint16_t)vectors[0].iov_len;
	int r;

	memcpy(control, out->control, out->control_size);
	message.msg_control = control;
	message.msg_controllen += put_control(
		control + out->control_size, SOL_UDP, UDP_SEGMENT, &size, sizeof(size));
	r = sendmsg(out->fd, &message, MSG_DONTWAIT) < 0 ? -errno : (int)count;
	if (r < 0 && read_errors(out))
		r = sendmsg(out->fd, &message, MSG_DONTWAIT) < 0 ? -errno : (int)count;
	return r;
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
	if (r >= 0 || r == -EAGAIN)
		return r;
	if (r == -ENOBUFS) {
		out->refused = count;
		out->singly_until_ns = clock_ns(CLOCK_MONOTONIC_COARSE) + SINGLY_NS;
		return r;
	}
	/* Segments larger than the MTU are refused; as single datagrams they are fragmented. */
	if (r == -EMSGSIZE)
		out->too_large = size;
	/* The device does not segment. Older kernels return EINVAL for it, and for other reasons
	 * too: for this run only. */
	if (r == -EIO || r == -EOPNOTSUPP)
		out->unsegmented = true;
	/* None was sent. What is refused may be one of them, as by a firewall. */
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

/* Whether nothing is segmented now. */
static bool is_singly(struct udp_out *out)
{
	if (out->singly_until_ns && clock_ns(CLOCK_MONOTONIC_COARSE) >= out->singly_until_ns)
		out->singly_until_ns = 0;
	return out->unsegmented || out->singly_until_ns;
}

/* A queue has dropped what comes next, and the part before it was returned. */
static int take_pending(struct udp_out *out)
{
	int r = out->pending;

	out->pending = 0;
	return r;
}

int udp_out_send(struct udp_out *out, const union endpoint *to, socklen_t to_length,
	const struct iovec *vectors, unsigned count)
{
	unsigned sent = 0, length;
	int r = 0;

	if (out->pending)
		return take_pending(out);
	out->refused = 1;
	while (sent < count) {
		const struct iovec *next = vectors + sent;
		bool singly = is_singly(out);

		length = singly ? 1 : run_length(next, count - sent);
		if (length > 1) {
			r = send_run(out, to, to_length, next, length);
		} else {
			length = singly ? count - sent : single_length(next, count - sent);
			r = send_singly(out, to, to_length, next, length);
		}
		if (r < 0)
			break;
		sent += (unsigned)r;
		if ((unsigned)r < length)
			break; /* the next call says why */
	}
	if (!sent || r != -ENOBUFS)
		return sent ? (int)sent : r;
	out->pending = r;
	return (int)sent;
}
