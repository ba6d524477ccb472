#include "ctl/human.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "base/clock.h"
#include "base/escape.h"

void text_append_size(struct text *text, uint64_t bytes)
{
	static const char suffixes[] = "KMGTPE";
	const char *suffix = suffixes;
	uint64_t tenths;

	if (bytes < 1024) {
		text_printf(text, "%" PRIu64, bytes);
		return;
	}
	for (; bytes >= 1024 * 1024; bytes /= 1024)
		suffix++;
	tenths = bytes * 10 / 1024;
	if (tenths < 100)
		text_printf(text, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10, tenths % 10, *suffix);
	else
		text_printf(text, "%" PRIu64 "%c", tenths / 10, *suffix);
}

void text_append_shown(struct text *text, const char *string, size_t size)
{
	const char *end = string + size;

	while (string < end) {
		const char *backslash = memchr(string, '\\', (size_t)(end - string));
		size_t run = (size_t)((backslash ? backslash : end) - string);

		text_append_escaped(text, string, run);
		if (backslash)
			text_append(text, "\\", 1);
		string += run + (backslash != NULL);
	}
}

int parse_timestamp(const char *string, uint64_t *ret_ns)
{
	uint64_t ns = 0, unit = NS_PER_S;
	struct tm date = {0};
	time_t seconds;

	string = strptime(string, "%Y-%m-%dT%H:%M:%S", &date);
	if (!string)
		return -EINVAL;
	if (*string == '.') {
		string++;
		for (; *string >= '0' && *string <= '9' && unit >= 10; string++) {
			unit /= 10;
			ns += unit * (uint64_t)(*string - '0');
		}
	}
	seconds = timegm(&date);
	if (strcmp(string, "Z") || seconds < 0 || (uint64_t)seconds >= UINT64_MAX / NS_PER_S)
		return -EINVAL;
	*ret_ns = (uint64_t)seconds * NS_PER_S + ns;
	return 0;
}

/* In the largest unit that says enough. */
static void append_seconds(struct text *text, uint64_t seconds)
{
	static const struct {
		char letter;
		uint64_t seconds, below; /* the unit, and up to how many of them it is used */
	} units[] = {{'s', 1, 60}, {'m', 60, 60}, {'h', 3600, 48}, {'d', 86400, UINT64_MAX}};
	size_t i = 0;

	while (seconds / units[i].seconds >= units[i].below)
		i++;
	text_printf(text, "%" PRIu64 "%c", seconds / units[i].seconds, units[i].letter);
}

void text_append_age(struct text *text, const char *timestamp, uint64_t now_ns)
{
	uint64_t then_ns, seconds;

	if (parse_timestamp(timestamp, &then_ns) < 0) {
		text_append_shown(text, timestamp, strlen(timestamp));
		return;
	}
	seconds = now_ns > then_ns ? (now_ns - then_ns) / NS_PER_S : 0;
	text_append_seconds(text, seconds);
	text_append_string(text, seconds ? " ago" : "");
}

void text_append_seconds(struct text *text, uint64_t seconds)
{
	if (seconds)
		append_seconds(text, seconds);
	else
		text_append_string(text, "now");
}

void text_append_wait(struct text *text, double seconds)
{
	/* A clock may have been set back, and an integer holds less than a double. */
	uint64_t ms = seconds > 0 ? (uint64_t)((seconds < 1e12 ? seconds : 1e12) * 1000) : 0;

	if (ms < 1000)
		text_printf(text, "%" PRIu64 "ms", ms);
	else if (ms < 10000)
		text_printf(text, "%" PRIu64 ".%" PRIu64 "s", ms / 1000, ms / 100 % 10);
	else
		append_seconds(text, ms / 1000);
}

void text_append_rate(struct text *text, double rate)
{
	static const char suffixes[] = " kMGTPE";
	const char *suffix = suffixes;

	rate = rate < 1e18 ? rate : 1e18; /* the counters come from elsewhere */
	for (; rate >= 999.5; rate /= 1000)
		suffix++;
	if (rate < 0.05)
		text_append_string(text, "0");
	else
		text_printf(text, rate < 9.95 ? "%.1f" : "%.0f", rate);
	if (suffix > suffixes)
		text_append(text, suffix, 1);
}

void text_append_count(struct text *text, uint64_t count)
{
	if (count < 100000)
		text_printf(text, "%" PRIu64, count);
	else
		text_append_rate(text, (double)count);
}

/* The columns of the next character, and its bytes in *ret_size. */
static size_t next_columns(const char *string, size_t size, size_t *ret_size)
{
	mbstate_t state = {0};
	wchar_t character;
	size_t length = mbrtowc(&character, string, size, &state);
	int width = 1;

	if (length == 0 || length > size)
		length = 1;
	else
		width = wcwidth(character);
	*ret_size = length;
	return width < 0 ? 1 : (size_t)width; /* newer than this C library */
}

size_t text_columns(const char *string, size_t size)
{
	size_t columns = 0, at = 0, length;

	for (; at < size; at += length)
		columns += next_columns(string + at, size - at, &length);
	return columns;
}

/* Bytes of the string that fit. */
static size_t fit(const char *string, size_t size, size_t columns, size_t *ret_columns)
{
	size_t at = 0, used = 0, length, width;

	for (; at < size; at += length, used += width) {
		width = next_columns(string + at, size - at, &length);
		if (used + width > columns)
			break;
	}
	*ret_columns = used;
	return at;
}

void text_append_fitted(struct text *text, const char *string, size_t columns, bool is_right)
{
	AUTO_TEXT struct text shown = {0};
	size_t size, used;
	bool is_cut;

	if (!columns)
		return;
	text_append_shown(&shown, string, strlen(string));
	size = fit(shown.data, shown.length, columns, &used);
	is_cut = size < shown.length;
	if (is_cut)
		size = fit(shown.data, shown.length, columns - 1, &used);
	used += is_cut;
	if (is_right)
		text_printf(text, "%*s", (int)(columns - used), "");
	text_append(text, shown.data, size);
	text_append_string(text, is_cut ? "~" : "");
	if (!is_right)
		text_printf(text, "%*s", (int)(columns - used), "");
	text->failed |= shown.failed;
}
