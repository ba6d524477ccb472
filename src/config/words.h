/* How errors are worded: what strangers wrote is shown safely, and the word they meant is guessed.
 */
#pragma once

#include <stddef.h>

#include "base/errors.h"

#define SHOWN_MAX 192

/* The string as it can stand in a message: escaped, and cut after some forty bytes, so that no
 * value forges a line or fills a screen. Returns buffer. */
const char *shown(const char *string, char buffer[static SHOWN_MAX]);
const char *shown_bytes(const char *bytes, size_t size, char buffer[static SHOWN_MAX]);

/* The candidate nearest to a word, if one is near enough to have been meant. Start out with the
 * word alone, then offer the candidates. */
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
