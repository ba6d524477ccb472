#include "config/chunks.h"

void chunker_init(struct chunker *chunker, const char *bytes, size_t size)
{
	*chunker = (struct chunker){
		.scanner = {.at = bytes, .end = bytes + size, .line = 1},
		.start = bytes,
		.line = 1,
	};
	chunker->current = scan(&chunker->scanner);
	chunker->next = scan(&chunker->scanner);
}

/* Whether the current token names a setting that counts. */
static bool is_counted(const struct chunker *chunker)
{
	return chunker->current.type == TOKEN_WORD && chunker->next.type == TOKEN_ASSIGN &&
	       chunker->previous.type != TOKEN_ASSIGN &&
	       (!chunker->depth || (chunker->depth == 1 && chunker->in_section));
}

/* Counts the current token, and moves to the next one. */
static void pass_token(struct chunker *chunker)
{
	const struct token *token = &chunker->current;

	if (is_counted(chunker)) {
		chunker->counts[chunker->depth]++;
		if (!chunker->depth)
			chunker->section = *token;
	} else if (token->type == TOKEN_OPEN && ++chunker->depth == 1) {
		chunker->in_section = *token->start == '{' &&
				      chunker->previous.type == TOKEN_ASSIGN;
		chunker->counts[1] = 0;
	} else if (token->type == TOKEN_CLOSE) {
		chunker->depth--;
	}
	chunker->previous = *token;
	chunker->current = chunker->next;
	chunker->next = scan(&chunker->scanner);
}

/* Whether the current token must begin another chunk. */
static bool is_full(const struct chunker *chunker)
{
	return is_counted(chunker) && chunker->counts[chunker->depth] == CHUNK_SETTINGS;
}

bool chunk_next(struct chunker *chunker, struct text *ret, unsigned *ret_line)
{
	const char *start = chunker->start, *end;

	if (!start)
		return false;
	*ret_line = chunker->line;
	text_clear(ret);
	if (chunker->depth) {
		text_append(ret, chunker->section.start, chunker->section.length);
		text_append_string(ret, ":{");
	}
	chunker->counts[0] = chunker->depth ? 1 : 0; /* the section that goes on */
	chunker->counts[1] = 0;
	while (chunker->current.type != TOKEN_END && !is_full(chunker))
		pass_token(chunker);
	end = chunker->current.start;
	text_append(ret, start, (size_t)(end - start));
	if (chunker->depth)
		text_append_string(ret, "}");
	chunker->start = chunker->current.type == TOKEN_END ? NULL : end;
	chunker->line = chunker->current.line;
	return true;
}
