/* Reading and writing completely, with as many calls as that takes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* Writes all bytes; waits if fd is non-blocking, so only for threads that may block. Returns 0, or
 * a negative errno after a part may have been written. */
int write_all(int fd, const void *data, size_t size);

/* Reads all bytes at an offset of a file (pread(2)). Returns 0, or a negative errno: -EIO if the
 * file ends before. */
int read_at(int fd, void *data, size_t size, uint64_t offset);

/* Appends what can be read until the end. Returns 0 or a negative errno: -EFBIG where the text
 * would become longer than max bytes. */
int read_all(int fd, size_t max, struct text *text);

/* The same for a file by its path, such as one of /proc. */
int read_file(const char *path, size_t max, struct text *text);

/* The number at the start of a file, as sysctls have it in /proc/sys; otherwise where there is
 * none.
 */
int64_t read_number(const char *path, int64_t otherwise);
