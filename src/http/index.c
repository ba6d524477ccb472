/* /: a file that is part of the program (page/index.html). */
#include <stdlib.h>

#include "http/page.h"

static const char html[] =
#include "http/page/index.html.h"
	;

struct file {
	struct answer answer;
	size_t sent;
};

static bool next(struct answer *answer, struct text *text)
{
	struct file *file = container_of(answer, struct file, answer);
	size_t rest = sizeof(html) - 1 - file->sent;
	size_t size = rest < HTTP_PIECE ? rest : HTTP_PIECE;

	text_append(text, html + file->sent, size);
	file->sent += size;
	return size == rest;
}

static void free_file(struct answer *answer)
{
	free(container_of(answer, struct file, answer));
}

static struct answer *open_file(const struct http_context *context)
{
	struct file *file = calloc(1, sizeof(*file));

	(void)context;
	if (!file)
		return NULL;
	file->answer = (struct answer){.next = next, .free = free_file};
	return &file->answer;
}

/* The page asks nobody but this server, and nobody may show it as a part of theirs. */
const struct http_page index_page = {
	.path = "/",
	.type = "text/html; charset=utf-8",
	.policy =
		"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
		"connect-src 'self'; img-src data:"
#include "http/page/index.html.policy.h"
	,
	.open = open_file,
};
