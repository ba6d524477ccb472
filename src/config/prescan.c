#include "config/prescan.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"
#include "config/config.h"
#include "config/quotes.h"
#include "config/token.h"
#include "base/words.h"

/* The configuration needs four levels. libconfig's parser recurses: it must not see many more. */
#define DEPTH_MAX 16

/* Settings in one { } of a section, of which none has half as many. libconfig compares each with
 * all before it. At the top level and in sections the file is parsed in chunks (chunks.h). */
#define SETTINGS_MAX 128

/* Numbers of this many digits always fit into an int. */
#define INTEGER_DIGITS 9
#define HEX_DIGITS 7

/* The name of a setting. */
struct name {
	const char *start;
	size_t length;
	unsigned line;
	unsigned scope; /* the { } that it stands in; 0: none */
	unsigned parent; /* 1 + the index of the name that this { } belongs to; 0: none */
};

struct names {
	struct name *items;
	size_t count;
};

/* An open bracket. */
struct level {
	char bracket;
	unsigned line;
	unsigned scope, parent; /* of the names in it */
	unsigned count; /* names in it; in an array or a list, separators */
	bool is_stray; /* it stands where a name belongs */
};

struct prescan {
	const char *file;
	struct errors *errors;
	struct token previous, current, next;
	struct level levels[DEPTH_MAX + 1]; /* levels[0] is the file itself */
	size_t depth;
	unsigned scopes;
	struct names names;
	struct refused_lines *refused;
	bool unbalanced; /* a bracket or string did not close: which brackets are open is not known
			  */
	int result; /* -EINVAL: libconfig must not see it */
};

static void PRINTF_LIKE(3, 4)
	refuse(struct prescan *prescan, unsigned line, const char *format, ...)
{
	char why[WHY_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	errors_add(prescan->errors, "%s:%u: %s", prescan->file, line, why);
	if (!prescan->result)
		prescan->result = -EINVAL;
}

static const char *show(const struct token *token, char buffer[static SHOWN_MAX])
{
	return shown_bytes(token->start, token->length, buffer);
}

/* Reports an integer. libconfig may still see the file. */
static void refuse_integer(struct prescan *prescan, const char *why)
{
	const struct token *word = &prescan->current;
	char buffer[SHOWN_MAX];

	if (array_add(prescan->refused, word->line) < 0) {
		prescan->result = -ENOMEM;
		return;
	}
	errors_add(prescan->errors, "%s:%u: %s %s", prescan->file, word->line, show(word, buffer),
		why);
}

static void check_integer(struct prescan *prescan)
{
	const char *at = prescan->current.start, *end = at + prescan->current.length;
	size_t count = 0;

	if (*at == '-' || *at == '+')
		at++;
	while (at + count < end && isdigit((unsigned char)at[count]))
		count++;
	if (count > 1 && *at == '0')
		refuse_integer(prescan,
			"begins with 0, which some versions of libconfig take for octal, remove "
			"the 0 (a file mode is a string: \"0660\")");
	else if (count > INTEGER_DIGITS)
		refuse_integer(prescan,
			"has more than 9 digits, use a smaller number "
			"(a size or a duration is a string with its unit: \"4G\", \"5s\")");
}

static void check_hex(struct prescan *prescan)
{
	const char *at = prescan->current.start + 2,
		   *end = prescan->current.start + prescan->current.length;
	size_t count = 0;

	while (at < end && *at == '0')
		at++;
	while (at + count < end && isxdigit((unsigned char)at[count]))
		count++;
	if (count > HEX_DIGITS)
		refuse_integer(prescan, "has more than 7 hexadecimal digits, use a smaller number");
}

/* ---- Values without quotes ---- */

/* The type of the keys of this name, where all of them have the same; else a string. Those of the
 * kinds of handlers are not known here. */
static enum key_type type_of(const struct name *name)
{
	static const struct schema *const schemas[] = {&config_schema, &group_schema,
		&events_schema, &handler_schema, &filter_schema, &control_schema, &http_schema};
	enum key_type type = KEY_TYPES;

	for (size_t i = 0; i < ARRAY_SIZE(schemas); i++)
		for (size_t j = 0; j < schemas[i]->count; j++) {
			const struct key *key = &schemas[i]->keys[j];
			const char *dot = strrchr(key->name, '.'),
				   *plain = dot ? dot + 1 : key->name;

			if (strlen(plain) != name->length ||
				memcmp(plain, name->start, name->length))
				continue;
			if (type != KEY_TYPES && type != key->type)
				return KEY_STRING;
			type = key->type;
		}
	return type == KEY_TYPES ? KEY_STRING : type;
}

/* The type of the key whose value the current word is. */
static enum key_type wanted_type(const struct prescan *prescan)
{
	if (prescan->previous.type != TOKEN_ASSIGN || !prescan->names.count)
		return KEY_STRING;
	return type_of(&prescan->names.items[prescan->names.count - 1]);
}

/* A value in other quotes than those of strings, or with a character that looks like a space. */
static void refuse_quotes(struct prescan *prescan, const char *shown, bool is_space)
{
	const struct token *word = &prescan->current;
	struct token bare = quotes_leave_out(word);
	enum key_type type = wanted_type(prescan);
	char buffer[SHOWN_MAX];

	show(&bare, buffer);
	if (is_space)
		refuse(prescan, word->line,
			"syntax error, a character in \"%s\" only looks like a space, as in text "
			"from a web page: remove it",
			shown);
	else if (type == KEY_NUMBER || type == KEY_BOOL)
		refuse(prescan, word->line, "syntax error at %s, write %s without quotes", shown,
			buffer);
	else
		refuse(prescan, word->line,
			"syntax error at %s, strings take plain double quotes: \"%s\"", shown,
			buffer);
}

/* A word where a value belongs. */
static void refuse_value(struct prescan *prescan, const char *shown)
{
	const struct token *word = &prescan->current;
	struct token value = *word;
	enum key_type type = wanted_type(prescan);
	unsigned line = word->line;
	bool is_space = false;
	char buffer[SHOWN_MAX];

	value.length -= value.start[value.length - 1] == ':';
	if (quotes_find(word, &is_space) || quotes_stand_at(word))
		refuse_quotes(prescan, shown, is_space);
	else if (!strcasecmp(shown, "yes") || !strcasecmp(shown, "on"))
		refuse(prescan, line, "syntax error, write true instead of %s", shown);
	else if (!strcasecmp(shown, "no") || !strcasecmp(shown, "off"))
		refuse(prescan, line, "syntax error, write false instead of %s", shown);
	else if (value.length < word->length && value.length && word_type(&value) != WORD_OTHER &&
		 word_type(&value) != WORD_NAME)
		refuse(prescan, line, "syntax error, a value ends with ; and not with :, write %s;",
			show(&value, buffer));
	else if (type == KEY_NUMBER)
		refuse(prescan, line, "syntax error, %s is no whole number, write digits alone",
			shown);
	else if (type == KEY_BOOL)
		refuse(prescan, line, "syntax error, write true or false instead of %s", shown);
	else
		refuse(prescan, line, "syntax error, the value %s needs double quotes: \"%s\"",
			shown, shown);
}

/* A word that is neither a value nor the name of a setting: the error depends on what is around it.
 */
static void check_stray_word(struct prescan *prescan)
{
	const struct token *word = &prescan->current;
	char bracket = prescan->levels[prescan->depth].bracket;
	bool in_array = !prescan->unbalanced && (bracket == '[' || bracket == '(');
	char buffer[SHOWN_MAX];

	show(word, buffer);
	if (in_array && prescan->levels[prescan->depth].is_stray)
		return; /* the bracket has been reported */
	if (word->length >= 8 && !memcmp(word->start, "@include", 8))
		refuse(prescan, word->line,
			"@include is not supported, put the file into conf.d instead");
	else if (prescan->previous.type == TOKEN_ASSIGN && prescan->next.type == TOKEN_ASSIGN &&
		 prescan->previous.line < word->line)
		refuse(prescan, prescan->previous.line,
			"syntax error, there is no value after %.1s", prescan->previous.start);
	else if (prescan->previous.type == TOKEN_ASSIGN || in_array)
		refuse_value(prescan, buffer);
	else
		refuse(prescan, word->line, "syntax error at \"%s\", a setting is NAME = VALUE;",
			buffer);
}

/* The name of a setting, in the { } of the level. */
static void add_name(struct prescan *prescan, struct level *level)
{
	const struct token *word = &prescan->current;

	if (array_add(&prescan->names, (struct name){word->start, word->length, word->line,
					       level->scope, level->parent}) < 0)
		prescan->result = -ENOMEM;
	if (++level->count == SETTINGS_MAX + 1 && prescan->depth > 1 && !prescan->unbalanced)
		refuse(prescan, word->line,
			"the { of line %u has more than %d settings: is this the right file?",
			level->line, SETTINGS_MAX);
}

static void check_word(struct prescan *prescan)
{
	struct level *level = &prescan->levels[prescan->depth];
	const struct token *word = &prescan->current;
	enum word_type type = word_type(word);
	bool is_name = prescan->next.type == TOKEN_ASSIGN && prescan->previous.type != TOKEN_ASSIGN;
	char buffer[SHOWN_MAX];

	if (is_name && type == WORD_NAME) {
		add_name(prescan, level);
	} else if (is_name) {
		refuse(prescan, word->line,
			"syntax error, \"%s\" cannot be a name: use a letter, then letters, "
			"digits, - and _",
			show(word, buffer));
	} else if (type == WORD_INTEGER) {
		check_integer(prescan);
	} else if (type == WORD_HEX) {
		check_hex(prescan);
	} else if (type == WORD_NAME || type == WORD_OTHER) {
		check_stray_word(prescan);
	}
}

/* Whether \x00 stands in the string, and is not the end of an escaped backslash. */
static bool has_nul_escape(const struct token *string)
{
	for (size_t i = 0; i + 3 < string->length; i++) {
		if (string->start[i] != '\\')
			continue;
		if (!strncasecmp(string->start + i, "\\x00", 4))
			return true;
		i++;
	}
	return false;
}

static void check_string(struct prescan *prescan)
{
	const struct token *string = &prescan->current;

	if (prescan->previous.type == TOKEN_STRING)
		refuse(prescan, string->line,
			"two strings without a comma between them become one, write the comma");
	if (has_nul_escape(string))
		refuse(prescan, string->line, "\\x00 cannot be in a string, remove it");
}

/* Only the first bracket that does not pair is reported: all after it would be guesses. Returns
 * whether this one is the first. */
static bool mark_unbalanced(struct prescan *prescan)
{
	bool was_unbalanced = prescan->unbalanced;

	prescan->unbalanced = true;
	return !was_unbalanced;
}

/* A bracket that is no value, as in the [section] of other programs' files. */
static void check_stray_bracket(
	struct prescan *prescan, const struct level *outer, struct level *level)
{
	const struct token *next = &prescan->next;
	bool is_section = !outer->bracket && level->bracket == '[' && next->type == TOKEN_WORD &&
			  word_type(next) == WORD_NAME;
	char buffer[SHOWN_MAX];

	if (prescan->unbalanced || (outer->bracket && outer->bracket != '{') ||
		prescan->previous.type == TOKEN_WORD)
		return; /* the word has been reported */
	level->is_stray = true;
	if (is_section)
		refuse(prescan, level->line,
			"syntax error, a section has its name in front of braces and no [ ]: write "
			"%s: { ... };",
			show(next, buffer));
	else
		refuse(prescan, level->line,
			"syntax error, this %c stands where a name belongs: a setting is NAME = "
			"VALUE;",
			level->bracket);
}

static void open_level(struct prescan *prescan)
{
	const struct level *outer = &prescan->levels[prescan->depth];
	struct level *level;

	if (prescan->depth == DEPTH_MAX) {
		if (mark_unbalanced(prescan))
			refuse(prescan, prescan->current.line,
				"syntax error, brackets are more than %d deep, is one not closed?",
				DEPTH_MAX);
		return;
	}
	level = &prescan->levels[++prescan->depth];
	*level = (struct level){*prescan->current.start, prescan->current.line, outer->scope,
		outer->parent, 0, false};
	if (prescan->previous.type == TOKEN_ASSIGN)
		level->parent = (unsigned)prescan->names.count;
	else
		check_stray_bracket(prescan, outer, level);
	if (level->bracket == '{')
		level->scope = ++prescan->scopes;
}

static char opening_of(char closing)
{
	return closing == '}' ? '{' : closing == ']' ? '[' : '(';
}

static void close_level(struct prescan *prescan)
{
	const struct level *level = &prescan->levels[prescan->depth];
	unsigned line = prescan->current.line;
	char closing = *prescan->current.start;

	if (!prescan->depth) {
		if (mark_unbalanced(prescan))
			refuse(prescan, line,
				"syntax error, this %c closes nothing, is there one too many "
				"above?",
				closing);
		return;
	}
	if (level->bracket != opening_of(closing) && mark_unbalanced(prescan))
		refuse(prescan, line,
			"syntax error, this %c cannot close the %c of line %u, is one missing in "
			"between?",
			closing, level->bracket, level->line);
	prescan->depth--;
}

/* Beyond what any list takes, items would only use memory. */
static void count_item(struct prescan *prescan)
{
	struct level *level = &prescan->levels[prescan->depth];

	if (++level->count == LIST_ITEMS_MAX && level->bracket && !prescan->unbalanced)
		refuse(prescan, prescan->current.line,
			"the %c of line %u has more than %d items, the most that are allowed",
			level->bracket, level->line, LIST_ITEMS_MAX);
}

/* After = and between separators. */
static void check_gap(struct prescan *prescan)
{
	const struct token *token = &prescan->current, *next = &prescan->next;
	char bracket = prescan->levels[prescan->depth].bracket;

	if (token->type == TOKEN_SEPARATOR && bracket != '{')
		count_item(prescan);
	if (token->type == TOKEN_ASSIGN) {
		if (next->type == TOKEN_SEPARATOR || next->type == TOKEN_CLOSE ||
			next->type == TOKEN_END)
			refuse(prescan, token->line, "syntax error, there is no value after %.1s",
				token->start);
	} else if (next->type == TOKEN_SEPARATOR) {
		refuse(prescan, next->line, "syntax error, remove the second %.1s", next->start);
	} else if (next->type == TOKEN_CLOSE && bracket != '{' &&
		   bracket == opening_of(*next->start)) {
		refuse(prescan, token->line, "syntax error, remove the %.1s before %.1s",
			token->start, next->start);
	}
}

static void check_token(struct prescan *prescan)
{
	unsigned line = prescan->current.line;
	bool is_space = false;

	switch (prescan->current.type) {
	case TOKEN_WORD:
		check_word(prescan);
		break;
	case TOKEN_STRING:
		check_string(prescan);
		break;
	case TOKEN_OPEN:
		open_level(prescan);
		break;
	case TOKEN_CLOSE:
		close_level(prescan);
		break;
	case TOKEN_ASSIGN:
	case TOKEN_SEPARATOR:
		check_gap(prescan);
		break;
	case TOKEN_UNCLOSED_STRING:
		if (quotes_find(&prescan->current, &is_space) && !is_space)
			refuse(prescan, line,
				"syntax error, the string ends with \", and not with a typographic "
				"quote");
		else
			refuse(prescan, line,
				"syntax error, the string has no closing \" on its line (a line "
				"break within is \\n)");
		prescan->unbalanced = true;
		break;
	case TOKEN_UNCLOSED_COMMENT:
		refuse(prescan, line, "the comment that begins here is never closed, add */");
		prescan->unbalanced = true;
		break;
	case TOKEN_END:
		break;
	}
}

/* ---- Names ---- */

static int compare_names(const struct name *a, const struct name *b)
{
	if (a->scope != b->scope)
		return a->scope < b->scope ? -1 : 1;
	if (a->length != b->length)
		return a->length < b->length ? -1 : 1;
	return memcmp(a->start, b->start, a->length);
}

/* Equal ones stay in the order of the file, which is that of the array. */
static int order_names(const void *a, const void *b)
{
	const struct name *left = *(const struct name *const *)a,
			  *right = *(const struct name *const *)b;
	int order = compare_names(left, right);

	return order ? order : (left > right) - (left < right);
}

/* "groups.news.port" */
static void append_path(struct text *path, const struct names *names, const struct name *name)
{
	char buffer[SHOWN_MAX];

	if (name->parent) {
		append_path(path, names, &names->items[name->parent - 1]);
		text_append_string(path, ".");
	}
	text_append_string(path, shown_bytes(name->start, name->length, buffer));
}

/* Each file may have the blocks of groups and handlers, and removing one would lose what is in it.
 */
static const char *hint_twice(const char *path)
{
	if (!strcmp(path, "groups"))
		return ": put its groups into that block, or this block into a file of its own in "
		       "conf.d (NAME.d beside NAME.conf)";
	if (!strcmp(path, "handlers"))
		return ": put its handlers into that block, or this block into a file of its own "
		       "in conf.d (NAME.d beside NAME.conf)";
	return ", remove one of them";
}

/* Reports each name that its { } has already: libconfig would only say "duplicate setting name",
 * stop, and not tell where the first is. */
static void check_names(struct prescan *prescan)
{
	const struct names *names = &prescan->names;
	AUTO_FREE const struct name **sorted = calloc(
		names->count + 1, sizeof(const struct name *));
	size_t first = 0;

	if (!sorted) {
		prescan->result = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < names->count; i++)
		sorted[i] = &names->items[i];
	qsort(sorted, names->count, sizeof(*sorted), order_names);
	for (size_t i = 1; i < names->count; i++) {
		AUTO_TEXT struct text path = {0};

		if (compare_names(sorted[first], sorted[i])) {
			first = i;
			continue;
		}
		if (!errors_full(prescan->errors))
			append_path(&path, names, sorted[i]);
		errors_add(prescan->errors, "%s:%u: %s: already defined at %s:%u%s", prescan->file,
			sorted[i]->line, text_string(&path), prescan->file, sorted[first]->line,
			hint_twice(text_string(&path)));
		prescan->result = prescan->result ? prescan->result : -EINVAL;
	}
}

/* ---- The whole file ---- */

/* Checks for bytes that belong to no token. Returns whether there is anything to scan. */
static bool check_bytes(struct prescan *prescan, const char *bytes, size_t size)
{
	const char *nul = memchr(bytes, '\0', size);
	unsigned line = 1;

	if (nul) {
		for (const char *at = bytes; at < nul; at++)
			line += *at == '\n';
		refuse(prescan, line,
			"there is a NUL byte, which no text has: is this the right file?");
		return false;
	}
	if (size >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3)) {
		refuse(prescan, 1, "the file begins with a byte order mark, save it without");
		return false;
	}
	return true;
}

static void scan_tokens(struct prescan *prescan, const char *bytes, size_t size)
{
	struct scanner scanner = {.at = bytes, .end = bytes + size, .line = 1};
	const struct level *level;

	prescan->current = scan(&scanner);
	while (prescan->current.type != TOKEN_END) {
		prescan->next = scan(&scanner);
		check_token(prescan);
		prescan->previous = prescan->current;
		prescan->current = prescan->next;
	}
	level = &prescan->levels[prescan->depth];
	if (prescan->depth && mark_unbalanced(prescan))
		refuse(prescan, level->line,
			"syntax error, the %c that is opened here is never closed", level->bracket);
	if (!prescan->unbalanced)
		check_names(prescan);
}

int prescan(const char *file, const char *bytes, size_t size, struct errors *errors,
	struct refused_lines *ret_refused)
{
	struct prescan prescan = {.file = file, .errors = errors, .refused = ret_refused};

	*ret_refused = (struct refused_lines){0};
	if (check_bytes(&prescan, bytes, size))
		scan_tokens(&prescan, bytes, size);
	free(prescan.names.items);
	return prescan.result;
}

void refused_lines_clear(struct refused_lines *refused)
{
	free(refused->items);
	*refused = (struct refused_lines){0};
}

static int compare_lines(const void *a, const void *b)
{
	const unsigned *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

bool refused_lines_contain(const struct refused_lines *refused, unsigned line)
{
	return refused->count &&
	       bsearch(&line, refused->items, refused->count, sizeof(line), compare_lines);
}
