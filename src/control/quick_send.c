#include "control/quick_send.h"

#include <string.h>

#include "base/escape.h"

struct cursor {
	const char *at, *end;
};

static void skip_blanks(struct cursor *cursor)
{
	while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\t' ||
						   *cursor->at == '\n' || *cursor->at == '\r'))
		cursor->at++;
}

/* Consumes the wanted character and the blanks around it. */
static bool take_character(struct cursor *cursor, char wanted)
{
	skip_blanks(cursor);
	if (cursor->at == cursor->end || *cursor->at != wanted)
		return false;
	cursor->at++;
	skip_blanks(cursor);
	return true;
}

/* Consumes a string of valid UTF-8 without escapes and control characters. */
static bool take_string(struct cursor *cursor, struct quick_text *ret)
{
	const char *start = cursor->at + 1, *at = start, *end = cursor->end;
	unsigned char high = 0;

	if (cursor->at == end || *cursor->at != '"')
		return false;
	for (; at < end && *at != '"'; at++) {
		unsigned char byte = (unsigned char)*at;

		if (byte < 0x20 || byte == '\\')
			return false;
		high |= byte;
	}
	*ret = (struct quick_text){start, (size_t)(at - start)};
	if (at == end || (high & 0x80 && !utf8_valid(ret->data, ret->size)))
		return false;
	cursor->at = at + 1;
	return true;
}

static bool is(const struct quick_text *text, const char *word)
{
	return text->size == strlen(word) && !memcmp(text->data, word, text->size);
}

/* A member that may occur once: a string, or what nested() consumes; then only the start of value
 * is set. */
struct row {
	const char *name;
	struct quick_text *value;
	bool (*nested)(struct cursor *cursor, struct quick_send *send);
};

static bool take_value(struct cursor *cursor, const struct row *row, struct quick_send *send)
{
	if (row->value->data)
		return false; /* twice */
	if (!row->nested)
		return take_string(cursor, row->value);
	row->value->data = cursor->at;
	return row->nested(cursor, send);
}

static bool take_member(
	struct cursor *cursor, const struct row *rows, size_t count, struct quick_send *send)
{
	struct quick_text name;

	if (!take_string(cursor, &name) || !take_character(cursor, ':'))
		return false;
	for (size_t i = 0; i < count; i++)
		if (is(&name, rows[i].name))
			return take_value(cursor, &rows[i], send);
	return false;
}

static bool take_object(
	struct cursor *cursor, const struct row *rows, size_t count, struct quick_send *send)
{
	if (!take_character(cursor, '{'))
		return false;
	do {
		if (!take_member(cursor, rows, count, send))
			return false;
	} while (take_character(cursor, ','));
	return take_character(cursor, '}');
}

static bool take_parameters(struct cursor *cursor, struct quick_send *send)
{
	const struct row rows[] = {{"group", &send->group, NULL}, {"text", &send->text, NULL},
		{"base64", &send->base64, NULL}};

	return take_object(cursor, rows, ARRAY_SIZE(rows), send);
}

bool quick_send_read(const char *message, size_t size, struct quick_send *ret)
{
	struct cursor cursor = {message, message + size};
	struct quick_send send = {0};
	struct quick_text method = {0}, parameters = {0};
	const struct row rows[] = {
		{"method", &method, NULL}, {"parameters", &parameters, take_parameters}};

	if (!take_object(&cursor, rows, ARRAY_SIZE(rows), &send) || cursor.at != cursor.end)
		return false;
	if (!method.data || !is(&method, "io.mcastd.Send") || !send.group.data ||
		!send.text.data == !send.base64.data)
		return false;
	*ret = send;
	return true;
}
