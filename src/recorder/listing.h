/* The files of a recorder in its directory, but for the current one. */
#pragma once

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "recorder/path.h"

/* Which names are listed. */
enum {
	RECORDER_LIST_ROTATED = 1, /* recorder_path_is_rotated() */
	RECORDER_LIST_PROCESSED = 2, /* recorder_path_is_processed() */
	RECORDER_LIST_MARKS = 4, /* recorder_path_is_mark() */
};

struct recorder_entry {
	struct recorder_rotated rotated;
	char name[NAME_MAX + 1]; /* of a mark, that of its file */
	uint64_t modified_ns; /* CLOCK_REALTIME; 0: a mark */
	uint64_t size; /* bytes; 0 for a mark */
};

/* Zeroed, it is empty. */
struct recorder_listing {
	DIR *directory;
	struct recorder_entry *items; /* oldest first */
	size_t count;
};

/* Lists regular files of the kinds. Returns 0, or a negative errno with what was found until then.
 * recorder_listing_clear() must be called in any case. */
int recorder_listing_read(
	struct recorder_listing *listing, const struct recorder_path *path, unsigned kinds);
void recorder_listing_clear(struct recorder_listing *listing);
