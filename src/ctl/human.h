/* Numbers for people. Where a program reads on, it takes --json. */
#pragma once

#include <stdint.h>

#include "base/text.h"

/* "812", "1.2K", "34M": powers of 1024, rounded down. */
void text_append_size(struct text *text, uint64_t bytes);

/* Reads "2026-11-24T19:33:19.123456789Z", the fraction may be absent. In nanoseconds since the
 * epoch. Returns 0 or -EINVAL. */
int parse_timestamp(const char *string, uint64_t *ret_ns);

/* How long before now_ns that was: "now", "3s ago", "5m ago", "2h ago", "12d ago". What is not a
 * timestamp stands as it is. */
void text_append_age(struct text *text, const char *timestamp, uint64_t now_ns);

/* How long that is: "0ms", "250ms", "1.2s", "59s", "5m", "2h", "12d", rounded down. */
void text_append_wait(struct text *text, double seconds);
