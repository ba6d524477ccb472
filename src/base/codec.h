/* Decimal numbers, base64 (RFC 4648, with padding) and hexadecimal. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

void text_append_number(struct text *text, uint64_t number);

extern const char hex_digits[17];

/* The byte that the two hexadecimal digits at the start of string spell, in either case, or -1. */
int hex_byte(const char *string);

void text_append_hex(struct text *text, const void *data, size_t size);

/* White space and ':' between bytes are skipped. Returns 0 or -EINVAL. */
int text_append_hex_decoded(struct text *text, const char *hex, size_t size);

void text_append_base64(struct text *text, const void *data, size_t size);

/* Returns 0, or -EINVAL: wrong alphabet, length or padding; then nothing is appended. */
int text_append_base64_decoded(struct text *text, const char *base64, size_t size);
