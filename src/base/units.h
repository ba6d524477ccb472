/* Sizes and durations as people write them: "4M", "250ms". In the configuration they are strings,
 * because integers overflow silently in libconfig. */
#pragma once

#include <stdint.h>

/* "65536", "64K", "4M", "1G": powers of 1024. Returns 0, or -EINVAL when it is not one, or
 * -ERANGE past 1 TiB. Writes *ret_bytes on success only. */
int parse_size(const char *string, uint64_t *ret_bytes);

/* "250ms", "5s", "10m", "2h", "1d", also "us" and "ns". A number other than 0 needs a unit. Returns
 * 0, -EINVAL, or -ERANGE past 10 years. */
int parse_duration(const char *string, uint64_t *ret_ns);

/* A number per period: "1000/s", "30/m", "5/h". Returns 0, -EINVAL, or -ERANGE outside of 1/d to
 * 1000000000/s. Writes the nanoseconds from one to the next. */
int parse_rate(const char *string, uint64_t *ret_interval_ns);

/* A decimal number without sign and without anything behind it. Returns 0, -EINVAL, or -ERANGE past
 * max. */
int parse_number(const char *string, uint64_t max, uint64_t *ret_number);

#define UNIT_STRING_MAX 24

/* The shortest exact form of a size: 4194304 is "4M". */
const char *format_size(uint64_t bytes, char string[static UNIT_STRING_MAX]);

/* The shortest exact form of a duration: 90000000000 is "90s", and 0 is "0". */
const char *format_duration(uint64_t ns, char string[static UNIT_STRING_MAX]);
