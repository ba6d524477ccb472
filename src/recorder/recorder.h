/* What the kinds that record have in common. Records are gathered in a buffer and written whole, so
 * that the file ends in a whole record whatever happens; files are rotated; when writing fails,
 * datagrams are counted as dropped, and writing is tried again.
 *
 * The object of such a kind is the recorder. What else the kind has is the recorder's owner. All
 * functions but recorder_open() run in the handler's own thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errors.h"
#include "base/text.h"
#include "data/account.h"
#include "recorder/file.h"
#include "recorder/settings.h"

/* What the file of a kind contains; members may be NULL. */
struct recorder_format {
	/* Finds the end of the last whole record; NULL: any file is whole. Where it is there and
	 * begin() is not, records are lines. */
	recorder_measure *measure;
	/* Appends what has to stand before the first record in a file (is_first), in what is added
	 * to one that is there, and after anything went wrong with it. */
	void (*begin)(void *owner, struct text *text, bool is_first);
	/* Where begin() is there: the same for what is in the buffer already, as another program
	 * has changed the file that it was to continue. */
	void (*resume)(
		void *owner, struct text *text, const char *data, size_t size, bool is_first);
	/* Appends what a file needs besides, for its readers, while it has no record. */
	void (*empty)(void *owner, struct text *text);
	/* The time of the first record in a file of size bytes, in seconds since the epoch. Returns
	 * 0, -ENOENT when the file has none, or another negative errno. With begin() it must be
	 * there; NULL: nobody knows. */
	int (*first)(int fd, uint64_t size, time_t *ret);
	/* Appends what ends a file. */
	void (*end)(void *owner, struct text *text);
	/* Gets the records that could not be written, as they were appended. */
	void (*lost)(void *owner, const char *data, size_t size);
	/* Frees the owner. */
	void (*free)(void *owner);
};

/* For handler_kind.open. Checks that the file can be opened or created, which is done by
 * recorder_start(); running is as for recorder_file_check(). name is the handler's, and valid until
 * recorder_close(). The recorder frees owner, also when this fails. Returns 0, or a negative errno
 * with the reason in why. */
int recorder_open(const struct recorder_settings *settings, const struct recorder_format *format,
	void *owner, const char *name, pid_t running, char why[static WHY_MAX], void **ret);

const struct recorder_format *recorder_format(const void *object);
void *recorder_owner(const void *object);

/* Where to append the record of one datagram, which came at this time (since the epoch): that says
 * in which file it belongs. NULL: it cannot be written now, and is counted as dropped. */
struct text *recorder_begin(void *object, uint64_t timestamp_ns, struct outcome *outcome);

/* Ends the record; writes when the buffer is full. */
void recorder_commit(void *object, struct outcome *outcome);

/* To be called at the end of deliver(). */
void recorder_batch_end(void *object, struct outcome *outcome);

/* What they count: programs of after_rotate. */
extern const char *const recorder_counters[];

/* As in struct handler_kind. recorder_start() opens the file, and repairs it when an earlier run
 * has left a partial record. */
void recorder_start(void *object);
const char *recorder_error(const void *object);
int recorder_descriptor(const void *object);
uint64_t recorder_deadline(const void *object);
uint64_t recorder_patience(const void *object);
void recorder_serve(void *object, struct outcome *outcome);
void recorder_rotate(void *object, struct outcome *outcome);
void recorder_finish(void *object, uint64_t until_ns, struct outcome *outcome);
void recorder_close(void *object);

/* The members of struct handler_kind that are the same for all such kinds. */
/* clang-format off */
#define RECORDER_CALLS \
	.counters = recorder_counters, .doubt = recorder_doubt, .begin = recorder_start, .error = recorder_error, \
	.deadline = recorder_deadline, .descriptor = recorder_descriptor, .patience = recorder_patience, \
	.serve = recorder_serve, .rotate = recorder_rotate, .finish = recorder_finish, \
	.close = recorder_close
/* clang-format on */
