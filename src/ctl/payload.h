/* What Send takes, and where it comes from. */
#pragma once

#include <stddef.h>

#include "base/text.h"
#include "net/address.h"

/* Appends the parameters of Send: head is an object without its closing brace. The payload is sent
 * as text where it is valid UTF-8, else as base64; also where its escapes would not fit into one
 * message. */
void payload_append_parameters(
	struct text *text, const struct text *head, const void *data, size_t size);

/* Reads all of fd, which is not too much. Returns 0; -EFBIG past DATAGRAM_MAX; a negative errno of
 * read(2). */
int payload_read(int fd, struct text *ret);
