/* What is sent: read from a file, and written as a parameter of Send. */
#pragma once

#include <stddef.h>

#include "base/text.h"
#include "net/address.h"

/* The largest UDP payload, which is one of IPv6: 65,535 less the UDP header. IPv4 takes
 * DATAGRAM_MAX.
 */
#define DATAGRAM_MAX 65527

/* Appends the payload as a member "text" where it is valid UTF-8, else "base64"; also where its
 * escapes would make the parameters in text larger than one message. */
void payload_put(struct text *text, const void *data, size_t size);

/* Reads once, up to DATAGRAM_MAX + 1 bytes. Returns 1; 0 at the end; or a negative errno of
 * read(2). */
int payload_read_some(int fd, struct text *text);

/* Reads to the end. Returns 0; -EFBIG past DATAGRAM_MAX; or a negative errno of read(2). */
int payload_read(int fd, struct text *text);
