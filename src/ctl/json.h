/* A parsed JSON value as text that is safe on a terminal. */
#pragma once

#include <jansson.h>

#include "base/text.h"

#define AUTO_JSON CLEANUP(json_decrefp)

/* The compact form on one line, keys in their order. Unlike json_dumps(), it escapes control
 * characters and whatever else base/escape.h hides. */
void text_append_value(struct text *text, const json_t *value);
