#include "groups/socket_kind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

void rest_clear(struct rest *rest)
{
	free(rest->data);
	*rest = (struct rest){0};
}

int rest_set(struct rest *rest, const struct iovec pieces[static 2], size_t begin)
{
	size_t first = pieces[0].iov_len, size = first + pieces[1].iov_len - begin;
	size_t from_first = begin < first ? first - begin : 0;
	uint8_t *copy = size ? malloc(size) : NULL;

	if (from_first && copy)
		memcpy(copy, (uint8_t *)pieces[0].iov_base + begin, from_first);
	if (size > from_first && copy)
		memcpy(copy + from_first,
			(uint8_t *)pieces[1].iov_base + pieces[1].iov_len - (size - from_first),
			size - from_first);
	rest_clear(rest);
	if (size && !copy)
		return -ENOMEM;
	*rest = (struct rest){.data = copy, .size = size};
	return 0;
}

void channel_clear(struct channel *channel)
{
	closep(&channel->gap_fd);
	rest_clear(&channel->in);
	rest_clear(&channel->out);
}

/* Maximum number of bytes that wait. */
#define REST_MAX (256 * 1024)

/* What comes before the bytes of both rests. */
struct record {
	uint64_t inode; /* of the socket, which stays the same */
	uint64_t gap;
	uint64_t in, out; /* bytes */
};

static uint64_t inode_of(int fd)
{
	struct stat status;

	return fstat(fd, &status) < 0 ? 0 : (uint64_t)status.st_ino;
}

static struct iovec bytes_of(const struct rest *rest)
{
	return (struct iovec){rest->data + rest->start, rest->size};
}

int channel_save(const struct channel *channel, int file)
{
	struct record record = {.inode = inode_of(channel->fd),
		.gap = channel->gap,
		.in = channel->in.size,
		.out = channel->out.size};
	const struct iovec parts[] = {
		{&record, sizeof(record)}, bytes_of(&channel->in), bytes_of(&channel->out)};
	ssize_t n;

	if (!record.gap && !record.in && !record.out)
		return 0;
	n = writev(file, parts, 3);
	if (n < 0)
		return -errno;
	return (size_t)n == sizeof(record) + record.in + record.out ? 0 : -ENOSPC;
}

static int load_rest(struct rest *rest, int file, off_t offset, size_t size)
{
	rest->data = size ? malloc(size) : NULL;
	if (size && !rest->data)
		return -ENOMEM;
	if (size && pread(file, rest->data, size, offset) != (ssize_t)size)
		return -EIO;
	rest->size = size;
	return 0;
}

int channel_load(struct channel *channel, int file)
{
	uint64_t inode = inode_of(channel->fd);
	struct record record;
	off_t at = 0;

	while (pread(file, &record, sizeof(record), at) == sizeof(record) &&
		record.in <= REST_MAX && record.out <= REST_MAX) {
		at += (off_t)sizeof(record);
		if (record.inode == inode) {
			int r = load_rest(&channel->in, file, at, record.in);

			channel->gap = record.gap;
			return r < 0 ? r
				     : load_rest(&channel->out, file, at + (off_t)record.in,
					       record.out);
		}
		at += (off_t)(record.in + record.out);
	}
	return 0;
}
