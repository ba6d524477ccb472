/* Reading and writing all of it, however many calls it takes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Writes all bytes, however many calls it takes; waits where fd is non-blocking. Returns 0, or a
 * negative errno after a part may have been written. For threads that may block. */
int write_all(int fd, const void *data, size_t size);

/* Reads all bytes from one place of a file (pread(2)). Returns 0, or a negative errno: -EIO where
 * the file ends before. */
int read_at(int fd, void *data, size_t size, uint64_t offset);
