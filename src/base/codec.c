#include "base/codec.h"

#include <ctype.h>
#include <errno.h>

const char hex_digits[17] = "0123456789abcdef";

/* By hand: snprintf() would be half of a record's cost. */
void text_append_number(struct text *text, uint64_t number)
{
	char *out = text_reserve(text, 20);
	size_t digits = 1;

	if (!out)
		return;
	for (uint64_t rest = number; rest >= 10; rest /= 10)
		digits++;
	for (size_t i = digits; i--; number /= 10)
		out[i] = (char)('0' + number % 10);
	text->length += digits;
}

static const char base64_digits[65] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit = (char)(digit | 0x20);
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

int hex_byte(const char *string)
{
	int high = hex_value(string[0]), low = high < 0 ? -1 : hex_value(string[1]);

	return low < 0 ? -1 : high << 4 | low;
}

void text_append_hex(struct text *text, const void *data, size_t size)
{
	const uint8_t *in = data;
	char *out = text_reserve(text, size * 2);

	if (!out)
		return;
	for (size_t i = 0; i < size; i++) {
		*out++ = hex_digits[in[i] >> 4];
		*out++ = hex_digits[in[i] & 15];
	}
	text->length += size * 2;
}

int text_append_hex_decoded(struct text *text, const char *hex, size_t size)
{
	const char *end = hex + size;

	while (hex < end) {
		int byte;

		if (isspace((unsigned char)*hex) || *hex == ':') {
			hex++;
			continue;
		}
		byte = end - hex >= 2 ? hex_byte(hex) : -1;
		if (byte < 0)
			return -EINVAL;
		text_append(text, &(char){(char)byte}, 1);
		hex += 2;
	}
	return 0;
}

/* Three bytes as four digits. */
static void put_base64(char *out, const uint8_t *in)
{
	uint32_t bits = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];

	out[0] = base64_digits[bits >> 18];
	out[1] = base64_digits[bits >> 12 & 63];
	out[2] = base64_digits[bits >> 6 & 63];
	out[3] = base64_digits[bits & 63];
}

void text_append_base64(struct text *text, const void *data, size_t size)
{
	const uint8_t *in = data;
	size_t encoded = (size + 2) / 3 * 4;
	char *out = text_reserve(text, encoded);
	uint8_t last[3] = {0};

	if (!out)
		return;
	for (; size >= 3; size -= 3, in += 3, out += 4)
		put_base64(out, in);
	text->length += encoded;
	if (!size)
		return;
	memcpy(last, in, size);
	put_base64(out, last);
	memset(out + 1 + size, '=', 3 - size);
}

static int base64_value(char digit)
{
	const char *at = digit ? strchr(base64_digits, digit) : NULL;

	return at ? (int)(at - base64_digits) : -1;
}

int text_append_base64_decoded(struct text *text, const char *base64, size_t size)
{
	size_t padding = 0;
	uint32_t bits = 0;
	char *out = text_reserve(text, size / 4 * 3);

	if (size % 4)
		return -EINVAL;
	while (padding < 2 && padding < size && base64[size - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < size - padding; i++) {
		int value = base64_value(base64[i]);

		if (value < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)value;
		if (out && i % 4)
			*out++ = (char)(bits >> (6 - 2 * (i % 4)));
	}
	/* Bits that no byte uses must be zero: one text for one payload (RFC 4648, section 3.5). */
	if (bits & ((1u << 2 * padding) - 1))
		return -EINVAL;
	if (out)
		text->length += size / 4 * 3 - padding;
	return 0;
}
