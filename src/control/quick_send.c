#include "control/quick_send.h"

#include <string.h>

#include "base/escape.h"

/* Consumes a string of valid UTF-8 without escapes and control characters. As fast as it can:
 * most of a message is one. */
static bool take_string(struct scan *scan, struct scanned *ret)
{
	const char *start = scan->at + 1, *at = start, *end = scan->end;
	unsigned char high = 0;

	if (scan->at == end || *scan->at != '"')
		return false;
	for (; at < end && *at != '"'; at++) {
		unsigned char byte = (unsigned char)*at;

		if (byte < 0x20 || byte == '\\')
			return false;
		high |= byte;
	}
	*ret = (struct scanned){start, (size_t)(at - start)};
	if (at == end || (high & 0x80 && !utf8_valid(ret->data, ret->size)))
		return false;
	scan->at = at + 1;
	return true;
}

static bool is(const struct scanned *text, const char *word)
{
	return text->size == strlen(word) && !memcmp(text->data, word, text->size);
}

/* A member that may occur once: a string, or what nested() consumes; then only the start of value
 * is set. */
struct row {
	const char *name;
	struct scanned *value;
	bool (*nested)(struct scan *scan, struct quick_send *send);
};

static bool take_value(struct scan *scan, const struct row *row, struct quick_send *send)
{
	if (row->value->data)
		return false; /* twice */
	if (!row->nested)
		return take_string(scan, row->value);
	row->value->data = scan->at;
	return row->nested(scan, send);
}

static bool take_member(
	struct scan *scan, const struct row *rows, size_t count, struct quick_send *send)
{
	struct scanned name;

	if (!take_string(scan, &name) || !scan_character(scan, ':'))
		return false;
	for (size_t i = 0; i < count; i++)
		if (is(&name, rows[i].name))
			return take_value(scan, &rows[i], send);
	return false;
}

static bool take_object(
	struct scan *scan, const struct row *rows, size_t count, struct quick_send *send)
{
	if (!scan_character(scan, '{'))
		return false;
	do {
		if (!take_member(scan, rows, count, send))
			return false;
	} while (scan_character(scan, ','));
	return scan_character(scan, '}');
}

static bool take_parameters(struct scan *scan, struct quick_send *send)
{
	const struct row rows[] = {{"group", &send->group, NULL}, {"text", &send->text, NULL},
		{"base64", &send->base64, NULL}};

	return take_object(scan, rows, ARRAY_SIZE(rows), send);
}

bool quick_send_read(const char *message, size_t size, struct quick_send *ret)
{
	struct scan scan = {message, message + size};
	struct quick_send send = {0};
	struct scanned method = {0}, parameters = {0};
	const struct row rows[] = {
		{"method", &method, NULL}, {"parameters", &parameters, take_parameters}};

	if (!take_object(&scan, rows, ARRAY_SIZE(rows), &send) || scan.at != scan.end)
		return false;
	if (!method.data || !is(&method, "io.mcastd.Send") || !send.group.data ||
		!send.text.data == !send.base64.data)
		return false;
	*ret = send;
	return true;
}
