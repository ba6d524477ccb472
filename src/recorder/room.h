/* How much of the disk a recorder takes: which rotated files are kept, its quota, and what it
 * leaves free. Removes files only by names that recorder_path_is_rotated() knows, oldest first, and
 * none that a recorder has open. */
#pragma once

#include <stdint.h>

#include "base/errors.h"
#include "base/log.h"
#include "recorder/path.h"

struct recorder_room {
	const struct recorder_path *path;
	uint64_t keep; /* rotated files; 0: all */
	uint64_t quota; /* bytes of all files; 0: no limit */
	uint64_t keep_free; /* bytes of the file system; 0: no limit */
	/* As of the last look, which is taken with keep or quota only. */
	uint64_t rotated_bytes;
	struct recorder_rotated newest; /* of the rotated files; when is 0: there is none */
	struct log_limit limit;
};

/* Looks at the rotated files, and removes those that are too many, or take what the current file's
 * bytes need. To be called when a file is opened and after each rotation. */
void recorder_room_tidy(struct recorder_room *room, uint64_t current_bytes);

/* How much may be added to the file, which has size bytes; removes rotated files for it. *length is
 * what is wanted, and afterwards what there is room for. Returns 0 when that is all of it; or
 * -EDQUOT or -ENOSPC, with the reason in why. Or another negative errno, and room for nothing. */
int recorder_room_check(struct recorder_room *room, int fd, uint64_t size, uint64_t *length,
	char why[static WHY_MAX]);
