/* The directives of the pages (tables.c and values.c), and what they share. */
#pragma once

#include <stdnoreturn.h>

#include "base/text.h"

struct directive {
	const char *name;
	void (*put)(struct text *out, const char *argument);
};

/* Those of this program, up to one without a name; and whether others are left for the next one.
 * Two programs, as what mcastd and mcastctl are made of has functions of the same names. */
extern const struct directive directives[];
extern const bool directives_are_some;

/* Append the text of a directive. argument is "" when it has none. */
void put_keys(struct text *out, const char *argument);
void put_command(struct text *out, const char *argument);
void put_options(struct text *out, const char *argument);
void put_types(struct text *out, const char *argument);
void put_methods(struct text *out, const char *argument);
void put_errors(struct text *out, const char *argument);
void put_causes(struct text *out, const char *argument);

/* Append a string so that scdoc shows every character as it is. */
void append_plain(struct text *out, const char *string, size_t size);
void append_plain_string(struct text *out, const char *string);

/* The same, with a full stop at the end if there is none. */
void append_sentence(struct text *out, const char *string);

/* Prints why there is no page, and ends the program. */
noreturn void fail(const char *format, ...) PRINTF_LIKE(1, 2);
