/* Words in errors: untrusted text is escaped, and the word that was meant is guessed. */
#pragma once

#include <stddef.h>

#include "base/errors.h"

#define SHOWN_MAX 192

/* The string as it can stand in a message: escaped, and shortened to 40 bytes, so that no value
 * forges a line or fills a screen. Returns buffer. */
const char *shown(const char *string, char buffer[static SHOWN_MAX]);
const char *shown_bytes(const char *bytes, size_t size, char buffer[static SHOWN_MAX]);

/* The candidate nearest to a word, if one is near enough to be what was meant. Begins with the word
 * alone; then the candidates are offered. */
struct guess {
	const char *word;
	const char *nearest; /* NULL: none yet */
	size_t distance;
};

void guess_offer(struct guess *guess, const char *candidate);

#define GUESS_MAX (SHOWN_MAX + 24)

/* ", did you mean "x"?", or otherwise when there is no guess. Returns one of the two. */
const char *guess_or(
	const struct guess *guess, const char *otherwise, char buffer[static GUESS_MAX]);
