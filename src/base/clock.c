#include "base/clock.h"

/* Writes value as exactly digits decimal digits. Every record has a timestamp, and snprintf would
 * cost more than the rest of its line. */
static void put_digits(char *at, unsigned digits, uint64_t value)
{
	while (digits--) {
		at[digits] = (char)('0' + value % 10);
		value /= 10;
	}
}

/* Days since the epoch to a civil date, proleptic Gregorian (Howard Hinnant, chrono-Compatible
 * Low-Level Date Algorithms): gmtime_r() takes a lock for the time zone. */
static void put_date(char *at, uint64_t days)
{
	uint64_t shifted = days + 719468; /* days since 0000-03-01 */
	uint64_t era = shifted / 146097, day_of_era = shifted % 146097;
	uint64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
				       day_of_era / 146096) /
			       365;
	uint64_t day_of_year = day_of_era -
			       (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	uint64_t month_from_march = (5 * day_of_year + 2) / 153;
	uint64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;

	put_digits(at, 4, year_of_era + era * 400 + (month <= 2));
	put_digits(at + 5, 2, month);
	put_digits(at + 8, 2, day_of_year - (153 * month_from_march + 2) / 5 + 1);
}

char *format_timestamp(uint64_t ns, char string[static TIMESTAMP_MAX])
{
	static const char frame[TIMESTAMP_MAX] = "0000-00-00T00:00:00.000000000Z";
	uint64_t seconds = ns / NS_PER_S, of_day = seconds % 86400;

	for (unsigned i = 0; i < TIMESTAMP_MAX; i++)
		string[i] = frame[i];
	put_date(string, seconds / 86400);
	put_digits(string + 11, 2, of_day / 3600);
	put_digits(string + 14, 2, of_day / 60 % 60);
	put_digits(string + 17, 2, of_day % 60);
	put_digits(string + 20, 9, ns % NS_PER_S);
	return string;
}

char *format_next_timestamp(uint64_t ns, uint64_t last_ns, char string[static TIMESTAMP_MAX])
{
	if (ns / NS_PER_S != last_ns / NS_PER_S)
		return format_timestamp(ns, string);
	put_digits(string + 20, 9, ns % NS_PER_S);
	return string;
}

char *format_local_timestamp(uint64_t ns, char string[static LOCAL_TIMESTAMP_MAX])
{
	time_t seconds = (time_t)(ns / NS_PER_S);
	struct tm tm = {0};
	unsigned minutes;

	localtime_r(&seconds, &tm);
	minutes = (unsigned)(tm.tm_gmtoff < 0 ? -tm.tm_gmtoff : tm.tm_gmtoff) / 60;
	format_timestamp(ns + (uint64_t)tm.tm_gmtoff * NS_PER_S, string);
	string[29] = tm.tm_gmtoff < 0 ? '-' : '+';
	put_digits(string + 30, 2, minutes / 60);
	string[32] = ':';
	put_digits(string + 33, 2, minutes % 60);
	string[35] = '\0';
	return string;
}
