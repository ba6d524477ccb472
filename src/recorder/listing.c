#include "recorder/listing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "base/clock.h"

void recorder_listing_clear(struct recorder_listing *listing)
{
	if (listing->directory)
		closedir(listing->directory);
	free(listing->items);
}

static int compare_entries(const void *a, const void *b)
{
	const struct recorder_entry *first = a, *second = b;
	int order = recorder_rotated_compare(&first->rotated, &second->rotated);

	return order ? order : strcmp(first->name, second->name);
}

/* Fills in an entry. Returns whether it is one of the kinds. */
static bool read_entry(const struct recorder_path *path, int directory, const char *name,
	unsigned kinds, struct recorder_entry *ret)
{
	struct stat status;

	ret->size = ret->modified_ns = 0;
	if (kinds & RECORDER_LIST_MARKS &&
		recorder_path_is_mark(path, name, &ret->rotated, ret->name))
		return true;
	if (!(kinds & RECORDER_LIST_ROTATED &&
		    recorder_path_is_rotated(path, name, &ret->rotated)) &&
		!(kinds & RECORDER_LIST_PROCESSED &&
			recorder_path_is_processed(path, name, &ret->rotated)))
		return false;
	if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
		return false;
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	ret->size = (uint64_t)status.st_size;
	ret->modified_ns = timespec_ns(&status.st_mtim);
	return true;
}

int recorder_listing_read(
	struct recorder_listing *listing, const struct recorder_path *path, unsigned kinds)
{
	const struct dirent *item;
	struct recorder_entry entry;
	int r = 0;

	listing->directory = opendir(path->directory);
	if (!listing->directory)
		return -errno;
	/* The end is told from an error by errno alone (readdir(3)). */
	for (errno = 0; r >= 0 && (item = readdir(listing->directory)); errno = 0)
		if (read_entry(path, dirfd(listing->directory), item->d_name, kinds, &entry))
			r = array_add(listing, entry);
	if (r >= 0 && errno)
		r = -errno;
	if (listing->count)
		qsort(listing->items, listing->count, sizeof(*listing->items), compare_entries);
	return r;
}
