/* A time on the command line of mcastctl replay, which is looked for in a capture. */
#pragma once

#include <stdint.h>

struct when {
	enum {
		WHEN_ABSOLUTE,
		WHEN_OF_DAY, /* of the day, in local time, on which the capture begins */
		WHEN_AFTER_BEGIN,
	} kind;
	uint64_t ns; /* since the epoch, since midnight or since the capture's first packet */
};

/* Reads "2026-11-24T20:15:00.5Z", also with an offset like +01:00 or +0100, and with a blank for
 * the T (RFC 3339); without offset it is local time, and seconds or all of the time may be left
 * out; "20:15" or "20:15:30"; "+5m" as parse_duration(). Returns 0, -EINVAL, -EDOM where the
 * calendar has no such day, or -ERANGE where that day has no such time, as clocks were set forward.
 */
int when_parse(const char *string, struct when *ret);

/* The time since the epoch, for a capture whose first packet has that timestamp. */
uint64_t when_resolve(const struct when *when, uint64_t begin_ns);

/* The same of two, of which one is the first and the other the end. Two times of day are those of
 * the first such span that ends after the capture begins: it may go over midnight. */
void when_resolve_span(const struct when *from, const struct when *to, uint64_t begin_ns,
	uint64_t *ret_from_ns, uint64_t *ret_to_ns);
