/* The file of a recorder: opened, locked against whoever else records to it, repaired, renamed, and
 * appended to in whole records only.
 *
 * The lock is flock(2). It belongs to this one open file: it conflicts with that of another
 * recorder in the same process as with that of another program, and ends with the process. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/errors.h"
#include "recorder/path.h"

struct recorder_file {
	const struct recorder_path *path;
	int fd; /* -1: none */
	bool regular; /* no character device */
	dev_t device;
	ino_t inode;
	bool torn; /* what is beyond whole could not be cut off yet */
	uint64_t whole; /* bytes, when torn */
	uint64_t sound; /* bytes of whole records, as recorder_file_repair() found them */
	uint64_t size; /* bytes, as of the last recorder_file_prepare() or append */
	uint64_t modified_ns; /* CLOCK_REALTIME, as of then */
	struct recorder_rotated last; /* the newest name that was given or found */
};

/* Whether the file at the path could be opened and locked, or created; leaves it as it is. Symbolic
 * links and anything that is no regular file or character device are refused. A lock that another
 * recorder of this process holds, or one of the process running (0: none), is no error: that one
 * may be about to end. Returns 0, or a negative errno with the reason in why. */
int recorder_file_check(const struct recorder_path *path, pid_t running, char why[static WHY_MAX]);

/* Opens and locks the file at the path, unless that is done; creates it (0640). Does not wait.
 * Returns 0, -EBUSY while another handler or program has the lock, or another negative errno; with
 * the reason in why. */
int recorder_file_acquire(struct recorder_file *file, char why[static WHY_MAX]);

/* Whether the path still stands for the open file. */
bool recorder_file_is_current(const struct recorder_file *file);

/* Names that are given later sort after this one, however far ahead it lies. */
void recorder_file_name_after(struct recorder_file *file, const struct recorder_rotated *last);

/* Names the file at the path is given. */
struct recorder_new_name {
	bool aside; /* the one of a file that is set aside; else that of a rotated one */
	bool waits; /* it gets a mark before, see recorder_path_mark() */
	time_t when; /* for the time in the name; 0, or one to come: now */
};

/* Gives the file at the path another name, which sorts after the last one and never is one that
 * exists. It stays open. *ret_to is the new name. Returns 0, -ESTALE when the path stands for
 * another file, or another negative errno with the reason in why; or 1 with the reason in why where
 * all was done but the mark. */
int recorder_file_move(struct recorder_file *file, const struct recorder_new_name *name,
	char ret_to[static RECORDER_PATH_MAX], char why[static WHY_MAX]);

/* When the file was created, where the file system has that (statx(2)); else 0. */
time_t recorder_file_birth(const struct recorder_file *file);

/* What somebody else has done to the file. Truncated, as log rotation by copying does, or grown, it
 * may end in the middle of a record. */
enum recorder_change { RECORDER_UNCHANGED, RECORDER_TRUNCATED, RECORDER_GROWN };
enum recorder_change recorder_file_change(const struct recorder_file *file);

/* Prepares the file, and tells whether it ends with a line feed, or is empty. Returns a negative
 * errno where that cannot be read. */
int recorder_file_ends_line(struct recorder_file *file);

/* Reads the size, and cuts off what an earlier failure left behind; before anything is appended.
 * Returns 0 or a negative errno. */
int recorder_file_prepare(struct recorder_file *file);

/* Appends size bytes: count records, which end at ends[], and whatever follows the last one. With
 * sync it is on the disk afterwards. On failure cuts off what is not a whole record. *ret_written
 * is, in any case, how many records are in the file, and file->size is right. Returns 0 or a
 * negative errno. */
int recorder_file_append(struct recorder_file *file, const char *data, size_t size,
	const uint32_t *ends, unsigned count, bool sync, unsigned *ret_written);

/* Unlocks and closes it; it can be acquired again. */
void recorder_file_close(struct recorder_file *file);

/* More than this was not torn by us: buffers are much smaller. */
#define RECORDER_TAIL_MAX (4u * 1024 * 1024)

/* Finds the end of the last whole record in a file of size bytes. Returns 0 where what follows is
 * nothing, or what a crash or a loss of power leaves of one record: a part of it, zeros, or a part
 * and then zeros. Returns -EBADMSG when the file has other content, *ret_whole being where that
 * begins, 0 where all of it is other content; or another negative errno. */
typedef int recorder_measure(int fd, uint64_t size, uint64_t *ret_whole);

/* For records that end with a line feed. is_record says whether these bytes may be the start of a
 * record of ours, as far as they go: those at the start of the file must be, and what follows the
 * last line feed. What is between is not read. */
int recorder_measure_lines(int fd, uint64_t size, bool (*is_record)(const char *data, size_t size),
	uint64_t *ret_whole);

/* Prepares the file, and cuts it after its last whole record: what follows is of a run that was
 * killed, or that a power cut ended. Without measure all of it is whole. Returns 0, with the number
 * of bytes in *ret_cut; -EBADMSG when it has something else, and nothing is cut off; or another
 * negative errno. */
int recorder_file_repair(struct recorder_file *file, recorder_measure *measure, uint64_t *ret_cut);
