/* Writing all of it. */
#pragma once

#include <stddef.h>

/* Writes all bytes, however many calls it takes; waits where fd is non-blocking. Returns 0, or a
 * negative errno after a part may have been written. For threads that may block. */
int write_all(int fd, const void *data, size_t size);
