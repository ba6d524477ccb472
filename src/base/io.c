#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <unistd.h>

#include "base/cleanup.h"

#define READ_CHUNK 65536

int occupy_standard_streams(void)
{
	static const int modes[] = {
		[STDIN_FILENO] = O_WRONLY, [STDOUT_FILENO] = O_RDONLY, [STDERR_FILENO] = O_RDONLY};

	for (int fd = 0; fd < (int)ARRAY_SIZE(modes); fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) < 0)
			return -errno;
	return 0;
}

int write_all(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size) {
		ssize_t n = write(fd, at, size);

		if (n < 0 && errno == EAGAIN) {
			/* A process that shares our stdout or stderr made it non-blocking. */
			poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

int read_at(int fd, void *data, size_t size, uint64_t offset)
{
	char *at = data;

	while (size) {
		ssize_t n = pread(fd, at, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
		size -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int find_data_end(int fd, uint64_t from, uint64_t size, uint64_t *ret_end)
{
	char chunk[4096];

	while (size > from) {
		size_t length = size - from < sizeof(chunk) ? size - from : sizeof(chunk);
		size_t rest = length;
		int r = read_at(fd, chunk, length, size - length);

		if (r < 0)
			return r;
		while (rest && !chunk[rest - 1])
			rest--;
		size -= length - rest;
		if (rest)
			break;
	}
	*ret_end = size;
	return 0;
}

int read_all(int fd, size_t max, struct text *text)
{
	ssize_t n = 1;

	while (n > 0) {
		char *room = text_reserve(text, READ_CHUNK);

		if (!room)
			return -ENOMEM;
		n = read(fd, room, READ_CHUNK);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			return -errno;
		else
			text->length += (size_t)n;
		if (text->length > max)
			return -EFBIG;
	}
	return 0;
}

int read_file(const char *path, size_t max, struct text *text)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : read_all(fd, max, text);
}

int64_t read_number(const char *path, int64_t otherwise)
{
	CLEANUP(fclosep) FILE *file = fopen(path, "re");
	int64_t value;

	return file && fscanf(file, "%" SCNd64, &value) == 1 ? value : otherwise;
}
