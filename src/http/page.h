/* One path of the HTTP server. The table of all pages is pages.c. */
#pragma once

#include "base/answer.h"
#include "http/context.h"

/* About as much as an answer appends at once: far less than the loop's time for one turn, and one
 * write. An answer that looks at groups or handlers must expect that they have changed since the
 * piece before. */
#define HTTP_PIECE 16384

struct http_page {
	const char *path;
	const char *type; /* Content-Type */
	const char *policy; /* Content-Security-Policy; NULL: none */
	/* Begins an answer, which begins to be read in this round of the loop, or later. The
	 * context lives longer. NULL without memory. */
	struct answer *(*open)(const struct http_context *context);
};

/* NULL: there is none at this path. The path is compared as it was sent, without its query. */
const struct http_page *http_page_find(const char *path, size_t length);
