/* A file in chunks with few settings in one { }: libconfig compares each new name with all before
 * it, which would take it minutes for a large file. */
#pragma once

#include "base/text.h"
#include "config/token.h"

/* Settings at the top level, or in a section, of one chunk. */
#define CHUNK_SETTINGS 32

struct chunker {
	struct scanner scanner; /* behind next */
	struct token previous, current, next;
	struct token section; /* the last name at the top level */
	const char *start; /* of the next chunk; NULL: there is none */
	unsigned line; /* of start */
	size_t depth;
	bool in_section; /* at depth 1: within the { } of a section */
	unsigned counts[2]; /* settings of this chunk at depth 0 and 1 */
};

/* The bytes must live as long, and have passed prescan(). */
void chunker_init(struct chunker *chunker, const char *bytes, size_t size);

/* Writes the next chunk. It is a file of its own: a section that goes on is opened again at its
 * beginning, and closed at its end. Its first line is *ret_line of the file. Returns whether there
 * is one; then the text may have failed. There is at least one, also of an empty file. */
bool chunk_next(struct chunker *chunker, struct text *ret, unsigned *ret_line);
