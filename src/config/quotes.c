#include "config/quotes.h"

#include <string.h>

#include "base/cleanup.h"

/* Characters that word processors and web pages make of quotes and spaces, in UTF-8. */
static const struct {
	const char *bytes;
	bool is_space;
} typographic[] = {{"\u201c", false}, {"\u201d", false}, {"\u201e", false}, {"\u201f", false},
	{"\u2018", false}, {"\u2019", false}, {"\u201a", false}, {"\u2032", false},
	{"\u2033", false}, {"\u00ab", false}, {"\u00bb", false}, {"\uff02", false},
	{"\u00a0", true}, {"\u2002", true}, {"\u2003", true}, {"\u2007", true}, {"\u2009", true},
	{"\u200b", true}, {"\u202f", true}, {"\u2060", true}, {"\u3000", true}, {"\ufeff", true}};

const char *quotes_find(const struct token *token, bool *ret_is_space)
{
	const char *found = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(typographic); i++) {
		const char *bytes = typographic[i].bytes,
			   *at = memmem(token->start, token->length, bytes, strlen(bytes));

		if (!at || (found && found < at))
			continue;
		found = at;
		*ret_is_space = typographic[i].is_space;
	}
	return found;
}

/* The length of what a word begins with, one of them or an apostrophe; or 0. */
static size_t quote_at(const char *at, size_t length)
{
	if (length && (*at == '\'' || *at == '`'))
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(typographic); i++) {
		size_t bytes = strlen(typographic[i].bytes);

		if (bytes <= length && !memcmp(at, typographic[i].bytes, bytes))
			return bytes;
	}
	return 0;
}

bool quotes_stand_at(const struct token *word)
{
	return quote_at(word->start, word->length);
}

struct token quotes_leave_out(const struct token *word)
{
	struct token bare = *word;
	size_t quote;

	while ((quote = quote_at(bare.start, bare.length))) {
		bare.start += quote;
		bare.length -= quote;
	}
	for (size_t bytes = 3; bytes && bare.length; bytes--)
		if (bare.length >= bytes &&
			quote_at(bare.start + bare.length - bytes, bytes) == bytes) {
			bare.length -= bytes;
			bytes = 4;
		}
	return bare;
}
