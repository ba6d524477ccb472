/* The log of the process: one line per message on stderr, with the "<N>" priority prefix of
 * sd-daemon(3) if stderr is the journal. Never blocks: lines for which stderr has no room are
 * counted, and the number is logged later. Safe from any thread. */
#pragma once

#include <stdint.h>
#include <syslog.h>

#include "base/errors.h"

/* The kinds of messages that systemd/mcastd.catalog explains ("journalctl -x"). An id never
 * changes.
 */
#define MESSAGE_DATAGRAM "39633774bfd14e6c9a1478d2c0dd0d20" /* of a handler of type journal */
#define MESSAGE_STARTED "aaab786656304b2e83984e4c72416e92"
#define MESSAGE_RESTORED "61f79516feee48bcb15b48af0f847f33"
#define MESSAGE_RELOADED "c1bdce7bbd2d43c080957dfeecc24c46"
#define MESSAGE_RELOAD_FAILED "71bd8a6effd64eed9fb53315fe1033cc"
#define MESSAGE_JOINED "48ade7c0a2cc4716baa3ab3315c2fa4b"
#define MESSAGE_WAITING "fb658578d5304ea784e4b172c2ef849e"
#define MESSAGE_LEFT "b1f0c3c94ad04f62a1d6f6f1f5a7c7e2"
#define MESSAGE_NOT_JOINED "80208d4064ac4db5807e7b41c1a545d9"
#define MESSAGE_FORGOTTEN "97df48829e91419d891e63ae1239230f"
#define MESSAGE_OUTAGE "9328f6250a0b405d854729690e5189b8"
#define MESSAGE_OUTAGE_ENDED "26f16208616e4c92aa0daf5fb784c037"
#define MESSAGE_RELAY_LOOP "669c191d0be24861a361991c901a2ca3"
#define MESSAGE_SAME_NETWORK_TWICE "8a898276d1be4d76b1975e97a4fde2f3"
#define MESSAGE_LOSS "300f3d9bf15b49e6a68478aad6c83885"
#define MESSAGE_REORDER "de55398bdca241cfacbc7520bcfa9638"
#define MESSAGE_DUPLICATES "4ff3a66137364dcbb20b996b1bd9322d"
#define MESSAGE_RATE "fa402a1c4c0744edb4aa57a1eba25055"
#define MESSAGE_UNKNOWN_SENDER "e46998c0693f4dbf86d6ebf8b19ac4e1"
#define MESSAGE_SENDER_CONFLICT "2e22a6f0c41a4fee9bae1db924c880e2"
#define MESSAGE_MERGE_LEG_SILENT "6cae7fe9d7e54c8aa5113e55e329b255"
#define MESSAGE_SILENCE "8426397e6ad946299bcf0c63aa745f13"
#define MESSAGE_NOTHING "2b70083650194a7e8c8e5ede8798b119"
#define MESSAGE_SUPPRESSED "87e918b5d60748f0a606b60aa671b2f7"

/* Fields of an entry in the journal besides its text; each may be NULL. */
struct log_fields {
	const char *message_id; /* MESSAGE_... */
	const char *group, *interface, *handler; /* what it is about */
};

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Finds out what stderr is. To be called once, before any thread starts. */
void log_open(void);

/* From now on, messages that are no errors are left out: for a process that only tries what another
 * one is to do. To be called like log_open(). */
void log_errors_only(void);

/* level is one of syslog(3). fields are for messages that the journal's catalog explains, else
 * NULL. They are written to the journal only. */
void log_event(int level, const struct log_fields *fields, const char *format, ...)
	PRINTF_LIKE(3, 4);

#define log_message(level, ...) log_event(level, NULL, __VA_ARGS__)
#define log_error(...) log_message(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_message(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_message(LOG_INFO, __VA_ARGS__)

/* Logs each line, and how many were left out. */
void log_lines(int level, const struct errors *lines);

/* Passes one message per 10 s, for faults that may repeat with every datagram. One for each kind of
 * message; not shared between threads. */
struct log_limit {
	uint64_t next_ns;
};

/* Whether a message may be logged now. */
_Bool log_limit_pass(struct log_limit *limit);
