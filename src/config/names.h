/* The names of one file's settings, by the { } that they stand in, to find those that stand there
 * twice: libconfig would only say "duplicate setting name", stop, and not tell where the first is.
 */
#pragma once

#include <stddef.h>

#include "base/errors.h"
#include "config/token.h"

struct name {
	const char *start;
	size_t length;
	unsigned line;
	unsigned scope; /* 0: not in any { } */
	unsigned parent; /* of the name whose { } it stands in: its index + 1; 0: none */
};

struct names {
	struct name *items;
	size_t count;
};

/* Returns 0 or -ENOMEM. */
int names_add(struct names *names, const struct token *word, unsigned scope, unsigned parent);
void names_clear(struct names *names);

/* Adds one error for each name that its scope has already. Returns how many, or -ENOMEM. */
int names_check(const struct names *names, const char *file, struct errors *errors);
