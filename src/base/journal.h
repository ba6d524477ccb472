/* Writing to the journal without waiting: sd_journal_send(3) blocks while journald does not read.
 * The protocol is one datagram of "FIELD=value" lines
 * (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/). */
#pragma once

#include <stddef.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Fields of an entry besides its text; each may be NULL. */
struct log_fields {
	const char *message_id; /* of base/messages.h */
	const char *group, *interface, *handler; /* what it is about */
};

/* line is "<N>", the text, and a line feed, as for stderr. Returns 0 or a negative errno, -EAGAIN
 * if the journal has no room. */
int journal_write(int level, const struct log_fields *fields, const char *line, size_t length);
