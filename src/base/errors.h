/* A list of error texts: loading a configuration collects all errors before it fails, so that one
 * run shows them all. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

/* Room for one reason: what failed, why, and how to fix it. */
#define WHY_MAX 256

/* Writes the reason and returns error, for use in a return statement. */
int because(char why[static WHY_MAX], int error, const char *format, ...) PRINTF_LIKE(3, 4);

/* Errors beyond this number are only counted, for files of garbage. */
#define ERRORS_MAX 200

struct errors {
	char *lines[ERRORS_MAX];
	size_t count;
	size_t omitted; /* errors beyond ERRORS_MAX */
};

/* Appends one formatted line; without memory, one that says so. */
void errors_add(struct errors *errors, const char *format, ...) PRINTF_LIKE(2, 3);

/* Frees the lines and leaves an empty list. */
void errors_clear(struct errors *errors);

static inline size_t errors_total(const struct errors *errors)
{
	return errors->count + errors->omitted;
}

/* Whether more errors are only counted, and their texts need not be made. */
static inline bool errors_full(const struct errors *errors)
{
	return errors->count == ERRORS_MAX;
}

#define AUTO_ERRORS CLEANUP(errors_clear)
