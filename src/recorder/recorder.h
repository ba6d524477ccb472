/* What the kinds that record have in common: records are gathered in a buffer and written whole, so
 * that the file ends in a whole record whatever happens; files are rotated; and where the disk
 * fails, datagrams are counted as dropped, and writing is tried again.
 *
 * A record is appended between recorder_begin() and recorder_commit(). All of it runs in the
 * handler's own thread, but for recorder_open(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errors.h"
#include "base/text.h"
#include "config/schema.h"
#include "data/account.h"
#include "recorder/tail.h"

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

/* What a kind's file looks like; members may be NULL. owner is what recorder_open() was given. */
struct recorder_format {
	/* Finds the end of what is whole; NULL: everything is. */
	recorder_measure *measure;
	/* Appends what has to stand before the first record in a file (is_first), in what is added
	 * to one that is there, and after anything went wrong with it. */
	void (*begin)(void *owner, struct text *text, bool is_first);
	/* Appends what ends a file. */
	void (*end)(void *owner, struct text *text);
	/* Is told of records that could not be written, as they were appended. */
	void (*lost)(void *owner, const char *data, size_t size);
};

struct recorder;

/* Opens the file, or sees whether it can be created (0640), which is done by recorder_start().
 * Symbolic links and anything that is no regular file or character device are refused, and files
 * that another program records to. What is in the file is looked at by recorder_start(), too.
 * Returns 0, or a negative errno with the reason in why. */
int recorder_open(const struct recorder_settings *settings, const struct recorder_format *format,
	void *owner, const char *name, char why[static WHY_MAX], struct recorder **ret);

/* As handler_kind.begin: makes the file where there is none, and mends one that an earlier run has
 * left torn. name is the handler's, and valid until recorder_close(). */
void recorder_start(struct recorder *recorder);

/* Where to append one datagram's record. NULL: it cannot be written now, and is counted as dropped.
 */
struct text *recorder_begin(struct recorder *recorder, struct outcome *outcome);

/* Ends the record; writes when the buffer is full. */
void recorder_commit(struct recorder *recorder, struct outcome *outcome);

/* To be called at the end of deliver(). */
void recorder_batch_end(struct recorder *recorder, struct outcome *outcome);

/* As in struct handler_kind. */
uint64_t recorder_deadline(const struct recorder *recorder);
uint64_t recorder_patience(const struct recorder *recorder);
void recorder_serve(struct recorder *recorder, struct outcome *outcome);
void recorder_rotate(struct recorder *recorder, struct outcome *outcome);
void recorder_finish(struct recorder *recorder, struct outcome *outcome);

/* Finish first. Accepts NULL. */
void recorder_close(struct recorder *recorder);
