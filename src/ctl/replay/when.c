#include "ctl/replay/when.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/units.h"

/* The last second whose nanoseconds 64 bits hold. */
#define SECONDS_MAX ((int64_t)(UINT64_MAX / NS_PER_S) - 1)

/* Digits behind a point, if there is one. Moves *string behind them. */
static uint64_t take_fraction(const char **string)
{
	uint64_t ns = 0, unit = NS_PER_S;
	const char *at = *string;

	if (*at != '.' || at[1] < '0' || at[1] > '9')
		return 0;
	for (at++; *at >= '0' && *at <= '9'; at++) {
		unit /= 10;
		ns += unit * (uint64_t)(*at - '0');
	}
	*string = at;
	return ns;
}

/* "20:15" or "20:15:30.5". Returns the rest, or NULL. */
static const char *take_time(const char *string, struct tm *time, uint64_t *ret_fraction_ns)
{
	const char *rest;

	string = strptime(string, "%H:%M", time);
	if (!string || *string != ':')
		return string;
	rest = strptime(string, ":%S", time);
	if (time->tm_sec > 60) /* 60 is a leap second */
		return NULL;
	if (rest)
		*ret_fraction_ns = take_fraction(&rest);
	return rest;
}

/* The seconds since the epoch, by the C library, which makes 3 March of 31 February. */
static int convert(time_t function(struct tm *), const struct tm *date, int64_t *ret)
{
	struct tm changed = *date;

	changed.tm_sec = 0; /* a leap second is that after it */
	*ret = function(&changed) + date->tm_sec;
	if (changed.tm_mday != date->tm_mday || changed.tm_mon != date->tm_mon)
		return -EDOM;
	return changed.tm_hour != date->tm_hour || changed.tm_min != date->tm_min ? -ERANGE : 0;
}

/* The seconds since the epoch of a date with "Z", "+01:00", "+0100" as of date(1) and
 * journalctl(1), or nothing behind it. */
static int to_seconds(struct tm *date, const char *zone, int64_t *ret)
{
	struct tm offset = {0};
	int64_t seconds;
	int r;

	date->tm_isdst = *zone ? 0 : -1;
	r = convert(*zone ? timegm : mktime, date, &seconds);
	if (*zone == '+' || *zone == '-') {
		int64_t sign = *zone == '+' ? -1 : 1;

		zone++;
		zone = strptime(zone, strspn(zone, "0123456789") == 4 ? "%H%M" : "%H:%M", &offset);
		if (!zone)
			return -EINVAL;
		seconds += sign * (offset.tm_hour * 3600 + offset.tm_min * 60);
	} else if (*zone == 'Z' || *zone == 'z') {
		zone++;
	}
	if (*zone)
		return -EINVAL;
	*ret = seconds;
	return r;
}

/* A date, and maybe a time of it. */
static int parse_absolute(const char *string, struct when *ret)
{
	struct tm date = {0};
	uint64_t fraction_ns = 0;
	int64_t seconds;
	int r;

	string = strptime(string, "%Y-%m-%d", &date);
	if (string && *string && strchr("Tt ", *string))
		string = take_time(string + 1, &date, &fraction_ns);
	if (!string)
		return -EINVAL;
	r = to_seconds(&date, string, &seconds);
	if (r < 0)
		return r;
	if (seconds < 0 || seconds > SECONDS_MAX)
		return -EINVAL;
	*ret = (struct when){WHEN_ABSOLUTE, (uint64_t)seconds * NS_PER_S + fraction_ns};
	return 0;
}

static int parse_time_of_day(const char *string, struct when *ret)
{
	struct tm time = {0};
	uint64_t fraction_ns = 0;

	string = take_time(string, &time, &fraction_ns);
	if (!string || *string)
		return -EINVAL;
	*ret = (struct when){WHEN_OF_DAY,
		(uint64_t)((time.tm_hour * 60 + time.tm_min) * 60 + time.tm_sec) * NS_PER_S +
			fraction_ns};
	return 0;
}

int when_parse(const char *string, struct when *ret)
{
	uint64_t after_ns;

	if (*string != '+') {
		int r = parse_absolute(string, ret);

		return r == -EINVAL ? parse_time_of_day(string, ret) : r;
	}
	if (parse_duration(string + 1, &after_ns) < 0)
		return -EINVAL;
	*ret = (struct when){WHEN_AFTER_BEGIN, after_ns};
	return 0;
}

/* That many days after the one of a time. By the clock, as a day may have 23 or 25 hours. */
static uint64_t on_the_day_of(uint64_t time_ns, int days, uint64_t of_day_ns)
{
	time_t begin = (time_t)(time_ns / NS_PER_S), seconds;
	int of_day = (int)(of_day_ns / NS_PER_S);
	struct tm date;

	if (!localtime_r(&begin, &date))
		return 0;
	date.tm_hour = of_day / 3600;
	date.tm_min = of_day / 60 % 60;
	date.tm_sec = of_day % 60;
	date.tm_mday += days;
	date.tm_isdst = -1;
	seconds = mktime(&date);
	return seconds < 0 ? 0 : (uint64_t)seconds * NS_PER_S + of_day_ns % NS_PER_S;
}

uint64_t when_resolve(const struct when *when, uint64_t begin_ns)
{
	switch (when->kind) {
	case WHEN_OF_DAY:
		return on_the_day_of(begin_ns, 0, when->ns);
	case WHEN_AFTER_BEGIN:
		return begin_ns > UINT64_MAX - when->ns ? UINT64_MAX : begin_ns + when->ns;
	case WHEN_ABSOLUTE:
		break;
	}
	return when->ns;
}

/* The clock may be set back beyond midnight: then the next day is not the first to ask for. */
static uint64_t first_after(uint64_t time_ns, uint64_t of_day_ns)
{
	uint64_t found_ns = 0;

	for (int days = 0; days <= 2 && found_ns <= time_ns; days++)
		found_ns = on_the_day_of(time_ns, days, of_day_ns);
	return found_ns;
}

static uint64_t last_before(uint64_t time_ns, uint64_t of_day_ns)
{
	uint64_t found_ns = UINT64_MAX;

	for (int days = 0; days >= -2 && found_ns >= time_ns; days--)
		found_ns = on_the_day_of(time_ns, days, of_day_ns);
	return found_ns;
}

void when_resolve_span(const struct when *from, const struct when *to, uint64_t begin_ns,
	uint64_t *ret_from_ns, uint64_t *ret_to_ns)
{
	if (from->kind != WHEN_OF_DAY || to->kind != WHEN_OF_DAY) {
		*ret_from_ns = when_resolve(from, begin_ns);
		*ret_to_ns = when_resolve(to, begin_ns);
		return;
	}
	*ret_to_ns = first_after(begin_ns, to->ns);
	*ret_from_ns = last_before(*ret_to_ns, from->ns);
}
