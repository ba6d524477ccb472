/* Groups and handlers that conflict with each other. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/check.h"
#include "config/report.h"

/* A group or handler that is compared with others. */
struct entry {
	struct subject subject;
	const struct config_group *group; /* NULL: a handler */
	const char *file; /* that the handler writes; NULL: none */
	size_t order; /* in which they were read */
};

typedef int compare_entries(const struct entry *a, const struct entry *b);

static int compare_names(const struct entry *a, const struct entry *b)
{
	return strcmp(a->subject.name, b->subject.name);
}

/* Groups that differ in what they join have sockets of their own. */
static int compare_joins(const struct entry *a, const struct entry *b)
{
	return config_group_compare_joins(a->group, b->group);
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
	const struct place *place = &first->subject.place;
	const char *name = first->subject.name;

	if (compare == compare_names)
		config_report(errors, &again->subject, 0, NULL,
			"already defined at %s:%u, rename or remove one of them", place->file,
			place->line);
	else if (compare == compare_files)
		config_report(errors, &again->subject, 0, NULL,
			"writes the same file as handlers.%s at %s:%u, give each one of its own",
			name, place->file, place->line);
	else
		config_report(errors, &again->subject, 0, NULL,
			"joins the same address, port, interfaces and sources as groups.%s at "
			"%s:%u, remove one of them or let them differ",
			name, place->file, place->line);
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
		/* Else one name is defined twice, which has been reported. */
	}
}

/* Whether what the group joins can be compared. */
static bool has_joins(const struct entry *entry)
{
	const struct config_group *group = entry->group;

	if (group->address.family == AF_UNSPEC || !group->port)
		return false;
	for (size_t i = 0; group->marks && i < group_schema.count; i++)
		if (group->marks[i].failed)
			return false;
	return true;
}

static bool has_file(const struct entry *entry)
{
	return entry->file;
}

/* Moves the entries that are to be compared to the front. Returns their number. */
static size_t select_entries(
	struct entry *entries, size_t count, bool (*wanted)(const struct entry *entry))
{
	size_t selected = 0;

	for (size_t i = 0; i < count; i++)
		if (wanted(&entries[i]))
			entries[selected++] = entries[i];
	return selected;
}

static void find_group_clashes(
	const struct config *config, struct entry *entries, struct errors *errors)
{
	size_t count = config->group_count;

	for (size_t i = 0; i < count; i++)
		entries[i] = (struct entry){
			group_subject(&config->groups[i]), &config->groups[i], NULL, i};
	report_clashes(entries, count, compare_names, errors);
	count = select_entries(entries, count, has_joins);
	report_clashes(entries, count, compare_joins, errors);
}

static void find_handler_clashes(
	const struct config *config, struct entry *entries, struct errors *errors)
{
	size_t count = 0;

	for (size_t i = 0; i < config->handler_count; i++) {
		const struct config_handler *handler = &config->handlers[i];
		bool may_write = handler->kind && handler->kind->file;

		/* A block's name is that of its group, and no other handler's has a dot. */
		if (handler->kind && handler->kind->block.count)
			continue;
		entries[count++] = (struct entry){handler_subject(handler), NULL,
			may_write ? handler->kind->file(handler->settings) : NULL, i};
	}
	report_clashes(entries, count, compare_names, errors);
	count = select_entries(entries, count, has_file);
	report_clashes(entries, count, compare_files, errors);
}

int find_clashes(const struct config *config, struct errors *errors)
{
	size_t most = config->group_count > config->handler_count ? config->group_count
								  : config->handler_count;
	AUTO_FREE struct entry *entries = calloc(most + 1, sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	find_group_clashes(config, entries, errors);
	find_handler_clashes(config, entries, errors);
	return 0;
}
