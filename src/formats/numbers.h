/* The numbers in a datagram, by which a receiver sees what it lacks. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/numbering.h"

struct numbers {
	/* Tells the streams of one sender apart: the SSRC, the session; else zero. */
	uint64_t stream[2];
	uint64_t first;
	uint32_t count; /* 0: none are in it, and the next one will be first */
	uint32_t timestamp; /* NUMBERING_RTP: in units of the payload's own clock */
};

/* Returns whether the payload has such numbers. Not for NUMBERING_MPEG_TS (formats/mpeg_ts.h). */
bool numbers_read(const struct numbering *numbering, const uint8_t *payload, size_t size,
	struct numbers *ret);

/* How many bytes of a payload numbers_read() looks at, at most, and of NUMBERING_MPEG_TS all. */
size_t numbers_reach(const struct numbering *numbering);

/* The stream as people know it: the SSRC in hexadecimal, the session as text. */
struct text;
void numbers_append_stream(
	const struct numbering *numbering, const uint64_t stream[static 2], struct text *text);
