#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"

struct unit {
	const char *suffix;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{"", 1}, {"K", 1ull << 10}, {"M", 1ull << 20}, {"G", 1ull << 30}, {"T", 1ull << 40}};

static const struct unit duration_units[] = {{"ns", 1}, {"us", 1000}, {"ms", NS_PER_MS},
	{"s", NS_PER_S}, {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S}, {"d", 86400 * NS_PER_S}};

/* Reads leading digits. *ret_rest points to what follows them. */
static int leading_number(const char *string, uint64_t *ret_number, const char **ret_rest)
{
	uint64_t number = 0;

	if (!isdigit((unsigned char)*string))
		return -EINVAL;
	for (; isdigit((unsigned char)*string); string++)
		if (__builtin_mul_overflow(number, 10, &number) ||
			__builtin_add_overflow(number, (uint64_t)(*string - '0'), &number))
			return -ERANGE;
	*ret_number = number;
	*ret_rest = string;
	return 0;
}

static int parse_with_units(
	const char *string, const struct unit *units, size_t count, uint64_t max, uint64_t *ret)
{
	const char *suffix;
	uint64_t number;
	int r = leading_number(string, &number, &suffix);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(suffix, units[i].suffix))
			continue;
		if (__builtin_mul_overflow(number, units[i].factor, &number) || number > max)
			return -ERANGE;
		*ret = number;
		return 0;
	}
	return -EINVAL;
}

int parse_size(const char *string, uint64_t *ret_bytes)
{
	return parse_with_units(string, size_units, ARRAY_SIZE(size_units), 1ull << 40, ret_bytes);
}

int parse_duration(const char *string, uint64_t *ret_ns)
{
	if (!strcmp(string, "0")) {
		*ret_ns = 0;
		return 0;
	}
	return parse_with_units(string, duration_units, ARRAY_SIZE(duration_units),
		3650 * 86400 * NS_PER_S, ret_ns);
}

int parse_number(const char *string, uint64_t max, uint64_t *ret_number)
{
	static const struct unit none[] = {{"", 1}};

	return parse_with_units(string, none, 1, max, ret_number);
}

int parse_rate(const char *string, uint64_t *ret_interval_ns)
{
	const char *rest;
	uint64_t number;
	int r = leading_number(string, &number, &rest);

	if (r < 0)
		return r;
	if (*rest++ != '/')
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(duration_units); i++) {
		uint64_t period = duration_units[i].factor;

		if (strcmp(rest, duration_units[i].suffix) || period < NS_PER_S)
			continue;
		if (number == 0 || number > period)
			return -ERANGE;
		*ret_interval_ns = period / number;
		return 0;
	}
	return -EINVAL;
}

/* In the largest unit that it is a whole number of. */
static const char *format_with_units(uint64_t number, const struct unit *units, size_t count,
	char string[static UNIT_STRING_MAX])
{
	size_t i = count - 1;

	while (i > 0 && (number == 0 || number % units[i].factor))
		i--;
	snprintf(string, UNIT_STRING_MAX, "%" PRIu64 "%s", number / units[i].factor,
		number ? units[i].suffix : "");
	return string;
}

const char *format_size(uint64_t bytes, char string[static UNIT_STRING_MAX])
{
	return format_with_units(bytes, size_units, ARRAY_SIZE(size_units), string);
}

const char *format_duration(uint64_t ns, char string[static UNIT_STRING_MAX])
{
	return format_with_units(ns, duration_units, ARRAY_SIZE(duration_units), string);
}
