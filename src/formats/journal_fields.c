#include "formats/journal_fields.h"

#include <errno.h>

#include "base/escape.h"
#include "base/json_scan.h"

static const char prefix[] = JOURNAL_PREFIX;

struct reader {
	struct scan scan;
	struct journal_fields *fields;
	struct text *text;
	/* That of the member at hand: the prefix, and the names of the objects that it is in. */
	struct {
		char data[JOURNAL_NAME_MAX];
		size_t size;
		bool too_long;
	} name;
};

/* ---- Names ---- */

static void put_name(struct reader *reader, uint32_t code)
{
	bool is_small = code >= 'a' && code <= 'z';
	bool is_valid = (code >= 'A' && code <= 'Z') || (code >= '0' && code <= '9');

	if (reader->name.size == sizeof(reader->name.data))
		reader->name.too_long = true;
	else
		reader->name.data[reader->name.size++] = (char)(is_small   ? code - 'a' + 'A'
								: is_valid ? code
									   : '_');
}

/* One character of the name for each of the member's, which are UTF-8. */
static void append_name(struct reader *reader, const struct scanned *name)
{
	for (const char *at = name->data, *end = at + name->size; at < end;) {
		uint32_t code = (unsigned char)*at;

		if (code == '\\')
			at = scan_escape(at, &code);
		else if (at++, (code & 0xc0) == 0x80)
			continue;
		put_name(reader, code);
	}
}

/* ---- Values ---- */

static void append_utf8(struct text *text, uint32_t code)
{
	char bytes[4], *out = bytes;

	if (code < 0x80) {
		*out++ = (char)code;
	} else if (code < 0x800) {
		*out++ = (char)(0xc0 | code >> 6);
	} else if (code < 0x10000) {
		*out++ = (char)(0xe0 | code >> 12);
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
	} else {
		*out++ = (char)(0xf0 | code >> 18);
		*out++ = (char)(0x80 | (code >> 12 & 0x3f));
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
	}
	if (code >= 0x80)
		*out++ = (char)(0x80 | (code & 0x3f));
	text_append(text, bytes, (size_t)(out - bytes));
}

static void append_string(struct text *text, const char *at, const char *end)
{
	while (at < end) {
		const char *escape = memchr(at, '\\', (size_t)(end - at));
		uint32_t code;

		text_append(text, at, (size_t)((escape ? escape : end) - at));
		if (!escape)
			return;
		at = scan_escape(escape, &code);
		append_utf8(text, code);
	}
}

/* ---- Fields ---- */

/* The field of the name at hand; NULL: there is none yet. */
static struct journal_field *find_field(const struct reader *reader)
{
	struct journal_fields *fields = reader->fields;

	for (unsigned i = 0; i < fields->count; i++)
		if (fields->items[i].name_size == reader->name.size &&
			!memcmp(reader->text->data + fields->items[i].start, reader->name.data,
				reader->name.size))
			return &fields->items[i];
	return NULL;
}

/* Appends "NAME=value". Returns whether the value is short enough. */
static bool append_field(struct reader *reader, const struct scanned *value)
{
	struct text *text = reader->text;
	size_t value_start;

	text_append(text, reader->name.data, reader->name.size);
	text_append(text, "=", 1);
	value_start = text->length;
	if (*value->data == '"')
		append_string(text, value->data + 1, value->data + value->size - 1);
	else
		text_append(text, value->data, value->size);
	return text->length - value_start <= JOURNAL_VALUE_MAX;
}

static void add_field(struct reader *reader, const struct scanned *value)
{
	struct journal_fields *fields = reader->fields;
	struct journal_field *field = find_field(reader);
	size_t start = reader->text->length;

	if ((!field && fields->count == JOURNAL_FIELDS_MAX) || !append_field(reader, value)) {
		fields->left_out++;
		reader->text->length = start;
		return;
	}
	if (text_failed(reader->text))
		return;
	if (!field)
		field = &fields->items[fields->count++];
	*field = (struct journal_field){start, reader->text->length - start, reader->name.size};
}

static bool read_members(struct reader *reader, unsigned depth);

/* A member whose name is at hand. */
static bool read_value(struct reader *reader, unsigned depth)
{
	struct scan *scan = &reader->scan;
	struct scanned value;

	if (scan->at < scan->end && *scan->at == '{' && !reader->name.too_long) {
		put_name(reader, '_');
		return depth < SCAN_DEPTH && read_members(reader, depth + 1);
	}
	if (!scan_value(scan, depth, &value))
		return false;
	if (reader->name.too_long)
		reader->fields->left_out++;
	else
		add_field(reader, &value);
	return true;
}

/* An object whose members' names begin with the name at hand. */
static bool read_members(struct reader *reader, unsigned depth)
{
	struct scan *scan = &reader->scan;
	size_t name_size = reader->name.size;
	bool too_long = reader->name.too_long;
	struct scanned name;

	if (!scan_character(scan, '{'))
		return false;
	if (scan_character(scan, '}'))
		return true;
	do {
		if (!scan_string(scan, &name) || !scan_character(scan, ':'))
			return false;
		append_name(reader, &name);
		if (!read_value(reader, depth))
			return false;
		reader->name.size = name_size;
		reader->name.too_long = too_long;
	} while (scan_character(scan, ','));
	return scan_character(scan, '}');
}

int journal_fields_read(
	struct journal_fields *ret, struct text *text, const void *payload, size_t size)
{
	const char *start = payload;
	size_t length = text->length;
	struct reader reader = {.scan = {start, start + size}, .fields = ret, .text = text};

	ret->count = ret->left_out = 0;
	for (const char *at = prefix; *at; at++)
		put_name(&reader, (unsigned char)*at);
	if (read_members(&reader, 1) && reader.scan.at == reader.scan.end &&
		utf8_valid(payload, size))
		return 0;
	text->length = length;
	ret->count = ret->left_out = 0;
	return -EINVAL;
}
