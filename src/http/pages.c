/* The table of all pages. */
#include <string.h>

#include "base/cleanup.h"
#include "http/page.h"

/* One row a page: the file that has it ends in a struct NAME_page. */
#define PAGES(ROW) ROW(index) ROW(metrics) ROW(status)

#define DECLARE(name) extern const struct http_page name##_page;
PAGES(DECLARE)

#define POINT(name) &name##_page,
static const struct http_page *const pages[] = {PAGES(POINT)};

const struct http_page *http_page_find(const char *path, size_t length)
{
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		if (strlen(pages[i]->path) == length && !memcmp(pages[i]->path, path, length))
			return pages[i];
	return NULL;
}
