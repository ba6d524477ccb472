/* The socket of type SOCK_STREAM: before each datagram comes its length (groups/stream_frames). A
 * program that does not read in time misses whole datagrams: what was begun is finished before the
 * next one. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "config/config.h"
#include "groups/arena.h"
#include "groups/stream_frames.h"
#include "groups/socket_kind.h"

/* Maximum number of bytes that one call reads: small datagrams in it are a few turns of the user.
 */
#define READ_MAX (64 * 1024)

/* ---- What the program writes ---- */

/* Picks the datagrams of bytes. Returns what they take. */
static size_t pick(
	const struct channel *channel, const uint8_t *bytes, size_t size, struct written *ret)
{
	size_t used = stream_pick(bytes, size, channel->max, ret->vectors, BATCH_MAX, &ret->count);
	uint32_t length;

	ret->more = stream_next(bytes + used, size - used, channel->max, &length) != STREAM_PARTIAL;
	return used;
}

/* Takes from what was read before. Returns 1 when there is nothing more in it, but perhaps the
 * beginning of a datagram. */
static int take_rest(struct channel *channel, struct written *ret)
{
	struct rest *in = &channel->in;
	const uint8_t *bytes = in->data + in->start;
	size_t used;

	if (!in->data || stream_next(bytes, in->size, channel->max, &ret->wrong) == STREAM_PARTIAL)
		return 1;
	used = pick(channel, bytes, in->size, ret);
	if (!used) {
		ret->unsent = 1;
		rest_clear(in);
		return -EBADMSG;
	}
	in->start += used;
	in->size -= used;
	ret->more = true; /* if only to free what is taken */
	return 0;
}

/* Leaves what was read behind the datagrams that were picked. */
static int leave(struct channel *channel, const uint8_t *bytes, size_t size, struct written *ret)
{
	const struct iovec pieces[2] = {{(void *)bytes, size}};
	int r = rest_set(&channel->in, pieces, 0);

	if (r < 0)
		ret->unsent = stream_count(bytes, size, channel->max);
	return r;
}

static int read_stream(struct channel *channel, struct arena *arena, struct written *ret)
{
	struct rest *in = &channel->in;
	size_t size = in->size, used;
	uint8_t *bytes = arena->slots; /* one piece of memory: more than a datagram and READ_MAX */
	ssize_t n;
	int r, error;

	ret->count = ret->unsent = 0;
	ret->torn = 0;
	ret->end = ret->more = false;
	r = take_rest(channel, ret);
	if (r <= 0)
		return r;
	n = recv(channel->fd, bytes + size, READ_MAX, MSG_DONTWAIT);
	error = n < 0 ? errno : 0;
	if (size)
		memcpy(bytes, in->data + in->start, size);
	if (error && error != ECONNRESET) { /* which comes after all that was written */
		r = in->start ? leave(channel, bytes, size, ret) : 0;
		return r < 0 ? r : -error;
	}
	if (n <= 0) {
		ret->end = true;
		ret->torn = size;
		ret->unsent = size > 0;
		rest_clear(in);
		return 0;
	}
	size += (size_t)n;
	used = pick(channel, bytes, size, ret);
	return leave(channel, bytes + used, size - used, ret);
}

static unsigned waiting(const struct channel *channel)
{
	const struct rest *in = &channel->in;

	return in->size ? stream_count(in->data + in->start, in->size, channel->max) : 0;
}

/* ---- What it reads ---- */

/* What came next would be taken for the rest of a datagram, which is lost: the program reads the
 * end instead. What it has written, and may go on to write, is sent. */
static void lose_rest(struct channel *channel)
{
	shutdown(channel->fd, SHUT_WR);
	rest_clear(&channel->out);
}

/* Without room the rest stays. */
static void finish(struct channel *channel)
{
	struct rest *out = &channel->out;

	while (out->size) {
		ssize_t n = send(channel->fd, out->data + out->start, out->size,
			MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			lose_rest(channel);
			return;
		}
		out->start += (size_t)n;
		out->size -= (size_t)n;
	}
	rest_clear(out);
}

/* The datagrams of which the first size bytes were written. The rest of the last one is left in
 * out. */
static unsigned settle(struct channel *channel, const struct iovec *vectors, size_t size)
{
	unsigned count = 0;
	size_t whole = 0, length = 0;

	for (; whole < size; count++, whole += length)
		length = vectors[2 * count].iov_len + vectors[2 * count + 1].iov_len;
	if (whole > size &&
		rest_set(&channel->out, &vectors[2 * count - 2], length - (whole - size)) < 0)
		lose_rest(channel);
	return count;
}

static unsigned write_stream(struct channel *channel, const struct iovec *payloads, unsigned count)
{
	struct iovec vectors[2 * BATCH_MAX];
	uint32_t lengths[BATCH_MAX];
	struct msghdr message = {.msg_iov = vectors, .msg_iovlen = 2 * (size_t)count};
	ssize_t n;

	finish(channel);
	if (channel->out.size)
		return 0;
	for (unsigned i = 0; i < count; i++) {
		lengths[i] = htonl((uint32_t)payloads[i].iov_len);
		vectors[2 * i] = (struct iovec){&lengths[i], sizeof(lengths[i])};
		vectors[2 * i + 1] = payloads[i];
	}
	n = sendmsg(channel->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	channel->reads_no_more |= n < 0 && errno == EPIPE;
	if (n <= 0)
		return 0;
	channel->gap = 0;
	return settle(channel, vectors, (size_t)n);
}

const struct socket_kind stream_kind = {
	.type = SOCK_STREAM,
	.suffix = STREAM_SUFFIX,
	.read = read_stream,
	.write = write_stream,
	.finish = finish,
	.waiting = waiting,
};
