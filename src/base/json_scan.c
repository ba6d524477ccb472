#include "base/json_scan.h"

#include <string.h>

#include "base/codec.h"

static const char escape_letters[] = "\"\\/bfnrt", escape_bytes[] = "\"\\/\b\f\n\r\t";

/* ---- Strings ---- */

/* The UTF-16 unit of the escape \uXXXX; -1: it is none. */
static int32_t unit_at(const char *at, const char *end)
{
	int high, low;

	if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
		return -1;
	high = hex_byte(at + 2);
	low = hex_byte(at + 4);
	return high < 0 || low < 0 ? -1 : high << 8 | low;
}

static bool is_high_surrogate(int32_t unit)
{
	return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_low_surrogate(int32_t unit)
{
	return unit >= 0xdc00 && unit < 0xe000;
}

/* The length of an escape in bytes; 0: it is not valid. */
static size_t escape_length(const char *at, const char *end)
{
	int32_t unit;

	if (end - at >= 2 && at[1] && strchr(escape_letters, at[1]))
		return 2;
	unit = unit_at(at, end);
	if (is_high_surrogate(unit))
		return is_low_surrogate(unit_at(at + 6, end)) ? 12 : 0;
	return unit < 0 || is_low_surrogate(unit) ? 0 : 6;
}

const char *scan_escape(const char *at, uint32_t *ret_code)
{
	const char *letter = strchr(escape_letters, at[1]);
	uint32_t unit;

	if (letter) {
		*ret_code = (unsigned char)escape_bytes[letter - escape_letters];
		return at + 2;
	}
	unit = (uint32_t)unit_at(at, at + 6);
	if (!is_high_surrogate((int32_t)unit)) {
		*ret_code = unit;
		return at + 6;
	}
	*ret_code = 0x10000 + ((unit & 0x3ff) << 10 | ((uint32_t)unit_at(at + 6, at + 12) & 0x3ff));
	return at + 12;
}

bool scan_string(struct scan *scan, struct scanned *ret)
{
	const char *start = scan->at + 1, *at = start;

	if (scan->at == scan->end || *scan->at != '"')
		return false;
	for (; at < scan->end && *at != '"'; at++) {
		size_t length;

		if ((unsigned char)*at < 0x20)
			return false;
		if (*at != '\\')
			continue;
		length = escape_length(at, scan->end);
		if (!length)
			return false;
		at += length - 1;
	}
	if (at == scan->end)
		return false;
	*ret = (struct scanned){start, (size_t)(at - start)};
	scan->at = at + 1;
	return true;
}

/* ---- Other values ---- */

static bool scan_word(struct scan *scan, const char *word)
{
	size_t size = strlen(word);

	if ((size_t)(scan->end - scan->at) < size || memcmp(scan->at, word, size))
		return false;
	scan->at += size;
	return true;
}

static bool scan_one_of(struct scan *scan, const char *characters)
{
	if (scan->at == scan->end || !*scan->at || !strchr(characters, *scan->at))
		return false;
	scan->at++;
	return true;
}

static bool scan_digits(struct scan *scan)
{
	const char *start = scan->at;

	while (scan_one_of(scan, "0123456789"))
		;
	return scan->at > start;
}

static bool scan_number(struct scan *scan)
{
	scan_one_of(scan, "-");
	if (!scan_one_of(scan, "0") && !scan_digits(scan))
		return false;
	if (scan_one_of(scan, ".") && !scan_digits(scan))
		return false;
	if (!scan_one_of(scan, "eE"))
		return true;
	scan_one_of(scan, "+-");
	return scan_digits(scan);
}

/* Consumes what stands within the brackets, and the closing one. */
static bool scan_items(struct scan *scan, unsigned depth, char closing)
{
	struct scanned ignored;

	if (scan_character(scan, closing))
		return true;
	do {
		if (closing == '}' && (!scan_string(scan, &ignored) || !scan_character(scan, ':')))
			return false;
		if (!scan_value(scan, depth, &ignored))
			return false;
	} while (scan_character(scan, ','));
	return scan_character(scan, closing);
}

static bool scan_any(struct scan *scan, unsigned depth)
{
	struct scanned string;

	switch (scan->at < scan->end ? *scan->at : '\0') {
	case '"':
		return scan_string(scan, &string);
	case '{':
	case '[':
		return depth < SCAN_DEPTH &&
		       scan_items(scan, depth + 1, *scan->at++ == '{' ? '}' : ']');
	case 't':
		return scan_word(scan, "true");
	case 'f':
		return scan_word(scan, "false");
	case 'n':
		return scan_word(scan, "null");
	default:
		return scan_number(scan);
	}
}

bool scan_value(struct scan *scan, unsigned depth, struct scanned *ret)
{
	const char *start = scan->at;

	if (!scan_any(scan, depth))
		return false;
	*ret = (struct scanned){start, (size_t)(scan->at - start)};
	return true;
}
