/* The tokens of a libconfig file: enough of its grammar to tell a string from a comment and a name
 * from a value. Must agree with libconfig wherever a difference would hide an error. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum token_type {
	TOKEN_END,
	TOKEN_WORD, /* a name, a number, true or false, or anything else without quotes */
	TOKEN_STRING, /* with its quotes */
	TOKEN_ASSIGN, /* = or : */
	TOKEN_SEPARATOR, /* ; or , */
	TOKEN_OPEN, /* { [ or ( */
	TOKEN_CLOSE, /* } ] or ) */
	TOKEN_UNCLOSED_STRING, /* ends with its line */
	TOKEN_UNCLOSED_COMMENT, /* ends with the file */
};

struct token {
	enum token_type type;
	const char *start;
	size_t length;
	unsigned line; /* where it begins, from 1 */
};

struct scanner {
	const char *at, *end;
	unsigned line; /* 1 at the start */
	bool in_value; /* after = or :, where another : belongs to the word */
};

/* The next token; at the end of the bytes always TOKEN_END. */
struct token scan(struct scanner *scanner);

enum word_type { WORD_OTHER, WORD_NAME, WORD_BOOL, WORD_INTEGER, WORD_HEX, WORD_FRACTION };

/* What libconfig takes the word for. */
enum word_type word_type(const struct token *word);
