/* Writing to the journal without ever waiting for it: sd_journal_send(3) blocks for as long as
 * journald does. Its protocol is one datagram of "FIELD=value" lines
 * (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/). */
#pragma once

#include <stddef.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* What an entry has beside its text; members may be NULL. */
struct log_fields {
	const char *message_id; /* of base/messages.h */
	const char *group, *interface, *handler; /* that it is about */
};

/* line is what would be written to stderr: "<N>", the text, and a line feed. Returns 0, or a
 * negative errno when the journal does not take it at once. */
int journal_write(int level, const struct log_fields *fields, const char *line, size_t length);
