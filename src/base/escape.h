/* Untrusted bytes, made safe to show and possible to read back.
 *
 * The escaped form leaves printable UTF-8 alone and writes everything else as \\ \n \r \t or \xHH
 * (one for each byte). That covers C0 and C1 controls, DEL, bytes that are not UTF-8, and the
 * invisible characters that reorder or split a line (U+2028, U+2029, bidirectional controls), so
 * that no terminal sequence and no forged line gets through. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/* Whether all of it is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool utf8_valid(const void *data, size_t size);

void text_append_escaped(struct text *text, const void *data, size_t size);

/* The inverse of text_append_escaped(). Returns 0, or -EINVAL at a malformed escape. */
int text_append_unescaped(struct text *text, const char *escaped, size_t size);

/* A JSON string with its quotes (RFC 8259). What the escaped form above hides is written as \uXXXX,
 * and each byte that is not UTF-8 as \ufffd. */
void text_append_json(struct text *text, const void *data, size_t size);

/* The same for what is all well-formed UTF-8; else returns false, and appends nothing. */
bool text_append_json_valid(struct text *text, const void *data, size_t size);
