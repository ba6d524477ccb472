#include "ctl/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/param.h>
#include <sys/stat.h>

/* Twice the largest block, so that the rest of a block is rarely moved to the front. */
#define BUFFER_SIZE (2 * (size_t)PCAPNG_BLOCK_MAX)

/* Bytes read at a time: enough for the kernel's read-ahead to hide a slow disk. */
#define READ_SIZE ((size_t)256 * 1024)

const struct skip_name skip_names[SKIP_REASONS] = {
	[DISSECT_NOT_UDP] = {"not UDP", "notUdp"},
	[DISSECT_FRAGMENT] = {"fragmented", "fragmented"},
	[DISSECT_CUT] = {"not captured as a whole", "cut"},
	[DISSECT_BROKEN] = {"with broken headers", "broken"},
	[DISSECT_LINK] = {"of a link type that is not supported", "link"},
	[SKIP_UNTIMED] = {"without a timestamp", "untimed"},
};

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
	ret->size = measure(ret->fd);
	return 0;
}

void recording_clear(struct recording *recording)
{
	if (recording->buffer)
		closep(&recording->fd);
	free(recording->buffer);
	pcapng_clear(&recording->parser);
	*recording = (struct recording){.fd = -1};
}

static void consume(struct recording *recording, size_t size)
{
	recording->start += size;
	recording->offset += size;
}

/* Skips what was read of a block that is not parsed. Returns whether that was the rest of it. */
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
				  : pcapng_end(&recording->parser,
					    recording->buffer + recording->start, rest);

	return why ? fail(recording, why) : 0;
}

/* Returns 1 when the packet is a datagram. */
static int take_packet(
	struct recording *recording, const struct pcapng_packet *packet, struct recorded *ret)
{
	enum dissect_result result = dissect(
		packet->link_type, packet->data, packet->size, &ret->payload);

	if (result == DISSECT_UDP) {
		ret->timestamp_ns = packet->timestamp_ns;
		return 1;
	}
	recording->skipped[result]++;
	return 0;
}

/* One block. Returns 1 with a datagram, 0 when it has none, or an error of recording_next(). */
static int take_block(struct recording *recording, struct recorded *ret)
{
	struct pcapng_packet packet;
	size_t size;

	switch (pcapng_next(&recording->parser, recording->buffer + recording->start,
		recording->end - recording->start, &size, &packet)) {
	case PCAPNG_MORE:
		return -EAGAIN;
	case PCAPNG_BAD:
		return fail(recording, recording->parser.why);
	case PCAPNG_PACKET:
		consume(recording, size);
		return take_packet(recording, &packet, ret);
	case PCAPNG_UNTIMED:
		recording->skipped[SKIP_UNTIMED]++;
		break;
	case PCAPNG_OTHER:
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
			r = take_block(recording, ret);
	}
	return r == -EAGAIN && recording->ended ? end(recording) : r;
}

int recording_fill(struct recording *recording)
{
	size_t rest = recording->end - recording->start, room;
	ssize_t n;

	/* There is always room for the largest block. */
	if (BUFFER_SIZE - recording->start < PCAPNG_BLOCK_MAX) {
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
	pcapng_clear(&recording->parser);
	recording->start = recording->end = 0;
	recording->offset = recording->to_discard = 0;
	recording->ended = false;
	return 0;
}
