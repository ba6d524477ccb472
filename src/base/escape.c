#include "base/escape.h"

#include <endian.h>
#include <errno.h>

#include "base/codec.h"

/* The length in bytes of the character at the start of data, and its code point; 0 when it is not
 * well-formed UTF-8 (the table of RFC 3629, section 4). */
static size_t utf8_decode(const uint8_t *data, size_t size, uint32_t *ret_code)
{
	uint32_t code, smallest;
	size_t length;

	if (data[0] < 0x80) {
		*ret_code = data[0];
		return 1;
	} else if ((data[0] & 0xe0) == 0xc0) {
		length = 2, code = data[0] & 0x1f, smallest = 0x80;
	} else if ((data[0] & 0xf0) == 0xe0) {
		length = 3, code = data[0] & 0x0f, smallest = 0x800;
	} else if ((data[0] & 0xf8) == 0xf0) {
		length = 4, code = data[0] & 0x07, smallest = 0x10000;
	} else {
		return 0;
	}
	if (size < length)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((data[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (data[i] & 0x3f);
	}
	if (code < smallest || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return length;
}

/* Compared at once. */
typedef uint8_t block __attribute__((vector_size(16)));
typedef uint64_t block_halves __attribute__((vector_size(16)));

/* The number of bytes at the start that are plain: printable ASCII other than the backslash and the
 * quote. Most payloads have few others, so their speed depends on this. Behind the end are zeros,
 * which are not plain. */
static size_t plain_run(const uint8_t *data, size_t size)
{
	size_t i = 0, left;
	block_halves others;

	if (data[0] >= 0x80)
		return 0;
	do {
		block bytes = {0};

		left = size - i;
		if (left >= sizeof(bytes))
			memcpy(&bytes, data + i, sizeof(bytes));
		else
			memcpy(&bytes, data + i, left);
		others = (block_halves)((bytes - 0x20 > 0x7e - 0x20) | (bytes == '\\') |
					(bytes == '"'));
		i += sizeof(bytes);
	} while (!(others[0] | others[1]));
	i -= others[0] ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
	return i + (size_t)__builtin_ctzll(le64toh(others[0] ? others[0] : others[1])) / 8;
}

/* Characters that are valid but must not reach a terminal or a line as they are. */
static bool is_hidden(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x61c || code == 0xfeff ||
	       (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2060 && code <= 0x206f) || (code >= 0xfff9 && code <= 0xfffb) ||
	       (code >= 0xe0000 && code <= 0xe007f);
}

bool utf8_valid(const void *data, size_t size)
{
	const uint8_t *at = data, *end = at + size;
	uint32_t code;

	while (at < end) {
		size_t length = plain_run(at, (size_t)(end - at));

		if (!length)
			length = utf8_decode(at, (size_t)(end - at), &code);
		if (!length)
			return false;
		at += length;
	}
	return true;
}

/* What has a short escape, and the letters of those escapes. */
static const char short_bytes[] = "\n\r\t\\", short_letters[] = "nrt\\";

/* The letter of a character's short escape, 0 when it has none. */
static char short_escape(uint32_t code)
{
	const char *byte = code && code < 0x80 ? strchr(short_bytes, (int)code) : NULL;

	return byte ? short_letters[byte - short_bytes] : 0;
}

/* Writes one character that is not plain; of length 0: a byte that is not UTF-8. Returns where it
 * ends, or NULL to end there. */
typedef char *put_character(char *out, const uint8_t *in, size_t length, uint32_t code);

static char *put_all(char *out, const uint8_t *in, size_t size, put_character *put)
{
	const uint8_t *end = in + size;
	uint32_t code;

	while (in < end) {
		size_t length = plain_run(in, (size_t)(end - in));

		out = mempcpy(out, in, length);
		in += length;
		if (in == end)
			break;
		length = utf8_decode(in, (size_t)(end - in), &code);
		out = put(out, in, length, code);
		if (!out)
			break;
		in += length ? length : 1;
	}
	return out;
}

static char *put_escaped(char *out, const uint8_t *in, size_t length, uint32_t code)
{
	char escape = length ? short_escape(code) : 0;

	if (escape) {
		*out++ = '\\';
		*out++ = escape;
	} else if (length && !is_hidden(code)) {
		out = mempcpy(out, in, length);
	} else {
		for (const uint8_t *end = in + (length ? length : 1); in < end; in++) {
			*out++ = '\\';
			*out++ = 'x';
			*out++ = hex_digits[*in >> 4];
			*out++ = hex_digits[*in & 15];
		}
	}
	return out;
}

void text_append_escaped(struct text *text, const void *data, size_t size)
{
	char *start = text_reserve(text, size * 4);

	if (start)
		text->length += (size_t)(put_all(start, data, size, put_escaped) - start);
}

int text_append_unescaped(struct text *text, const char *escaped, size_t size)
{
	const char *end = escaped + size, *letter;
	int byte;

	while (escaped < end) {
		if (*escaped != '\\') {
			text_append(text, escaped++, 1);
		} else if (end - escaped >= 2 && escaped[1] &&
			   (letter = strchr(short_letters, escaped[1]))) {
			text_append(text, short_bytes + (letter - short_letters), 1);
			escaped += 2;
		} else if (end - escaped >= 4 && escaped[1] == 'x' &&
			   (byte = hex_byte(escaped + 2)) >= 0) {
			text_append(text, &(char){(char)byte}, 1);
			escaped += 4;
		} else {
			return -EINVAL;
		}
	}
	return 0;
}

/* Writes one UTF-16 unit as \uXXXX. */
static char *put_unit(char *out, uint32_t unit)
{
	*out++ = '\\';
	*out++ = 'u';
	for (int shift = 12; shift >= 0; shift -= 4)
		*out++ = hex_digits[unit >> shift & 15];
	return out;
}

static char *put_json(char *out, const uint8_t *in, size_t length, uint32_t code)
{
	char escape = !length ? 0 : code == '"' ? '"' : short_escape(code);

	if (escape) {
		*out++ = '\\';
		*out++ = escape;
	} else if (!length) {
		out = put_unit(out, 0xfffd);
	} else if (!is_hidden(code)) {
		out = mempcpy(out, in, length);
	} else if (code < 0x10000) {
		out = put_unit(out, code);
	} else {
		out = put_unit(out, 0xd800 + ((code - 0x10000) >> 10));
		out = put_unit(out, 0xdc00 + ((code - 0x10000) & 0x3ff));
	}
	return out;
}

static char *put_json_valid(char *out, const uint8_t *in, size_t length, uint32_t code)
{
	return length ? put_json(out, in, length, code) : NULL;
}

static bool append_json(struct text *text, const void *data, size_t size, put_character *put)
{
	char *start = text_reserve(text, size * 6 + 2), *out = start;

	if (!out)
		return true;
	*out++ = '"';
	out = put_all(out, data, size, put);
	if (!out)
		return false;
	*out++ = '"';
	text->length += (size_t)(out - start);
	return true;
}

void text_append_json(struct text *text, const void *data, size_t size)
{
	append_json(text, data, size, put_json);
}

bool text_append_json_valid(struct text *text, const void *data, size_t size)
{
	return append_json(text, data, size, put_json_valid);
}
