#include "config/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/list.h"
#include "config/words.h"

int names_add(struct names *names, const struct token *word, unsigned scope, unsigned parent)
{
	struct name *items = array_grow(names->items, names->count, sizeof(*items));

	if (!items)
		return -ENOMEM;
	names->items = items;
	items[names->count++] = (struct name){word->start, word->length, word->line, scope, parent};
	return 0;
}

void names_clear(struct names *names)
{
	free(names->items);
	*names = (struct names){0};
}

static int compare_names(const struct name *a, const struct name *b)
{
	if (a->scope != b->scope)
		return a->scope < b->scope ? -1 : 1;
	if (a->length != b->length)
		return a->length < b->length ? -1 : 1;
	return memcmp(a->start, b->start, a->length);
}

/* Those that are alike stay in the order of the file, which is that of the array. */
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

static void report_duplicate(const struct names *names, const struct name *first,
	const struct name *again, const char *file, struct errors *errors)
{
	AUTO_TEXT struct text path = {0};

	append_path(&path, names, again);
	errors_add(errors, "%s:%u: %s: already defined at %s:%u, remove one of them", file,
		again->line, text_string(&path), file, first->line);
}

int names_check(const struct names *names, const char *file, struct errors *errors)
{
	AUTO_FREE const struct name **sorted = calloc(
		names->count + 1, sizeof(const struct name *));
	size_t first = 0;
	int found = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < names->count; i++)
		sorted[i] = &names->items[i];
	qsort(sorted, names->count, sizeof(*sorted), order_names);
	for (size_t i = 1; i < names->count; i++) {
		if (compare_names(sorted[first], sorted[i])) {
			first = i;
			continue;
		}
		report_duplicate(names, sorted[first], sorted[i], file, errors);
		found++;
	}
	return found;
}
