/* How much of the disk a recorder uses: which rotated files it keeps, and for how long, its quota,
 * and what it leaves free. Removes files only by names that recorder_path_is_rotated() knows, the
 * oldest first; with after_rotate, what programs have made of them, too. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/errors.h"
#include "base/log.h"
#include "recorder/path.h"

struct recorder_room {
	const char *handler; /* its name */
	const struct recorder_path *path;
	uint64_t keep; /* rotated files; 0: all */
	uint64_t keep_for; /* ns since the time in its name; 0: for ever */
	bool processed; /* there are files that programs have made of others */
	uint64_t quota; /* bytes of all files; 0: no limit */
	bool has_size; /* there is rotate_size, so that rotated files make room */
	uint64_t keep_free; /* bytes of the file system; 0: no limit */
	/* As of the last recorder_room_tidy(). */
	uint64_t rotated_bytes;
	struct recorder_rotated oldest; /* of the rotated files; zeroed: there is none */
	struct recorder_rotated newest; /* as of the last recorder_room_look(); zeroed: none */
	struct {
		bool is_known;
		int64_t offset_ns; /* from CLOCK_BOOTTIME to CLOCK_REALTIME, when last believed */
		uint64_t doubted_ns; /* CLOCK_BOOTTIME: since when it is not; 0: it is */
	} clock;
	bool was_looked;
	struct log_limit limit, unprocessed_limit;
	/* Files that were removed before after_rotate was done with them, and no line says so yet.
	 */
	uint64_t unprocessed;
	char last_unprocessed[NAME_MAX + 1];
};

/* Finds the newest name of a rotated file. To be called before a file is named: the name has to
 * sort after it. Where nothing is ever removed, it looks only once. */
void recorder_room_look(struct recorder_room *room);

/* Lists the rotated files, and removes those beyond keep and keep_for, and those whose space the
 * current file needs under the quota. To be called when a file is opened, and so after each
 * rotation. */
void recorder_room_tidy(struct recorder_room *room, uint64_t current_bytes);

/* Logs at once what was removed and not logged yet; before the room is no longer used. */
void recorder_room_finish(struct recorder_room *room);

/* How long until recorder_room_tidy() has something to do, in ns: a file is older than keep_for,
 * but no more than an hour, as the clock may be set; or it is to be logged what was removed. 0:
 * that is never. */
uint64_t recorder_room_next_ns(const struct recorder_room *room);

/* How much may be added to the file, which has size bytes; removes rotated files for it. *length is
 * what is wanted, and afterwards what there is room for. Returns 0 when that is all of it; -EDQUOT
 * or -ENOSPC, or another negative errno and room for nothing; with the reason in why. */
int recorder_room_check(struct recorder_room *room, int fd, uint64_t size, uint64_t *length,
	char why[static WHY_MAX]);
