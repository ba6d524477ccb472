/* JSON values as text that is safe on a terminal. */
#pragma once

#include <jansson.h>

#include "base/text.h"

#define AUTO_JSON CLEANUP(json_decrefp)

/* The compact form on one line, keys in their order. Unlike json_dumps(), no control character and
 * nothing else that base/escape.h hides is left as it is. */
void text_append_value(struct text *text, const json_t *value);

/* Bytes from elsewhere as they may be shown: as text_append_escaped(), except that a backslash
 * stays single. For people, who need not read the bytes back. */
void text_append_shown(struct text *text, const char *string, size_t size);
