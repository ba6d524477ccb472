/* The one writer of JSON: members and elements as text, without a tree in memory. Commas are
 * added automatically. Reading JSON is up to jansson. */
#pragma once

#include <stdint.h>

#include "base/text.h"

/* "name": and whatever is appended then; or an element, when name is NULL. name is plain ASCII. */
void json_put_member(struct text *text, const char *name);

/* The same for a name whose length is known. */
void json_put_name(struct text *text, const char *name, size_t size);

void json_put_string(struct text *text, const char *name, const char *string); /* NULL: null */
void json_put_number(struct text *text, const char *name, uint64_t number);
void json_put_flag(struct text *text, const char *name, bool flag);
void json_put_true(struct text *text, const char *name);
/* Returns false, and puts nothing, where it is not UTF-8. */
bool json_put_text(struct text *text, const char *name, const void *data, size_t size);
void json_put_base64(struct text *text, const char *name, const void *data, size_t size);

/* json_put_open(text, name, '{') ... json_put_close(text, '}') */
void json_put_open(struct text *text, const char *name, char bracket);
void json_put_close(struct text *text, char bracket);
