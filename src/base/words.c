#include "base/words.h"

#include <stdint.h>
#include <string.h>

#include "base/escape.h"

#define SHOWN_BYTES 40 /* of the original; escaping makes up to four bytes of one */
#define WORD_LENGTH 64 /* there are no guesses for longer words */

const char *shown_bytes(const char *bytes, size_t size, char buffer[static SHOWN_MAX])
{
	AUTO_TEXT struct text text = {0};
	size_t length = size;

	if (size > SHOWN_BYTES) {
		length = SHOWN_BYTES;
		/* Not in the middle of a character. */
		while (length > SHOWN_BYTES - 4 && ((unsigned char)bytes[length] & 0xc0) == 0x80)
			length--;
	}
	text_append_escaped(&text, bytes, length);
	snprintf(buffer, SHOWN_MAX, "%s%s", text_string(&text), length < size ? "..." : "");
	return buffer;
}

const char *shown(const char *string, char buffer[static SHOWN_MAX])
{
	return shown_bytes(string, strlen(string), buffer);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that make one word of the other
 * (optimal string alignment). Both are at most WORD_LENGTH long. */
static size_t edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	uint8_t rows[3][WORD_LENGTH + 1];

	for (size_t i = 0; i <= a_length; i++) {
		uint8_t *row = rows[i % 3], *above = rows[(i + 2) % 3],
			*two_above = rows[(i + 1) % 3];

		row[0] = (uint8_t)i;
		for (size_t j = 1; j <= b_length; j++) {
			size_t cost;

			if (i == 0) {
				row[j] = (uint8_t)j;
				continue;
			}
			cost = least(above[j - 1] + (a[i - 1] != b[j - 1] ? 1u : 0u),
				least(above[j], row[j - 1]) + 1u);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				cost = least(cost, two_above[j - 2] + 1u);
			row[j] = (uint8_t)cost;
		}
	}
	return rows[a_length % 3][b_length];
}

void guess_offer(struct guess *guess, const char *candidate)
{
	size_t length = strlen(guess->word), candidate_length = strlen(candidate);
	size_t limit = length < 3 ? 1 : length / 3, distance;

	if (length > WORD_LENGTH || candidate_length > WORD_LENGTH)
		return;
	if (candidate_length > length + limit || length > candidate_length + limit)
		return;
	distance = edit_distance(guess->word, length, candidate, candidate_length);
	if (distance > limit || (guess->nearest && distance >= guess->distance))
		return;
	guess->nearest = candidate;
	guess->distance = distance;
}

const char *guess_or(
	const struct guess *guess, const char *otherwise, char buffer[static GUESS_MAX])
{
	char word[SHOWN_MAX];

	if (!guess->nearest)
		return otherwise;
	snprintf(buffer, GUESS_MAX, ", did you mean \"%s\"?", shown(guess->nearest, word));
	return buffer;
}
