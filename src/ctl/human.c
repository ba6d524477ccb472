#include "ctl/human.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

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
	if (!seconds) {
		text_append_string(text, "now");
		return;
	}
	append_seconds(text, seconds);
	text_append_string(text, " ago");
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
