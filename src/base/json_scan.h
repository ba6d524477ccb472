/* JSON (RFC 8259) read from its front, without a tree: a value stays where it is in the text, and a
 * number is not computed, so that no digit of it is lost. Takes no memory, and at most SCAN_DEPTH
 * frames of the stack, for what anybody may have sent and a thread has to read. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Objects and arrays within each other. What is nested deeper is refused. */
#define SCAN_DEPTH 32

/* What is left of the text. */
struct scan {
	const char *at, *end;
};

/* A part of the text. */
struct scanned {
	const char *data; /* NULL: absent */
	size_t size;
};

static inline void scan_blanks(struct scan *scan)
{
	while (scan->at < scan->end &&
		(*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r'))
		scan->at++;
}

/* Consumes the wanted character and the blanks around it. */
static inline bool scan_character(struct scan *scan, char wanted)
{
	scan_blanks(scan);
	if (scan->at == scan->end || *scan->at != wanted)
		return false;
	scan->at++;
	scan_blanks(scan);
	return true;
}

/* Consumes a string. *ret is what stands between its quotes, with its escapes, each of which is
 * valid: half of a surrogate pair is not. Whether it is UTF-8 is up to the caller (utf8_valid()).
 */
bool scan_string(struct scan *scan, struct scanned *ret);

/* Consumes a value, which stands below depth others. *ret is its text, of a string with the quotes.
 */
bool scan_value(struct scan *scan, unsigned depth, struct scanned *ret);

/* The character of a valid escape, and where that ends. */
const char *scan_escape(const char *at, uint32_t *ret_code);
