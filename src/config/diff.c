#include "config/diff.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* Groups or handlers, sorted by name: a configuration may have ten thousand. */
struct index {
	const void **items;
	size_t count;
};

/* Both begin with it. */
struct named {
	const char *name;
};
_Static_assert(
	offsetof(struct config_group, name) == 0 && offsetof(struct config_handler, name) == 0,
	"see struct named");

static int compare_names(const void *a, const void *b)
{
	return strcmp(
		(*(const struct named *const *)a)->name, (*(const struct named *const *)b)->name);
}

static int index_make(struct index *index, const void *items, size_t count, size_t size)
{
	index->items = calloc(count + 1, sizeof(*index->items));
	if (!index->items)
		return -1;
	for (size_t i = 0; i < count; i++)
		index->items[i] = (const char *)items + i * size;
	index->count = count;
	qsort(index->items, count, sizeof(*index->items), compare_names);
	return 0;
}

/* Adds the names of the keys that differ. */
static void name_keys(struct text *names, const struct schema *schema, const void *a, const void *b)
{
	for (size_t i = 0; i < schema->count; i++)
		if (key_compare(&schema->keys[i], a, b))
			text_printf(names, "%s%s", names->length ? ", " : "", schema->keys[i].name);
}

static void name_group_keys(struct text *names, const void *a, const void *b)
{
	name_keys(names, &group_schema, a, b);
}

/* Handlers of two types differ in the key "type": the keys of their kinds cannot be compared. */
static void name_handler_keys(struct text *names, const void *a, const void *b)
{
	const struct config_handler *before = a, *wanted = b;
	struct config_part left[HANDLER_PARTS] = {0}, right[HANDLER_PARTS];
	size_t count = config_handler_parts(wanted, right);

	config_handler_parts(before, left);
	for (size_t i = 0; i < count; i++)
		if (left[i].schema == right[i].schema)
			name_keys(names, left[i].schema, left[i].settings, right[i].settings);
}

/* What is compared: groups or handlers. */
struct comparison {
	const char *what;
	void (*name_keys)(struct text *names, const void *a, const void *b);
	size_t *kept;
};

static void compare(const struct comparison *comparison, const void *before, const void *wanted,
	struct errors *lines)
{
	AUTO_TEXT struct text names = {0};

	comparison->name_keys(&names, before, wanted);
	if (!names.length)
		++*comparison->kept;
	else
		errors_add(lines, "%s %s: changed: %.*s", comparison->what,
			((const struct named *)wanted)->name, (int)names.length, names.data);
}

/* Merges both in the order of their names. */
static void compare_all(const struct comparison *comparison, const struct index *before,
	const struct index *wanted, struct errors *lines)
{
	size_t i = 0, j = 0;

	while (i < before->count || j < wanted->count) {
		int order = i == before->count ? 1
			    : j == wanted->count
				    ? -1
				    : compare_names(&before->items[i], &wanted->items[j]);

		if (order > 0)
			errors_add(lines, "%s %s: added", comparison->what,
				((const struct named *)wanted->items[j++])->name);
		else if (order < 0)
			errors_add(lines, "%s %s: removed", comparison->what,
				((const struct named *)before->items[i++])->name);
		else
			compare(comparison, before->items[i++], wanted->items[j++], lines);
	}
}

void config_compare(
	const struct config *before, const struct config *wanted, struct config_changes *ret)
{
	static const struct config none;
	const struct comparison handlers = {"handler", name_handler_keys, &ret->kept_handlers},
				groups = {"group", name_group_keys, &ret->kept_groups};
	struct index a = {0}, b = {0}, c = {0}, d = {0};

	before = before ? before : &none;
	if (!index_make(&a, before->handlers, before->handler_count, sizeof(*before->handlers)) &&
		!index_make(
			&b, wanted->handlers, wanted->handler_count, sizeof(*wanted->handlers)) &&
		!index_make(&c, before->groups, before->group_count, sizeof(*before->groups)) &&
		!index_make(&d, wanted->groups, wanted->group_count, sizeof(*wanted->groups))) {
		compare_all(&handlers, &a, &b, &ret->lines);
		compare_all(&groups, &c, &d, &ret->lines);
	}
	free(a.items);
	free(b.items);
	free(c.items);
	free(d.items);
}

void config_changes_clear(struct config_changes *changes)
{
	errors_clear(&changes->lines);
	changes->kept_groups = changes->kept_handlers = 0;
}
