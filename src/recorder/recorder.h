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
#include "config/schema.h"
#include "data/account.h"
#include "recorder/file.h"

enum recorder_sync { RECORDER_SYNC_NONE, RECORDER_SYNC_INTERVAL, RECORDER_SYNC_EACH };

/* A kind's settings begin with these, and its rows with RECORDER_KEYS. */
struct recorder_settings {
	char *path;
	uint64_t rotate_size; /* bytes; 0: never */
	uint64_t rotate_every; /* ns; 0: never */
	int64_t keep; /* rotated files; 0: all */
	uint64_t flush; /* ns */
	int sync; /* enum recorder_sync */
	uint64_t quota; /* bytes; 0: no limit */
	uint64_t keep_free; /* bytes; 0: no limit */
};

extern const char *const recorder_sync_names[];

/* clang-format off */
#define RECORDER_ROW(key, key_type) \
	.name = #key, .type = key_type, .offset = offsetof(struct recorder_settings, key)

#define RECORDER_KEYS \
	{RECORDER_ROW(path, KEY_PATH), .max = 4000, .required = true, \
		.help = "The file to append to. Its directory must exist."}, \
	{RECORDER_ROW(rotate_size, KEY_SIZE), .max = 1ll << 40, .fallback = "0", \
		.help = "A new file is begun when this one has that size, 4K or more; 0: never for its size."}, \
	{RECORDER_ROW(rotate_every, KEY_DURATION), .max = 366 * 86400 * 1000000000ll, .fallback = "0", \
		.help = "A new file is begun at the multiples of this time in UTC, 1s or more; 0: never for its age."}, \
	{RECORDER_ROW(keep, KEY_NUMBER), .max = 1000000, .fallback = "0", \
		.help = "How many rotated files are kept, the oldest are removed; 0: all."}, \
	{RECORDER_ROW(flush, KEY_DURATION), .max = 3600 * 1000000000ll, .fallback = "100ms", \
		.help = "A datagram is written after this time at the latest, or when 256 KiB have gathered."}, \
	{RECORDER_ROW(sync, KEY_CHOICE), .choices = recorder_sync_names, .fallback = "none", \
		.help = "When the file is forced to the disk: none (the system decides), " \
			"interval (once a second) or each (before datagrams count as delivered)."}, \
	{RECORDER_ROW(quota, KEY_SIZE), .max = 1ll << 40, .fallback = "0", \
		.help = "What this handler's files may take together; the oldest rotated ones go first, " \
			"then datagrams are dropped; 0: no limit."}, \
	{RECORDER_ROW(keep_free, KEY_SIZE), .max = 1ll << 40, .fallback = "0", \
		.help = "Nothing is written that would leave less than this free on the file system; 0: no limit."}
/* clang-format on */

/* For config_kind.check of such a kind. */
int recorder_check(const void *settings, const char **ret_key, char why[static WHY_MAX]);

/* For config_kind.file. NULL for a device, which may be shared. */
const char *recorder_file(const void *settings);

/* For handler_kind.doubt: the file would be hidden from everybody else. */
bool recorder_doubt(const void *settings, char why[static WHY_MAX]);

/* What the file of a kind contains; members may be NULL. */
struct recorder_format {
	/* Finds the end of the last whole record; NULL: any file is whole. */
	recorder_measure *measure;
	/* Appends what has to stand before the first record in a file (is_first), in what is added
	 * to one that is there, and after anything went wrong with it. */
	void (*begin)(void *owner, struct text *text, bool is_first);
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

/* Where to append one datagram's record. NULL: it cannot be written now, and is counted as dropped.
 */
struct text *recorder_begin(void *object, struct outcome *outcome);

/* Ends the record; writes when the buffer is full. */
void recorder_commit(void *object, struct outcome *outcome);

/* To be called at the end of deliver(). */
void recorder_batch_end(void *object, struct outcome *outcome);

/* As in struct handler_kind. recorder_start() opens the file, and repairs it when an earlier run
 * has left a partial record. */
void recorder_start(void *object);
uint64_t recorder_deadline(const void *object);
uint64_t recorder_patience(const void *object);
void recorder_serve(void *object, struct outcome *outcome);
void recorder_rotate(void *object, struct outcome *outcome);
void recorder_finish(void *object, uint64_t until_ns, struct outcome *outcome);
void recorder_close(void *object);

/* The members of struct handler_kind that are the same for all such kinds. */
/* clang-format off */
#define RECORDER_CALLS \
	.doubt = recorder_doubt, .begin = recorder_start, .deadline = recorder_deadline, .patience = recorder_patience, \
	.serve = recorder_serve, .rotate = recorder_rotate, .finish = recorder_finish, \
	.close = recorder_close
/* clang-format on */
