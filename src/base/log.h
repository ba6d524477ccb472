/* The log of the process: one line per message on stderr, with the "<N>" priority prefix of
 * sd-daemon(3) if stderr is the journal. Never blocks: lines for which stderr has no room are
 * counted, and the number is logged later. Safe from any thread. */
#pragma once

#include <stdint.h>
#include <syslog.h>

#include "base/cleanup.h"
#include "base/journal.h"
#include "base/messages.h"

/* Finds out what stderr is. To be called once, before any thread starts. */
void log_open(void);

/* level is one of syslog(3). fields are for messages that the journal's catalog explains, else
 * NULL. They are written to the journal only. */
void log_event(int level, const struct log_fields *fields, const char *format, ...)
	PRINTF_LIKE(3, 4);

#define log_message(level, ...) log_event(level, NULL, __VA_ARGS__)
#define log_error(...) log_message(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_message(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_message(LOG_INFO, __VA_ARGS__)

/* Passes one message per 10 s, for faults that may repeat with every datagram. One for each kind of
 * message; not shared between threads. */
struct log_limit {
	uint64_t next_ns;
};

/* Whether a message may be logged now. */
_Bool log_limit_pass(struct log_limit *limit);
