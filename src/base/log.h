/* The daemon's own log: one line a message on stderr, with the "<N>" priority prefix of
 * sd-daemon(3) when stderr is the journal. Never blocks: what stderr cannot take at once is
 * counted and said later. Safe from any thread. */
#pragma once

#include <stdint.h>
#include <syslog.h>

#include "base/cleanup.h"
#include "base/journal.h"
#include "base/messages.h"

/* Looks at what stderr is. Call it once, before any thread starts. */
void log_open(void);

/* level is one of syslog(3). fields are for what the journal's catalog explains, and NULL for the
 * rest; anywhere else than in the journal they are not written. */
void log_event(int level, const struct log_fields *fields, const char *format, ...)
	PRINTF_LIKE(3, 4);

#define log_message(level, ...) log_event(level, NULL, __VA_ARGS__)
#define log_error(...) log_message(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_message(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_message(LOG_INFO, __VA_ARGS__)

/* Lets one message through a period, so that a fault that repeats with every datagram stays one
 * line. One for each place that may repeat; not shared between threads. */
struct log_limit {
	uint64_t next_ns;
};

/* Whether a message may be written now. */
_Bool log_limit_pass(struct log_limit *limit);
