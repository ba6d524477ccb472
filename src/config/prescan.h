/* Rejects input that libconfig silently misreads, before libconfig sees it. In some or all of its
 * versions it exits (@include of a directory), stops at a NUL, wraps integers, reads 010 as ten or
 * as eight, joins strings that lack a comma, takes an unclosed comment for the rest of the file,
 * and says no more than "syntax error" about most mistakes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/errors.h"

/* Lines, ascending, with an integer that was refused: no later check may judge it. */
struct refused_lines {
	unsigned *items;
	size_t count;
};

/* Checks all of the bytes and adds "file:line: what is wrong, what to write instead" for each
 * error. Returns 0 when libconfig may see them, or -EINVAL, or -ENOMEM. Fills in *ret_refused in
 * all three cases, to be freed with refused_lines_clear(). */
int prescan(const char *file, const char *bytes, size_t size, struct errors *errors,
	struct refused_lines *ret_refused);

void refused_lines_clear(struct refused_lines *refused);
bool refused_lines_contain(const struct refused_lines *refused, unsigned line);
