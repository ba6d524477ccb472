/* Groups and handlers that conflict with each other. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/words.h"
#include "config/check.h"
#include "config/report.h"

/* A group or handler that is compared with others. */
struct entry {
	struct subject subject;
	const struct config_group *group; /* NULL: a handler */
	const char *path; /* of the file that the handler writes, as it is given; NULL: none */
	char *file; /* the same without links and dots in its directory; owned */
	bool exists; /* the file: then these are set */
	dev_t device;
	ino_t inode;
	bool is_reported; /* to write the same file */
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

/* A file may have several names (link(2)). */
static int compare_inodes(const struct entry *a, const struct entry *b)
{
	if (a->device != b->device)
		return a->device < b->device ? -1 : 1;
	return (a->inode > b->inode) - (a->inode < b->inode);
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
	char buffer[SHOWN_MAX];

	if (compare == compare_names)
		config_report(errors, &again->subject, 0, NULL,
			"already defined at %s:%u, rename or remove one of them", place->file,
			place->line);
	else if (compare != compare_joins && !strcmp(first->path, again->path))
		config_report(errors, &again->subject, 0, NULL,
			"writes the same file as handlers.%s at %s:%u, give each one of its own",
			name, place->file, place->line);
	else if (compare != compare_joins)
		config_report(errors, &again->subject, 0, NULL,
			"writes the same file as handlers.%s at %s:%u, where it is called %s; give "
			"each one of its own",
			name, place->file, place->line, shown(first->path, buffer));
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
		else if (!entries[i].is_reported &&
			 (compare == compare_names || compare_names(&entries[first], &entries[i])))
			report_clash(errors, &entries[first], &entries[i], compare);
		/* Else one name is defined twice, which has been reported. */
		entries[i].is_reported |= compare == compare_files && first != i;
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

static bool is_there(const struct entry *entry)
{
	return entry->exists;
}

/* Moves the entries that are to be compared to the front. Returns their number. */
static size_t select_entries(
	struct entry *entries, size_t count, bool (*wanted)(const struct entry *entry))
{
	size_t selected = 0;

	for (size_t i = 0; i < count; i++) {
		struct entry entry = entries[i];

		if (!wanted(&entry))
			continue;
		entries[i] = entries[selected];
		entries[selected++] = entry;
	}
	return selected;
}

static void find_group_clashes(
	const struct config *config, struct entry *entries, struct errors *errors)
{
	size_t count = config->group_count;

	for (size_t i = 0; i < count; i++)
		entries[i] = (struct entry){.subject = group_subject(&config->groups[i]),
			.group = &config->groups[i],
			.order = i};
	report_clashes(entries, count, compare_names, errors);
	count = select_entries(entries, count, has_joins);
	report_clashes(entries, count, compare_joins, errors);
}

/* A directory that was resolved last: many handlers write into one. */
struct resolved {
	char *given, *real;
};

static void resolved_clear(struct resolved *resolved)
{
	free(resolved->given);
	free(resolved->real);
	*resolved = (struct resolved){0};
}

/* Resolves the directory of a path. One that is not there stays as it is given. */
static int resolve_directory(struct resolved *resolved, const char *path, size_t length)
{
	char *real;

	if (resolved->given && strlen(resolved->given) == length &&
		!memcmp(resolved->given, path, length))
		return 0;
	resolved_clear(resolved);
	resolved->given = strndup(path, length);
	if (!resolved->given)
		return -ENOMEM;
	real = realpath(length ? resolved->given : "/", NULL);
	resolved->real = real ? real : strdup(resolved->given);
	return resolved->real ? 0 : -ENOMEM;
}

/* Finds out which file it is. A link at its end is not followed, as recorders refuse it. What
 * several handlers may write to, a character device, is none. */
static int identify(struct entry *entry, struct resolved *resolved)
{
	const char *slash = entry->path ? strrchr(entry->path, '/') : NULL;
	struct stat status;
	int r;

	if (!slash)
		return 0;
	r = resolve_directory(resolved, entry->path, (size_t)(slash - entry->path));
	if (r < 0)
		return r;
	entry->exists = lstat(entry->path, &status) == 0;
	if (entry->exists && S_ISCHR(status.st_mode))
		entry->exists = false;
	else if (asprintf(&entry->file, "%s%s", strcmp(resolved->real, "/") ? resolved->real : "",
			 slash) < 0)
		return entry->file = NULL, -ENOMEM;
	if (entry->exists) {
		entry->device = status.st_dev;
		entry->inode = status.st_ino;
	}
	return 0;
}

static int find_handler_clashes(
	const struct config *config, struct entry *entries, struct errors *errors)
{
	CLEANUP(resolved_clear) struct resolved resolved = {0};
	size_t count = 0, files;
	int r = 0;

	for (size_t i = 0; i < config->handler_count && r >= 0; i++) {
		const struct config_handler *handler = &config->handlers[i];
		bool may_write = handler->kind && handler->kind->file;

		/* A block's name is that of its group, and no other handler's has a dot. */
		if (handler->kind && handler->kind->block.count)
			continue;
		entries[count] = (struct entry){.subject = handler_subject(handler),
			.path = may_write ? handler->kind->file(handler->settings) : NULL,
			.order = i};
		r = identify(&entries[count++], &resolved);
	}
	if (r >= 0)
		report_clashes(entries, count, compare_names, errors);
	files = select_entries(entries, count, has_file);
	if (r >= 0)
		report_clashes(entries, files, compare_files, errors);
	files = r < 0 ? 0 : select_entries(entries, files, is_there);
	report_clashes(entries, files, compare_inodes, errors);
	for (size_t i = 0; i < count; i++)
		free(entries[i].file);
	return r;
}

int find_clashes(const struct config *config, struct errors *errors)
{
	size_t most = config->group_count > config->handler_count ? config->group_count
								  : config->handler_count;
	AUTO_FREE struct entry *entries = calloc(most + 1, sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	find_group_clashes(config, entries, errors);
	return find_handler_clashes(config, entries, errors);
}
