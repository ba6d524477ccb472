/* Values as people read them; programs use --json. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

/* "812", "1.2K", "34M": powers of 1024, rounded down. */
void text_append_size(struct text *text, uint64_t bytes);

/* Bytes from elsewhere: as text_append_escaped(), except that a backslash stays single, since
 * people need not read the bytes back. */
void text_append_shown(struct text *text, const char *string, size_t size);

/* Reads "2026-11-24T19:33:19.123456789Z", the fraction may be absent. In nanoseconds since the
 * epoch, UTC. Returns 0 or -EINVAL. */
int parse_timestamp(const char *string, uint64_t *ret_ns);

/* The time from a timestamp to now_ns: "now", "3s ago", "5m ago", "2h ago", "12d ago". What is not
 * a timestamp stands as it is, escaped. */
void text_append_age(struct text *text, const char *timestamp, uint64_t now_ns);

/* A duration: "0ms", "250ms", "1.2s", "59s", "5m", "2h", "12d", rounded down. */
void text_append_wait(struct text *text, double seconds);

/* The same from 1 s on; below it "now". */
void text_append_seconds(struct text *text, uint64_t seconds);

/* A number per second: "0", "0.5", "12", "1.2k", "345M": powers of 1000. */
void text_append_rate(struct text *text, double rate);

/* A number in at most six characters: "0", "99999", "123k". */
void text_append_count(struct text *text, uint64_t count);

/* Columns that a string takes on a terminal; its locale must be one of UTF-8. */
size_t text_columns(const char *string, size_t size);

/* Bytes from elsewhere in exactly this number of columns: escaped, filled up with blanks, or cut,
 * with "~" at the end. */
void text_append_fitted(struct text *text, const char *string, size_t columns, bool is_right);
