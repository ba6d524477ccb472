#include "config/token.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool starts_with(const struct scanner *scanner, const char *string)
{
	size_t length = strlen(string);

	return (size_t)(scanner->end - scanner->at) >= length &&
	       !memcmp(scanner->at, string, length);
}

static void advance(struct scanner *scanner)
{
	if (*scanner->at++ == '\n')
		scanner->line++;
}

static void skip_line(struct scanner *scanner)
{
	while (scanner->at < scanner->end && *scanner->at != '\n')
		scanner->at++;
}

/* Skips white space and comments. Returns false at a comment that does not end, and stays at its
 * beginning. */
static bool skip_blank(struct scanner *scanner)
{
	while (scanner->at < scanner->end) {
		if (strchr(" \t\r\n\f", *scanner->at) && *scanner->at) {
			advance(scanner);
		} else if (*scanner->at == '#' || starts_with(scanner, "//")) {
			skip_line(scanner);
		} else if (starts_with(scanner, "/*")) {
			size_t left = (size_t)(scanner->end - scanner->at) - 2;
			const char *close = memmem(scanner->at + 2, left, "*/", 2);

			if (!close)
				return false;
			while (scanner->at < close + 2)
				advance(scanner);
		} else {
			break;
		}
	}
	return true;
}

/* A backslash makes the next byte part of the string, whatever it is. So do libconfig's escapes. */
static enum token_type scan_string(struct scanner *scanner)
{
	scanner->at++;
	while (scanner->at < scanner->end && *scanner->at != '\n') {
		if (*scanner->at == '"') {
			scanner->at++;
			return TOKEN_STRING;
		}
		if (*scanner->at == '\\' && scanner->end - scanner->at > 1 &&
			scanner->at[1] != '\n')
			scanner->at++;
		scanner->at++;
	}
	return TOKEN_UNCLOSED_STRING;
}

static bool is_word(const struct scanner *scanner)
{
	char c = *scanner->at;

	if (c == ':')
		return scanner->in_value;
	return !strchr(" \t\r\n\f=;,{}[]()\"#", c) && !starts_with(scanner, "//") &&
	       !starts_with(scanner, "/*");
}

static enum token_type scan_type(struct scanner *scanner)
{
	switch (*scanner->at) {
	case '"':
		return scan_string(scanner);
	case '=':
		scanner->at++;
		return TOKEN_ASSIGN;
	case ';':
	case ',':
		scanner->at++;
		return TOKEN_SEPARATOR;
	case '{':
	case '[':
	case '(':
		scanner->at++;
		return TOKEN_OPEN;
	case '}':
	case ']':
	case ')':
		scanner->at++;
		return TOKEN_CLOSE;
	default:
		break;
	}
	if (*scanner->at == ':' && !scanner->in_value) {
		scanner->at++;
		return TOKEN_ASSIGN;
	}
	do
		scanner->at++;
	while (scanner->at < scanner->end && is_word(scanner));
	return TOKEN_WORD;
}

struct token scan(struct scanner *scanner)
{
	bool closed = skip_blank(scanner);
	struct token token = {TOKEN_END, scanner->at, 0, scanner->line};

	if (!closed) {
		token.type = TOKEN_UNCLOSED_COMMENT;
		scanner->at = scanner->end;
	} else if (scanner->at < scanner->end) {
		token.type = scan_type(scanner);
	}
	token.length = (size_t)(scanner->at - token.start);
	scanner->in_value = token.type == TOKEN_ASSIGN;
	return token;
}

static const char *skip_digits(const char *at, const char *end)
{
	while (at < end && isdigit((unsigned char)*at))
		at++;
	return at;
}

/* At most two L, which mark a 64-bit number. */
static bool is_suffix(const char *at, const char *end)
{
	return at == end || (*at == 'L' && (at + 1 == end || (at[1] == 'L' && at + 2 == end)));
}

static bool is_hex(const char *at, const char *end)
{
	const char *digits = at + 2;

	if (end - at < 3 || at[0] != '0' || (at[1] != 'x' && at[1] != 'X'))
		return false;
	for (at = digits; at < end && isxdigit((unsigned char)*at); at++)
		;
	return at > digits && is_suffix(at, end);
}

/* What follows the leading digits of a fraction: "." and digits, an exponent, or both. */
static bool is_fraction_rest(const char *at, const char *end)
{
	const char *start = at, *digits;

	if (at < end && *at == '.')
		at = skip_digits(at + 1, end);
	if (at < end && (*at == 'e' || *at == 'E')) {
		digits = at + 1;
		if (digits < end && (*digits == '-' || *digits == '+'))
			digits++;
		at = skip_digits(digits, end);
		if (at == digits)
			return false;
	}
	return at > start && at == end;
}

static bool is_name(const char *at, const char *end)
{
	if (!isalpha((unsigned char)*at) && *at != '*')
		return false;
	while (at < end && (isalnum((unsigned char)*at) || (*at && strchr("-_*", *at))))
		at++;
	return at == end;
}

enum word_type word_type(const struct token *word)
{
	const char *at = word->start, *end = at + word->length, *digits;

	if ((word->length == 4 && !strncasecmp(at, "true", 4)) ||
		(word->length == 5 && !strncasecmp(at, "false", 5)))
		return WORD_BOOL;
	if (is_name(at, end))
		return WORD_NAME;
	if (is_hex(at, end))
		return WORD_HEX;
	if (*at == '-' || *at == '+')
		at++;
	digits = at;
	at = skip_digits(at, end);
	if (at > digits && is_suffix(at, end))
		return WORD_INTEGER;
	return is_fraction_rest(at, end) ? WORD_FRACTION : WORD_OTHER;
}
