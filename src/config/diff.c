#include "config/diff.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* Groups and handlers both begin with it. */
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

/* Pointers to all of them by name, since a configuration may have ten thousand. To be freed; NULL
 * without memory. */
static const struct named **sort_by_name(const void *items, size_t count, size_t size)
{
	const struct named **sorted = calloc(count + 1, sizeof(*sorted));

	for (size_t i = 0; sorted && i < count; i++)
		sorted[i] = (const void *)((const char *)items + i * size);
	if (sorted)
		qsort(sorted, count, sizeof(*sorted), compare_names);
	return sorted;
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
	size_t size; /* of a struct */
	void (*name_keys)(struct text *names, const void *a, const void *b);
	struct errors *lines;
	size_t *unchanged;
};

static void compare(
	const struct comparison *comparison, const struct named *before, const struct named *wanted)
{
	AUTO_TEXT struct text names = {0};

	comparison->name_keys(&names, before, wanted);
	if (!names.length)
		++*comparison->unchanged;
	else
		errors_add(comparison->lines, "%s %s: changed: %.*s", comparison->what,
			wanted->name, (int)names.length, names.data);
}

/* Merges both in the order of their names. */
static void compare_all(const struct comparison *comparison, const void *before,
	size_t before_count, const void *wanted, size_t wanted_count)
{
	AUTO_FREE const struct named **a = sort_by_name(before, before_count, comparison->size);
	AUTO_FREE const struct named **b = sort_by_name(wanted, wanted_count, comparison->size);
	size_t i = 0, j = 0;

	while (a && b && (i < before_count || j < wanted_count)) {
		int order = i == before_count   ? 1
			    : j == wanted_count ? -1
						: compare_names(&a[i], &b[j]);

		if (order > 0)
			errors_add(
				comparison->lines, "%s %s: added", comparison->what, b[j++]->name);
		else if (order < 0)
			errors_add(comparison->lines, "%s %s: removed", comparison->what,
				a[i++]->name);
		else
			compare(comparison, a[i++], b[j++]);
	}
}

/* The group is always there, and its keys are those of a group. */
static void compare_events(
	const struct config *before, const struct config *wanted, const struct comparison *groups)
{
	struct comparison comparison = *groups;
	size_t unchanged = 0;

	comparison.unchanged = &unchanged;
	if (before->events.name)
		compare(&comparison, (const struct named *)&before->events,
			(const struct named *)&wanted->events);
}

static void compare_http(
	const struct config *before, const struct config *wanted, struct errors *lines)
{
	AUTO_TEXT struct text names = {0};

	name_keys(&names, &http_schema, &before->http, &wanted->http);
	if (names.length)
		errors_add(lines, "http: changed: %.*s", (int)names.length, names.data);
}

/* The only key outside of blocks that can change while the daemon runs. */
static void compare_import_port(
	const struct config *before, const struct config *wanted, struct errors *lines)
{
	if (before->import_port == wanted->import_port)
		return;
	errors_add(lines, "import_port: %s",
		!before->import_port   ? "added"
		: !wanted->import_port ? "removed"
				       : "changed");
}

void config_compare(
	const struct config *before, const struct config *wanted, struct config_changes *ret)
{
	static const struct config none;
	const struct comparison handlers = {"handler", sizeof(struct config_handler),
					name_handler_keys, &ret->lines, &ret->unchanged_handlers},
				groups = {"group", sizeof(struct config_group), name_group_keys,
					&ret->lines, &ret->unchanged_groups};

	before = before ? before : &none;
	compare_all(&handlers, before->handlers, before->handler_count, wanted->handlers,
		wanted->handler_count);
	compare_all(
		&groups, before->groups, before->group_count, wanted->groups, wanted->group_count);
	compare_events(before, wanted, &groups);
	if (before == &none)
		return;
	compare_http(before, wanted, &ret->lines);
	compare_import_port(before, wanted, &ret->lines);
}

void config_changes_clear(struct config_changes *changes)
{
	errors_clear(&changes->lines);
	changes->unchanged_groups = changes->unchanged_handlers = 0;
}
