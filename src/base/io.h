/* Reading and writing completely, with as many calls as that takes; waiting for either; and the
 * standard streams. */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/text.h"

/* Opens each standard stream that is closed: otherwise the next descriptor that the process opens
 * would get its number, and what is meant for the stream would go there. It is opened the wrong way
 * round, so that reading or writing it fails, as it should. The first call of main(). Returns 0 or
 * a negative errno. */
int occupy_standard_streams(void);

/* Writes all bytes; waits if fd is non-blocking, so only for threads that may block. Returns 0, or
 * a negative errno after a part may have been written. */
int write_all(int fd, const void *data, size_t size);

/* Reads all bytes at an offset of a file (pread(2)). Returns 0, or a negative errno: -EIO if the
 * file ends before. */
int read_at(int fd, void *data, size_t size, uint64_t offset);

/* Finds where the bytes of a file from one place on end, when the zeros at the end of its size
 * bytes are left out; *ret_end is from where all are zeros. Reads from the end, as far as there are
 * zeros. Returns 0 or a negative errno. */
int find_data_end(int fd, uint64_t from, uint64_t size, uint64_t *ret_end);

/* Appends what can be read until the end. Returns 0 or a negative errno: -EFBIG where the text
 * would become longer than max bytes. */
int read_all(int fd, size_t max, struct text *text);

/* The same for a file by its path, such as one of /proc. */
int read_file(const char *path, size_t max, struct text *text);

/* The number at the start of a file, as sysctls have it in /proc/sys; otherwise where there is
 * none.
 */
int64_t read_number(const char *path, int64_t otherwise);

/* Waits until fd is ready for one of these events (poll(2)), until the time (CLOCK_MONOTONIC), or
 * for a signal. Returns whether it is ready. A negative fd never is. */
static inline bool wait_until_ready(int fd, short events, uint64_t until_ns)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	struct timespec left = ns_timespec(until_ns > now ? until_ns - now : 0);

	return ppoll(&poll_fd, 1, &left, NULL) > 0;
}
