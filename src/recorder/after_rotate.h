/* A program for each file that was rotated: one at a time, the oldest first, with the path as its
 * last argument. Its environment is that of programs of handlers of type exec without a datagram,
 * and its output goes to the log as theirs does.
 *
 * Which files wait is on the disk: each has a mark beside it (recorder_path_mark()), which is made
 * before the file gets its rotated name, and removed once its program has ended with 0. So whatever
 * a run has left, the next one does: a program may run twice for a file, but never less than once.
 *
 * The mark is also the standard input of the program: an empty file, locked with flock(2). The lock
 * ends with the last process that has it. While one of an earlier run is still there, the file is
 * left to it: two that compress one file would remove it and what is made of it.
 *
 * What a program that was killed has left, NAME.zst beside NAME, is removed before it runs again,
 * as programs refuse to overwrite it: only if it was made after the mark, while NAME is whole and
 * has its mark. */
#pragma once

#include <stdint.h>

#include "config/schema.h"
#include "recorder/path.h"

struct after_rotate;

/* handler, its name, and path must outlive it. Returns 0 or a negative errno. */
int after_rotate_new(const char *handler, const struct recorder_path *path,
	const struct string_list *command, uint64_t timeout_ns, struct after_rotate **ret);
void after_rotate_free(struct after_rotate *after);

/* There may be files that wait. */
void after_rotate_wake(struct after_rotate *after);

bool after_rotate_runs(const struct after_rotate *after);

/* When to serve it (CLOCK_MONOTONIC; 0: never), and also when its descriptor is readable. */
uint64_t after_rotate_deadline(const struct after_rotate *after);
int after_rotate_descriptor(const struct after_rotate *after);

/* Does what is due, without waiting. Adds the programs that have ended with 0, and those that have
 * failed. Returns whether one has ended: files may have come and gone. */
bool after_rotate_serve(struct after_rotate *after, uint64_t *ret_succeeded, uint64_t *ret_failed);

/* Ends a program that runs: its file waits for the next run. Waits for its end, but not much longer
 * than a second. */
void after_rotate_finish(struct after_rotate *after, uint64_t *ret_succeeded, uint64_t *ret_failed);
