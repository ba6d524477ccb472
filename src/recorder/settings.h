/* The keys that all kinds that record have. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errors.h"
#include "config/schema.h"

enum recorder_sync { RECORDER_SYNC_NONE, RECORDER_SYNC_INTERVAL, RECORDER_SYNC_EACH };

/* Which time is in the name of a rotated file. */
enum recorder_name_time { RECORDER_NAME_END, RECORDER_NAME_BEGIN };

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
	uint64_t keep_for; /* ns; 0: for ever */
	int name_time; /* enum recorder_name_time */
	struct string_list after_rotate; /* a program and its arguments; empty: none */
	uint64_t after_rotate_timeout; /* ns */
};

extern const char *const recorder_sync_names[], *const recorder_name_times[];

/* clang-format off */
#define RECORDER_ROW(key, key_type) \
	.name = #key, .type = key_type, .offset = offsetof(struct recorder_settings, key)

#define RECORDER_KEYS \
	{RECORDER_ROW(path, KEY_PATH), .max = 4000, .required = true, \
		.help = "The file to append to. Its directory must exist."}, \
	{RECORDER_ROW(rotate_size, KEY_SIZE), .least = 4096, .max = 1ll << 40, .fallback = "0", \
		.help = "A new file is begun when this one has that size, 4K or more; 0: never for its size."}, \
	{RECORDER_ROW(rotate_every, KEY_DURATION), .least = 1000000000ll, .max = 366 * 86400 * 1000000000ll, .fallback = "0", \
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
		.help = "Nothing is written that would leave less than this free on the file system; 0: no limit."}, \
	{RECORDER_ROW(keep_for, KEY_DURATION), .least = 1000000000ll, .max = 3650 * 86400 * 1000000000ll, .fallback = "0", \
		.help = "Rotated files are removed when the time in their name is longer ago than this, also " \
			"while nothing comes; 0: never."}, \
	{RECORDER_ROW(name_time, KEY_CHOICE), .choices = recorder_name_times, .fallback = "end", \
		.help = "The time in the name of a rotated file: end, when it was rotated; or begin, that of the " \
			"first datagram in it."}, \
	{RECORDER_ROW(after_rotate, KEY_ARGUMENTS), .min = 1, \
		.help = "A program to run for each rotated file, by its absolute path, and its arguments; the path " \
			"of the file follows. No shell reads them."}, \
	{RECORDER_ROW(after_rotate_timeout, KEY_DURATION), .min = 1000000000ll, .max = 7 * 86400 * 1000000000ll, \
		.fallback = "1h", \
		.help = "How long it may run until it gets SIGTERM, and SIGKILL a second later, with its process " \
			"group."}
/* clang-format on */

/* For config_kind.check of such a kind. */
int recorder_check(const void *settings, const char **ret_key, char why[static WHY_MAX]);

/* For config_kind.file. */
const char *recorder_file(const void *settings);

/* For handler_kind.doubt: the file would be hidden from everybody else, or recording would stop for
 * good. */
bool recorder_doubt(const void *settings, char why[static WHY_MAX]);
