/* The names of a recorder's files: pure, strings in and strings out.
 *
 *     /var/log/news.ndjson                         the current file
 *     /var/log/news.20261124T203350Z.ndjson        rotated at that time, in UTC
 *     /var/log/news.20261124T203350Z_001.ndjson    the next one of the same second
 *     /var/log/news.20261124T203350Z.1.ndjson      the same, from an earlier version
 *     /var/log/news.ndjson.20261124T203350Z.aside  what was there, and is no recording of ours
 *     /var/log/news.20261124T203350Z.ndjson.zst    what a program has made of a rotated file
 *     /var/log/.news.20261124T203350Z.ndjson.waits the mark of a rotated file that waits for it
 *
 * '_' sorts after '.': in the C locale the names sort in the order in which the files were rotated.
 * No part of a name comes from a datagram. A name that is all digits after its last dot has no
 * extension, so that no two paths can give the same rotated name. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#define RECORDER_PATH_MAX 4096 /* PATH_MAX, with the terminator */
#define RECORDER_NUMBER_MAX 999 /* of one second */
#define RECORDER_ADDED_MAX 32 /* bytes that all of these add to a name, at most */

struct recorder_path {
	char *path;
	char *directory; /* as for open(2): "/" or "/var/log" */
	const char *name; /* the last part of path */
	size_t stem; /* bytes of name before the extension, or all of it */
};

/* What tells rotated files of one path apart. */
struct recorder_rotated {
	time_t when; /* seconds since the epoch */
	unsigned number; /* 0: without */
};

/* Returns 0, -ENAMETOOLONG when there is no room for what rotating adds, or -ENOMEM. */
int recorder_path_init(struct recorder_path *path, const char *string);
void recorder_path_clear(struct recorder_path *path);

/* Whether what rotating adds fits. */
bool recorder_path_fits(const char *string);

/* Write the name for a file that is moved away at a time, in seconds since the epoch. */
void recorder_path_rotated(const struct recorder_path *path, time_t when, unsigned number,
	char ret[RECORDER_PATH_MAX]);
void recorder_path_aside(const struct recorder_path *path, time_t when, unsigned number,
	char ret[RECORDER_PATH_MAX]);

/* The mark of a rotated file; the file's own path follows from it. */
void recorder_path_mark(const struct recorder_path *path, time_t when, unsigned number,
	char ret[RECORDER_PATH_MAX]);

/* Whether name, in the same directory, is exactly what recorder_path_rotated() gives for some time
 * up to the year 9998. */
bool recorder_path_is_rotated(
	const struct recorder_path *path, const char *name, struct recorder_rotated *ret);

/* The suffixes of programs that make one file of another, NULL at the end. Others are not known: a
 * file must not be taken for that of another path. */
extern const char *const recorder_path_suffixes[];

/* Whether name is that of a rotated file and one of the suffixes. */
bool recorder_path_is_processed(
	const struct recorder_path *path, const char *name, struct recorder_rotated *ret);

/* Whether name is that of a mark. Writes the name of its file, in the same directory. */
bool recorder_path_is_mark(const struct recorder_path *path, const char *name,
	struct recorder_rotated *ret, char ret_file[static NAME_MAX + 1]);

/* Which was rotated first, as for qsort(3). */
int recorder_rotated_compare(const struct recorder_rotated *a, const struct recorder_rotated *b);
