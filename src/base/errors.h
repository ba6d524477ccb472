/* A list of errors for the person who reads them: loading a configuration collects all that is
 * wrong before it gives up, so that one run shows every mistake. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

/* Room for one reason: what failed, why in the reader's words, and what would mend it. */
#define WHY_MAX 256

/* Writes the reason and returns error, so that it can stand in a return statement. A constant error
 * lets the compiler see that the function fails. */
int because(char why[static WHY_MAX], int error, const char *format, ...) PRINTF_LIKE(3, 4);

/* More than this many are only counted: a file of garbage is not worth a million lines. */
#define ERRORS_MAX 200

struct errors {
	char **lines;
	size_t count;
	size_t omitted; /* errors beyond ERRORS_MAX, counted but not kept */
};

/* Appends one formatted line. Running out of memory only counts it as omitted. */
void errors_add(struct errors *errors, const char *format, ...) PRINTF_LIKE(2, 3);

/* Frees the lines and leaves an empty list. */
void errors_clear(struct errors *errors);

static inline size_t errors_total(const struct errors *errors)
{
	return errors->count + errors->omitted;
}

#define AUTO_ERRORS CLEANUP(errors_clear)
