/* Members and elements of JSON as text, for answers that are too long for a tree of jansson's. The
 * comma before each comes by itself. */
#pragma once

#include <stdint.h>

#include "base/text.h"

/* "name": and whatever is appended then; or an element, when name is NULL. name is plain ASCII. */
void put_member(struct text *text, const char *name);

void put_string(struct text *text, const char *name, const char *string); /* NULL: null */
void put_number(struct text *text, const char *name, uint64_t number);

/* put_open(text, name, '{') ... put_close(text, '}') */
void put_open(struct text *text, const char *name, char bracket);
void put_close(struct text *text, char bracket);
