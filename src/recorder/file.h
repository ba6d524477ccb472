/* The file of a recorder: opened, locked against other programs that record, moved away, and
 * appended to in whole records only.
 *
 * The lock is flock(2), which belongs to this one open file: it goes with the process however that
 * ends, and another descriptor of the same file in this process does not release it. */
#pragma once

#include "base/errors.h"
#include "recorder/claim.h"
#include "recorder/path.h"

struct recorder_file {
	const struct recorder_path *path;
	int fd; /* -1: none */
	bool regular; /* no character device */
	bool locked;
	bool torn; /* what is beyond whole could not be taken back yet */
	uint64_t whole; /* bytes, when torn */
	uint64_t size; /* bytes, when last looked at */
	uint64_t modified_ns; /* CLOCK_REALTIME, as of then */
	time_t moved; /* the time in the name that was given last, */
	unsigned moved_number; /* and the number */
	struct recorder_claim claim;
};

/* Opens the path, and locks it. Where it does not exist: creates it (0640), or without create
 * leaves it closed when that could be done. Symbolic links and anything that is no regular file or
 * character device are refused. Returns 0; -EAGAIN: it is open, and another recorder of this
 * process has the lock; or another negative errno with the reason in why. */
int recorder_file_open(struct recorder_file *file, bool create, char why[static WHY_MAX]);

/* Opens and locks whatever stands at the path now, unless that is done. For as long as another
 * recorder of this process has the lock: with take_over, waits a little for it to end, and then
 * moves its file away; otherwise returns -EAGAIN. Otherwise as recorder_file_open(). Blocks. */
int recorder_file_acquire(struct recorder_file *file, bool take_over, char why[static WHY_MAX]);

/* Whether the path still stands for the open file. */
bool recorder_file_is_current(const struct recorder_file *file);

/* Says what was rotated last: later names sort after it, even where its time is not over yet. */
void recorder_file_name_after(struct recorder_file *file, const struct recorder_rotated *last);

/* Gives the file that stands at the path its rotated name, or the one of a file that is set aside;
 * never one that is taken. It stays open. *ret_to is the new name. Returns 0, -ESTALE when the path
 * stands for another file or belongs to a younger recorder, or another negative errno with the
 * reason in why. */
int recorder_file_move(struct recorder_file *file, bool aside,
	char ret_to[static RECORDER_PATH_MAX], char why[static WHY_MAX]);

/* Whether somebody else has truncated the file, as log rotation by copying does: what is there may
 * end in the middle of a record. */
bool recorder_file_was_cut(const struct recorder_file *file);

/* Looks at the size, and takes back what an earlier failure left behind; before anything is
 * appended. Returns 0 or a negative errno. */
int recorder_file_prepare(struct recorder_file *file);

/* Appends size bytes: count records, which end at ends[], and whatever follows the last one. With
 * sync it is on the disk afterwards. On failure takes back what is not a whole record. *ret_written
 * is, in any case, how many records are in the file, and file->size is right. Returns 0 or a
 * negative errno. */
int recorder_file_append(struct recorder_file *file, const char *data, size_t size,
	const uint32_t *ends, unsigned count, bool sync, unsigned *ret_written);

/* Closes it; it can be opened again. */
void recorder_file_close(struct recorder_file *file);
