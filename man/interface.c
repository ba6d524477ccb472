/* The interface of the control socket, as it is described in control/io.mcastd.varlink. */
#include "tables.h"

/* Declarations that are longer are written with one parameter a line. */
#define DECLARATION_WIDTH 72

static const char interface[] =
#include "control/io.mcastd.varlink.h"
	;

struct declaration {
	const char *keyword, *name; /* not terminated */
	size_t name_length;
	const char *comment, *start, *end; /* comment is start where there is none */
};

static const char *next_line(const char *at)
{
	return strchr(at, '\n') + 1;
}

/* Behind a declaration, which ends with a line after which no parenthesis is open. */
static const char *end_of_declaration(const char *at)
{
	int depth = 0;

	for (; *at && (*at != '\n' || depth > 0); at++)
		depth += *at == '(' ? 1 : *at == ')' ? -1 : 0;
	return at;
}

/* Finds the next declaration. Returns where to go on, or NULL at the end. */
static const char *next_declaration(const char *at, struct declaration *ret)
{
	const char *comment = NULL;

	for (; *at == '\n' || *at == '#'; at = next_line(at)) {
		if (*at == '\n')
			comment = NULL;
		else if (!comment)
			comment = at;
	}
	if (!*at)
		return NULL;
	*ret = (struct declaration){.keyword = at, .start = at, .comment = comment ? comment : at};
	ret->end = end_of_declaration(at);
	ret->name = at + strcspn(at, " ") + 1;
	ret->name_length = strcspn(ret->name, " (\n");
	return *ret->end ? ret->end + 1 : ret->end;
}

/* A long one gets one parameter a line, as those that are written so in the description. */
static void append_declaration(struct text *out, const struct declaration *declaration)
{
	size_t size = (size_t)(declaration->end - declaration->start);
	const char *open = memchr(declaration->start, '(', size);
	const char *close = memchr(declaration->start, ')', size);

	if (size <= DECLARATION_WIDTH || memchr(declaration->start, '\n', size) || !open ||
		!close) {
		text_append(out, declaration->start, size);
		return;
	}
	text_append(out, declaration->start, (size_t)(open + 1 - declaration->start));
	text_append_string(out, "\n  ");
	for (const char *at = open + 1; at < close; at++) {
		text_append(out, at, 1);
		if (*at == ',')
			text_append_string(out, "\n "); /* and the space that follows */
	}
	text_append_string(out, "\n");
	text_append(out, close, (size_t)(declaration->end - close));
}

static void append_comment(struct text *out, const struct declaration *declaration)
{
	for (const char *line = declaration->comment; line < declaration->start;
		line = next_line(line)) {
		const char *words = line + strspn(line, "# ");

		append_plain(out, words, (size_t)(next_line(line) - words));
	}
	if (declaration->comment < declaration->start)
		text_append_string(out, "\n");
}

/* All declarations of a keyword, each with a heading and its comment. */
static void append_declarations(struct text *out, const char *keyword)
{
	struct declaration declaration;

	for (const char *at = interface; (at = next_declaration(at, &declaration));) {
		if (strncmp(declaration.keyword, keyword, strlen(keyword)))
			continue;
		text_printf(
			out, "## %.*s\n\n```\n", (int)declaration.name_length, declaration.name);
		append_declaration(out, &declaration);
		text_append_string(out, "\n```\n\n");
		append_comment(out, &declaration);
	}
}

void put_types(struct text *out, const char *argument)
{
	(void)argument;
	append_declarations(out, "type ");
}

void put_methods(struct text *out, const char *argument)
{
	(void)argument;
	append_declarations(out, "method ");
}

void put_errors(struct text *out, const char *argument)
{
	struct declaration declaration;

	(void)argument;
	text_append_string(out, "```\n");
	for (const char *at = interface; (at = next_declaration(at, &declaration));)
		if (!strncmp(declaration.keyword, "error ", 6))
			text_printf(out, "%.*s\n", (int)(declaration.end - declaration.start),
				declaration.start);
	text_append_string(out, "```\n\n");
}
