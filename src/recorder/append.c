/* Appending to a recorder's file so that it ends in a whole record, whatever fails on the way. */
#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "recorder/file.h"

/* Takes back what is beyond size. When even that fails, it is done before the next time that
 * something is written. */
static int cut(struct recorder_file *file, uint64_t size)
{
	file->whole = size;
	file->torn = ftruncate(file->fd, (off_t)size) < 0;
	if (file->torn)
		return -errno;
	file->size = size;
	return 0;
}

bool recorder_file_was_cut(const struct recorder_file *file)
{
	struct stat status;

	return file->regular && !file->torn && fstat(file->fd, &status) == 0 &&
	       (uint64_t)status.st_size < file->size;
}

int recorder_file_prepare(struct recorder_file *file)
{
	struct stat status;

	if (!file->regular)
		return 0;
	if (fstat(file->fd, &status) < 0)
		return -errno;
	file->size = (uint64_t)status.st_size;
	file->modified_ns = timespec_ns(&status.st_mtim);
	return file->torn && file->size > file->whole ? cut(file, file->whole) : 0;
}

/* Writes as much as goes, and returns how much that was. *ret_error is why it was not all, or 0. */
static size_t write_some(int fd, const char *data, size_t size, int *ret_error)
{
	size_t written = 0;

	*ret_error = 0;
	while (written < size) {
		ssize_t n = write(fd, data + written, size - written);

		if (n > 0) {
			written += (size_t)n;
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			*ret_error = n ? -errno : -EIO;
			break;
		} else if (errno == EAGAIN) {
			poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1); /* a terminal */
		}
	}
	return written;
}

int recorder_file_append(struct recorder_file *file, const char *data, size_t size,
	const uint32_t *ends, unsigned count, bool sync, unsigned *ret_written)
{
	uint64_t before = file->size;
	size_t written;
	int r;

	written = write_some(file->fd, data, size, &r);
	if (r >= 0 && sync && file->regular && fdatasync(file->fd) < 0) {
		/* Nobody knows what of it is on the disk. */
		r = -errno;
		written = 0;
	}
	file->size += written;
	while (r < 0 && count && ends[count - 1] > written)
		count--;
	*ret_written = count;
	if (r < 0 && file->regular)
		cut(file, before + (count ? ends[count - 1] : 0));
	return r;
}
