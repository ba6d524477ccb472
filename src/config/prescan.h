/* What libconfig would get wrong without a word, found in the bytes before it sees them. In some or
 * all of its versions it exits (@include of a directory), stops at a NUL, wraps integers, reads 010
 * as ten or as eight, joins strings that lack a comma, takes an unclosed comment for the rest of
 * the file, and says no more than "syntax error" to most mistakes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/errors.h"

/* Lines, ascending, with an integer that was refused. It is not a value that may be judged further.
 */
struct odd_lines {
	unsigned *items;
	size_t count;
};

/* Looks at all of the bytes and adds "file:line: what, and what would do" for each error. Returns 0
 * when libconfig may see them, or -EINVAL, or -ENOMEM. *ret_odd is filled in by all three, and to
 * be released with odd_lines_clear(). */
int prescan(const char *file, const char *bytes, size_t size, struct errors *errors,
	struct odd_lines *ret_odd);

void odd_lines_clear(struct odd_lines *odd);
bool odd_lines_contain(const struct odd_lines *odd, unsigned line);
