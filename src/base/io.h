/* Reading and writing completely, with as many calls as that takes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Writes all bytes; waits if fd is non-blocking, so only for threads that may block. Returns 0, or
 * a negative errno after a part may have been written. */
int write_all(int fd, const void *data, size_t size);

/* Reads all bytes at an offset of a file (pread(2)). Returns 0, or a negative errno: -EIO if the
 * file ends before. */
int read_at(int fd, void *data, size_t size, uint64_t offset);
