#include "config/clash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/report.h"

/* What is compared, by what it says and then by where it stands. */
struct entry {
	const char *section, *name;
	struct place place;
	const struct config_group *group; /* NULL: a handler */
	const char *file; /* that the handler writes */
	size_t order; /* in which they were read */
};

typedef int compare_entries(const struct entry *a, const struct entry *b);

static int compare_names(const struct entry *a, const struct entry *b)
{
	return strcmp(a->name, b->name);
}

/* Whether they would join the same: groups that differ in one of these have sockets of their own.
 */
static int compare_joins(const struct entry *a, const struct entry *b)
{
	const struct config_group *left = a->group, *right = b->group;
	int order = address_compare(&left->address, &right->address);

	if (!order)
		order = (left->port > right->port) - (left->port < right->port);
	if (!order)
		order = string_list_compare(&left->interfaces, &right->interfaces);
	if (!order)
		order = address_list_compare(&left->sources, &right->sources);
	if (!order)
		order = address_list_compare(&left->block_sources, &right->block_sources);
	return order;
}

static int compare_files(const struct entry *a, const struct entry *b)
{
	return strcmp(a->file, b->file);
}

static int order_entries(const void *a, const void *b, void *compare)
{
	const struct entry *left = a, *right = b;
	int order = (*(compare_entries **)compare)(left, right);

	return order ? order : (left->order > right->order) - (left->order < right->order);
}

static void report_clash(struct errors *errors, const struct entry *first,
	const struct entry *again, compare_entries *compare)
{
	struct subject subject = {again->place, again->section, again->name};
	AUTO_TEXT struct text why = {0};

	if (compare == compare_names)
		text_printf(&why, "already defined at %s:%u, rename or remove one of them",
			first->place.file, first->place.line);
	else if (compare == compare_files)
		text_printf(&why,
			"writes the same file as handlers.%s at %s:%u, give each one of its own",
			first->name, first->place.file, first->place.line);
	else
		text_printf(&why,
			"joins the same address, port, interfaces and sources as groups.%s at "
			"%s:%u, remove one of them or "
			"let them differ",
			first->name, first->place.file, first->place.line);
	report(errors, &subject, 0, NULL, text_string(&why));
}

/* Reports each entry that compares equal to one before it. */
static void report_clashes(
	struct entry *entries, size_t count, compare_entries *compare, struct errors *errors)
{
	size_t first = 0;

	qsort_r(entries, count, sizeof(*entries), order_entries, &compare);
	for (size_t i = 1; i < count; i++) {
		if (compare(&entries[first], &entries[i]))
			first = i;
		else if (compare == compare_names || compare_names(&entries[first], &entries[i]))
			report_clash(errors, &entries[first], &entries[i], compare);
		/* Else one name is defined twice, and that is said already. */
	}
}

static bool is_sound(const struct config_group *group)
{
	if (group->address.family == AF_UNSPEC || !group->port)
		return false;
	for (size_t i = 0; group->marks && i < group_schema.count; i++)
		if (group->marks[i].failed)
			return false;
	return true;
}

static size_t list_groups(const struct config *config, struct entry *entries, bool only_sound)
{
	size_t count = 0;

	for (size_t i = 0; i < config->group_count; i++) {
		const struct config_group *group = &config->groups[i];

		if (!only_sound || is_sound(group))
			entries[count++] = (struct entry){
				"groups", group->name, group->place, group, NULL, i};
	}
	return count;
}

static size_t list_handlers(const struct config *config, struct entry *entries)
{
	for (size_t i = 0; i < config->handler_count; i++)
		entries[i] = (struct entry){"handlers", config->handlers[i].name,
			config->handlers[i].place, NULL, NULL, i};
	return config->handler_count;
}

static size_t list_files(const struct config *config, struct entry *entries)
{
	size_t count = 0;

	for (size_t i = 0; i < config->handler_count; i++) {
		const struct config_handler *handler = &config->handlers[i];
		const struct config_kind *kind = handler->kind;
		const char *file = kind && kind->file ? kind->file(handler->settings) : NULL;

		if (file)
			entries[count++] = (struct entry){
				"handlers", handler->name, handler->place, NULL, file, i};
	}
	return count;
}

int find_clashes(const struct config *config, struct errors *errors)
{
	size_t most = config->group_count > config->handler_count ? config->group_count
								  : config->handler_count;
	AUTO_FREE struct entry *entries = calloc(most + 1, sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	report_clashes(entries, list_groups(config, entries, false), compare_names, errors);
	report_clashes(entries, list_groups(config, entries, true), compare_joins, errors);
	report_clashes(entries, list_handlers(config, entries), compare_names, errors);
	report_clashes(entries, list_files(config, entries), compare_files, errors);
	return 0;
}
