/* A growable run of bytes, for building records, replies and messages. A failed allocation is
 * sticky: later appends do nothing, so that one call of text_failed() at the end is enough. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"

struct text {
	char *data; /* not terminated, see text_string() */
	size_t length;
	size_t capacity;
	bool failed;
};

/* Makes room for size more bytes. Returns where they start, or NULL without memory. The caller
 * writes there, and adds the number of bytes written to length. */
char *text_reserve(struct text *text, size_t size);

void text_append(struct text *text, const void *data, size_t size);
void text_printf(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);

/* Releases the memory beyond length. */
void text_shrink(struct text *text);

/* The bytes as a C string, owned by text; "" without memory. */
const char *text_string(struct text *text);

void text_free(struct text *text);

static inline void text_append_string(struct text *text, const char *string)
{
	text_append(text, string, strlen(string));
}

/* Memory of formatted text that is retained between two batches of datagrams. */
#define TEXT_SPARE (256 * 1024)

/* Empties it, and retains its memory for the next time unless that is more than spare bytes. */
void text_recycle(struct text *text, size_t spare);

static inline void text_clear(struct text *text)
{
	text->length = 0;
	text->failed = false;
}

static inline bool text_failed(const struct text *text)
{
	return text->failed;
}

/* A copy of a string, which may be NULL, to be freed. Returns 0 or -ENOMEM. */
static inline int string_copy(char **ret, const char *string)
{
	char *copy = string ? strdup(string) : NULL;

	if (string && !copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

/* For "%u group%s": the ending of a regular noun that is counted. */
static inline const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

#define AUTO_TEXT CLEANUP(text_free)
