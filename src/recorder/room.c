#include "recorder/room.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/units.h"
#include "recorder/listing.h"

#define LOOK_MAX_NS (3600 * NS_PER_S)

/* A clock that goes ahead by more at once was set, and is doubted for that long. */
#define AHEAD_NS ((int64_t)(60 * NS_PER_S))
#define DOUBT_NS LOOK_MAX_NS

static void complain(struct recorder_room *room, const char *what, const char *name, int r)
{
	if (log_limit_pass(&room->limit))
		log_warning("handler %s: %s: %s %s: %s", room->handler, room->path->path, what,
			name, strerror(-r));
}

/* ---- Age ---- */

/* Whether the name lies ahead: the clock was wrong when it was given, and names go on behind it. */
static bool is_named_ahead(const struct recorder_entry *entry, uint64_t now)
{
	return entry->rotated.when > (time_t)(now / NS_PER_S);
}

static bool is_too_old(
	const struct recorder_room *room, const struct recorder_entry *entry, uint64_t now)
{
	uint64_t when = is_named_ahead(entry, now) ? entry->modified_ns
						   : (uint64_t)entry->rotated.when * NS_PER_S;

	return room->keep_for && entry->rotated.when >= 0 && now > when &&
	       now - when > room->keep_for;
}

/* Whether the clock may be wrong: it was set ahead, or all files are too old at the first look. */
static bool is_doubtful(const struct recorder_room *room, const struct recorder_listing *listing,
	uint64_t now, int64_t offset)
{
	return room->clock.is_known ? offset - room->clock.offset_ns > AHEAD_NS
				    : is_too_old(room, &listing->items[listing->count - 1], now);
}

/* Whether files are to be removed for their age now. A clock that is wrong for a moment would take
 * them all: it is believed after a while. */
static bool goes_by_age(
	struct recorder_room *room, const struct recorder_listing *listing, uint64_t now)
{
	uint64_t boot = clock_ns(CLOCK_BOOTTIME);
	int64_t offset = (int64_t)(now - boot);

	if (!listing->count || !room->keep_for)
		return false;
	if (is_doubtful(room, listing, now, offset)) {
		if (!is_too_old(room, &listing->items[0], now))
			return false;
		if (!room->clock.doubted_ns) {
			room->clock.doubted_ns = boot;
			log_warning("handler %s: %s: %s: keep_for removes nothing for an hour, and "
				    "then goes by the clock",
				room->handler, room->path->path,
				room->clock.is_known ? "the clock was set ahead"
						     : "all rotated files are too old");
		}
		if (boot - room->clock.doubted_ns < DOUBT_NS)
			return false;
	}
	room->clock.is_known = true;
	room->clock.offset_ns = offset;
	room->clock.doubted_ns = 0;
	return true;
}

/* ---- Removing ---- */

/* The number of entries from the first one on that have its name but for a suffix. */
static size_t count_same(const struct recorder_listing *listing, size_t first)
{
	size_t end = first + 1;

	while (end < listing->count && !recorder_rotated_compare(&listing->items[first].rotated,
					       &listing->items[end].rotated))
		end++;
	return end - first;
}

/* Its program will not be run any more. A mark may also be left from a configuration that had one.
 */
static void remove_mark(struct recorder_room *room, const struct recorder_entry *entry)
{
	char mark[RECORDER_PATH_MAX];

	recorder_path_mark(room->path, entry->rotated.when, entry->rotated.number, mark);
	if (unlink(mark) < 0 || !room->processed)
		return;
	room->unprocessed++;
	snprintf(room->last_unprocessed, sizeof(room->last_unprocessed), "%s", entry->name);
}

static void report_unprocessed(struct recorder_room *room)
{
	if (room->unprocessed == 1)
		log_warning("handler %s: %s: removed %s before after_rotate was done with it",
			room->handler, room->path->path, room->last_unprocessed);
	else if (room->unprocessed)
		log_warning("handler %s: %s: removed %" PRIu64
			    " files before after_rotate was done with them, the last one %s",
			room->handler, room->path->path, room->unprocessed, room->last_unprocessed);
	room->unprocessed = 0;
}

/* Removes a rotated file, and what a program has made of it. Returns whether all of it is gone. */
static bool remove_entries(struct recorder_room *room, int directory,
	const struct recorder_entry *entries, size_t count)
{
	bool all = true;

	for (size_t i = 0; i < count; i++) {
		if (unlinkat(directory, entries[i].name, 0) < 0 && errno != ENOENT) {
			complain(room, "removing", entries[i].name, -errno);
			all = false;
			continue;
		}
		room->rotated_bytes -= entries[i].size;
	}
	if (all)
		remove_mark(room, &entries[0]);
	return all;
}

/* Removes the oldest files while there are more than keep, they are too old, or they have more than
 * most_bytes. */
static void remove_oldest(
	struct recorder_room *room, const struct recorder_listing *listing, uint64_t most_bytes)
{
	uint64_t now = clock_ns(CLOCK_REALTIME);
	bool by_age = goes_by_age(room, listing, now);
	const struct recorder_entry *oldest = NULL;
	size_t left = 0, same;

	for (size_t i = 0; i < listing->count; i += count_same(listing, i))
		left++;
	for (size_t i = 0; i < listing->count; i += same) {
		const struct recorder_entry *entry = &listing->items[i];
		bool is_surplus = (room->keep && left > room->keep) ||
				  room->rotated_bytes > most_bytes;

		same = count_same(listing, i);
		if (is_surplus || (by_age && is_too_old(room, entry, now))) {
			left -= remove_entries(room, dirfd(listing->directory), entry, same);
			continue;
		}
		oldest = oldest ? oldest : entry;
		if (!is_named_ahead(entry, now))
			break;
	}
	room->oldest = oldest ? oldest->rotated : (struct recorder_rotated){0};
}

static bool has_limits(const struct recorder_room *room)
{
	return room->keep || room->keep_for || room->quota;
}

/* Names that others have given count, too: what a program has made of a file of an earlier run,
 * also of one that had after_rotate. */
void recorder_room_look(struct recorder_room *room)
{
	CLEANUP(recorder_listing_clear) struct recorder_listing listing = {0};
	int r;

	if (room->was_looked && !has_limits(room))
		return;
	room->was_looked = true;
	r = recorder_listing_read(
		&listing, room->path, RECORDER_LIST_ROTATED | RECORDER_LIST_PROCESSED);
	if (r < 0)
		complain(room, "reading", room->path->directory, r);
	if (listing.count)
		room->newest = listing.items[listing.count - 1].rotated;
}

void recorder_room_tidy(struct recorder_room *room, uint64_t current_bytes)
{
	CLEANUP(recorder_listing_clear) struct recorder_listing listing = {0};
	uint64_t most = !room->quota                  ? UINT64_MAX
			: room->quota > current_bytes ? room->quota - current_bytes
						      : 0;
	int r;

	if (!has_limits(room))
		return;
	r = recorder_listing_read(&listing, room->path,
		RECORDER_LIST_ROTATED | (room->processed ? RECORDER_LIST_PROCESSED : 0));
	if (r < 0)
		complain(room, "reading", room->path->directory, r);
	room->rotated_bytes = 0;
	for (size_t i = 0; i < listing.count; i++)
		room->rotated_bytes += listing.items[i].size;
	remove_oldest(room, &listing, most);
	if (room->unprocessed && log_limit_pass(&room->unprocessed_limit))
		report_unprocessed(room);
}

void recorder_room_finish(struct recorder_room *room)
{
	report_unprocessed(room);
}

/* How long until the oldest file is too old. */
static uint64_t next_age_ns(const struct recorder_room *room)
{
	uint64_t now = clock_ns(CLOCK_REALTIME), end;

	if (!room->keep_for || room->oldest.when <= 0)
		return 0;
	end = (uint64_t)room->oldest.when * NS_PER_S + room->keep_for;
	/* A file that could not be removed is tried again. */
	return end <= now || end - now > LOOK_MAX_NS ? LOOK_MAX_NS : end - now + NS_PER_MS;
}

uint64_t recorder_room_next_ns(const struct recorder_room *room)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), report_ns = 0;

	if (room->unprocessed)
		report_ns = room->unprocessed_limit.next_ns > now
				    ? room->unprocessed_limit.next_ns - now
				    : NS_PER_MS;
	return earlier_ns(next_age_ns(room), report_ns);
}

static int check_quota(
	struct recorder_room *room, uint64_t size, uint64_t *length, char why[static WHY_MAX])
{
	char quota[UNIT_STRING_MAX];
	uint64_t taken = room->rotated_bytes + size;

	if (!room->quota || taken + *length <= room->quota)
		return 0;
	recorder_room_tidy(room, size + *length);
	taken = room->rotated_bytes + size;
	if (taken + *length <= room->quota)
		return 0;
	*length = room->quota > taken ? room->quota - taken : 0;
	return because(why, -EDQUOT, "its quota of %s is used up%s",
		format_size(room->quota, quota),
		room->has_size ? ""
			       : " by this one file; set rotate_size to a part of quota, so that "
				 "the oldest rotated files make room");
}

static int check_free(
	const struct recorder_room *room, int fd, uint64_t *length, char why[static WHY_MAX])
{
	char floor[UNIT_STRING_MAX];
	struct statvfs status;
	uint64_t available;

	if (!room->keep_free)
		return 0;
	if (fstatvfs(fd, &status) < 0) {
		*length = 0;
		return because(why, -errno, "reading the free space: %s", strerror(errno));
	}
	available = (uint64_t)status.f_bavail * status.f_frsize;
	available = available > room->keep_free ? available - room->keep_free : 0;
	if (available >= *length)
		return 0;
	*length = available;
	return because(why, -ENOSPC, "the file system has no more than keep_free = %s left",
		format_size(room->keep_free, floor));
}

int recorder_room_check(struct recorder_room *room, int fd, uint64_t size, uint64_t *length,
	char why[static WHY_MAX])
{
	int r = check_quota(room, size, length, why);
	int s = check_free(room, fd, length, why);

	return s < 0 ? s : r;
}
