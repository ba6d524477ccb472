/* What the directives of the pages become (tables.c), and the words that they share. */
#pragma once

#include <stdnoreturn.h>

#include "base/text.h"

/* Appends what stands in the place of a directive. argument is "" when it has none. */
void put_keys(struct text *out, const char *argument);
void put_command(struct text *out, const char *argument);
void put_options(struct text *out, const char *argument);
void put_types(struct text *out, const char *argument);
void put_methods(struct text *out, const char *argument);
void put_errors(struct text *out, const char *argument);

/* Appends words so that scdoc shows them as they are, whatever characters are in them. */
void append_plain(struct text *out, const char *string, size_t size);
void append_plain_string(struct text *out, const char *string);

/* The same with a full stop at the end: some sentences of help have one, others go without, as
 * --help shows them. */
void append_sentence(struct text *out, const char *string);

/* Says why no page can be made, and ends the program. */
noreturn void fail(const char *format, ...) PRINTF_LIKE(1, 2);
