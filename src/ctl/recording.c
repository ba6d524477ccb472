#include "ctl/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/param.h>
#include <sys/stat.h>

/* Twice the largest record, so that the rest of one is rarely moved to the front. */
#define BUFFER_SIZE (2 * (size_t)PACKET_RECORD_MAX)

/* Bytes read at a time: enough for the kernel's read-ahead to hide a slow disk. */
#define READ_SIZE ((size_t)256 * 1024)

/* The bytes there are to read; of a stream, UINT64_MAX. */
static uint64_t measure(int fd)
{
	struct stat status;
	off_t here = lseek(fd, 0, SEEK_CUR);

	if (here < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
		return UINT64_MAX;
	return status.st_size > here ? (uint64_t)(status.st_size - here) : 0;
}

int recording_open(struct recording *ret, const char *path)
{
	*ret = (struct recording){.fd = -1};
	ret->buffer = malloc(BUFFER_SIZE);
	if (!ret->buffer)
		return -ENOMEM;
	ret->fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
				    : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	if (ret->fd < 0)
		return -errno;
	ret->can_rewind = lseek(ret->fd, 0, SEEK_CUR) >= 0;
	ret->size = measure(ret->fd);
	return 0;
}

void recording_clear(struct recording *recording)
{
	if (recording->buffer)
		closep(&recording->fd);
	free(recording->buffer);
	capture_clear(&recording->parser);
	reassembly_clear(&recording->reassembly);
	*recording = (struct recording){.fd = -1};
}

static void consume(struct recording *recording, size_t size)
{
	recording->start += size;
	recording->offset += size;
}

/* Skips what was read of a record that is not parsed. Returns whether that was the rest of it. */
static bool discard(struct recording *recording)
{
	size_t here = recording->end - recording->start;
	size_t size = recording->to_discard < here ? (size_t)recording->to_discard : here;

	consume(recording, size);
	recording->to_discard -= size;
	return !recording->to_discard;
}

static int fail(struct recording *recording, const char *why)
{
	recording->why = why;
	return why ? -EBADMSG : -ENOMEM;
}

/* The file has ended. Returns 0 or -EBADMSG. */
static int end(struct recording *recording)
{
	size_t rest = recording->end - recording->start;
	const char *why = recording->to_discard
				  ? "the last block is cut short"
				  : capture_end(&recording->parser,
					    recording->buffer + recording->start, rest);

	return why ? fail(recording, why) : 0;
}

/* No more is read: what is not whole will not be. */
static void drop_incomplete(struct recording *recording)
{
	reassembly_end(&recording->reassembly);
	recording->skipped[DISSECT_FRAGMENT] = recording->reassembly.incomplete;
}

static void note_link(struct recording *recording, uint16_t link_type)
{
	for (size_t i = 0; i < recording->unknown_link_count; i++)
		if (recording->unknown_links[i] == link_type)
			return;
	if (recording->unknown_link_count < UNKNOWN_LINKS_MAX)
		recording->unknown_links[recording->unknown_link_count++] = link_type;
}

/* Without a checksum, only the time shows whether fragments may be of one datagram. */
static bool is_doubtful(const struct recording *recording, const struct recorded *whole)
{
	return !whole->datagram.is_verified && recording->reassembly.took_ns > REASSEMBLY_APART_NS;
}

/* Returns whether that made a datagram, -EBADMSG where it is rejected, or -ENOMEM. */
static int take_fragment(
	struct recording *recording, const struct captured_packet *packet, struct recorded *ret)
{
	enum dissect_result result;
	const uint8_t *data;
	size_t size;
	int r = reassembly_take(&recording->reassembly, &ret->datagram, packet->interface,
		ret->timestamp_ns, &data, &size);

	if (r <= 0)
		return r;
	result = dissect_whole(data, size, &ret->datagram);
	if (result == DISSECT_FRAGMENT || (result == DISSECT_UDP && is_doubtful(recording, ret))) {
		reassembly_reject(&recording->reassembly);
		return -EBADMSG;
	}
	if (result != DISSECT_UDP)
		recording->skipped[result]++;
	return result == DISSECT_UDP;
}

/* Returns whether that made a datagram, or -ENOMEM. */
static int put_together(
	struct recording *recording, const struct captured_packet *packet, struct recorded *ret)
{
	const struct dissected part = ret->datagram;
	int r = take_fragment(recording, packet, ret);

	/* Of what is rejected, the last fragment may be the first one of the next datagram. */
	if (r == -EBADMSG) {
		ret->datagram = part;
		r = take_fragment(recording, packet, ret);
	}
	recording->skipped[DISSECT_FRAGMENT] = recording->reassembly.incomplete;
	if (r == -ENOMEM)
		return fail(recording, NULL);
	return r == 1;
}

static void note_time(struct recording *recording, uint64_t timestamp_ns)
{
	recording->last_ns = timestamp_ns;
	if (!recording->has_begun)
		recording->begin_ns = recording->earliest_ns = recording->latest_ns = timestamp_ns;
	recording->has_begun = true;
	recording->earliest_ns = MIN(recording->earliest_ns, timestamp_ns);
	recording->latest_ns = MAX(recording->latest_ns, timestamp_ns);
}

/* Returns 1 when the packet is a datagram, or its last fragment; 0; or an error. */
static int take_packet(
	struct recording *recording, const struct captured_packet *packet, struct recorded *ret)
{
	enum dissect_result result = dissect(packet, &ret->datagram);

	recording->packets++;
	if (packet->is_timed)
		note_time(recording, packet->timestamp_ns);
	ret->timestamp_ns = recording->last_ns;
	ret->is_timed = recording->has_begun;
	if (result == DISSECT_UDP)
		return 1;
	if (result == DISSECT_FRAGMENT)
		return put_together(recording, packet, ret);
	if (result == DISSECT_LINK)
		note_link(recording, packet->link_type);
	recording->skipped[result]++;
	return 0;
}

/* One record. Returns 1 with a datagram, 0 when it has none, or an error of recording_next(). */
static int take_record(struct recording *recording, struct recorded *ret)
{
	struct captured_packet packet;
	size_t size;

	switch (capture_next(&recording->parser, recording->buffer + recording->start,
		recording->end - recording->start, &size, &packet)) {
	case PACKET_MORE:
		return -EAGAIN;
	case PACKET_BAD:
		return fail(recording, recording->parser.why);
	case PACKET_READ:
		consume(recording, size);
		return take_packet(recording, &packet, ret);
	case PACKET_NONE:
		break;
	}
	recording->to_discard = size;
	return 0;
}

int recording_next(struct recording *recording, struct recorded *ret)
{
	int r = 0;

	while (r == 0) {
		if (!discard(recording))
			r = -EAGAIN;
		else
			r = take_record(recording, ret);
	}
	if (r == -EAGAIN && recording->ended)
		r = end(recording);
	if (r != 1 && r != -EAGAIN)
		drop_incomplete(recording);
	return r;
}

int recording_fill(struct recording *recording)
{
	size_t rest = recording->end - recording->start, room;
	ssize_t n;

	/* There is always room for the largest record. */
	if (BUFFER_SIZE - recording->start < PACKET_RECORD_MAX) {
		memmove(recording->buffer, recording->buffer + recording->start, rest);
		recording->start = 0;
		recording->end = rest;
	} else if (!rest) {
		recording->start = recording->end = 0;
	}
	room = MIN(BUFFER_SIZE - recording->end,
		MIN(READ_SIZE, recording->size - recording->offset - rest));
	n = read(recording->fd, recording->buffer + recording->end, room);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	recording->end += (size_t)n;
	recording->ended = n == 0;
	return 0;
}

int recording_rewind(struct recording *recording)
{
	if (lseek(recording->fd, 0, SEEK_SET) < 0)
		return -errno;
	capture_clear(&recording->parser);
	recording->start = recording->end = 0;
	recording->offset = recording->to_discard = 0;
	recording->ended = recording->has_begun = false;
	recording->last_ns = 0;
	return 0;
}
