#include "formats/envelope.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "formats/fields.h"

#define RUN_DIGITS 16

static bool is_site_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

bool envelope_is_site(const char *name, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!is_site_character(name[i]))
			return false;
	return length >= 1 && length <= SITE_MAX;
}

/* Decimal, without a zero at the end. Returns where it ends. */
static char *write_number(char *at, uint64_t number)
{
	char digits[20], *first = digits + sizeof(digits);

	do
		*--first = (char)('0' + number % 10);
	while (number /= 10);
	return mempcpy(at, first, (size_t)(digits + sizeof(digits) - first));
}

/* Every datagram has one, and sprintf(3) would be a good part of what it costs. */
size_t envelope_write_id(
	char ret[static ENVELOPE_ID_MAX], const char *site, uint64_t run, uint64_t number)
{
	char *at = mempcpy(ret, site, strnlen(site, SITE_MAX));

	*at++ = '/';
	for (int shift = 4 * RUN_DIGITS; shift; at++)
		*at = "0123456789abcdef"[run >> (shift -= 4) & 15];
	*at++ = '/';
	at = write_number(at, number);
	*at = '\0';
	return (size_t)(at - ret);
}

/* Exactly RUN_DIGITS lower-case hexadecimal digits. */
static bool read_run(const char *text, uint64_t *ret)
{
	uint64_t run = 0;

	for (size_t i = 0; i < RUN_DIGITS; i++) {
		char c = text[i];

		if (c >= '0' && c <= '9')
			run = run << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			run = run << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	*ret = run;
	return true;
}

/* Decimal, from 1 on, as it is written. */
static bool read_number(const char *text, size_t length, uint64_t *ret)
{
	uint64_t number = 0;

	if (!length || *text == '0')
		return false;
	for (size_t i = 0; i < length; i++)
		if (text[i] < '0' || text[i] > '9' ||
			__builtin_mul_overflow(number, 10u, &number) ||
			__builtin_add_overflow(number, (unsigned)(text[i] - '0'), &number))
			return false;
	*ret = number;
	return true;
}

int envelope_read_id(const char *text, size_t length, struct envelope_id *ret)
{
	const char *slash = memchr(text, '/', length);
	size_t site = slash ? (size_t)(slash - text) : 0;
	size_t rest = length - site;
	uint64_t run, number;

	if (!slash || !envelope_is_site(text, site) || rest < RUN_DIGITS + 3 ||
		slash[1 + RUN_DIGITS] != '/' || !read_run(slash + 1, &run) ||
		!read_number(slash + RUN_DIGITS + 2, rest - RUN_DIGITS - 2, &number))
		return -EINVAL;
	*ret = (struct envelope_id){.run = run, .number = number};
	memcpy(ret->site, text, site);
	return 0;
}

/* The fields of a datagram that the far side cannot know, under the names that they have
 * everywhere. */
static const enum field from_fields[] = {
	FIELD_SOURCE, FIELD_SOURCE_PORT, FIELD_INTERFACE, FIELD_TTL, FIELD_TIMESTAMP};

/* The name of an interface may have control characters, which a header must not have. */
static char *append_value(char *end, const char *value)
{
	for (; *value; value++)
		*end++ = (unsigned char)*value < ' ' || *value == 0x7f ? '?' : *value;
	return end;
}

size_t envelope_write_from(char ret[static ENVELOPE_FROM_MAX], const struct origin *origin,
	const struct datagram *datagram)
{
	char number[FIELD_NUMBER_MAX];
	struct fields fields;
	char *end = ret;

	fields_read(&fields, origin, datagram);
	for (size_t i = 0; i < ARRAY_SIZE(from_fields); i++) {
		if (i)
			*end++ = ' ';
		end = stpcpy(end, field_infos[from_fields[i]].name);
		*end++ = '=';
		end = append_value(end, fields_string(&fields, from_fields[i], number));
	}
	*end = '\0';
	return (size_t)(end - ret);
}
