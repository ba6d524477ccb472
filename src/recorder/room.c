#include "recorder/room.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/array.h"
#include "base/units.h"

/* A rotated file. */
struct entry {
	struct recorder_rotated rotated;
	char name[NAME_MAX + 1];
	uint64_t size;
};

struct listing {
	DIR *directory;
	struct entry *items; /* oldest first */
	size_t count;
};

static void listing_clear(struct listing *listing)
{
	if (listing->directory)
		closedir(listing->directory);
	free(listing->items);
}

static int compare_entries(const void *a, const void *b)
{
	return recorder_rotated_compare(
		&((const struct entry *)a)->rotated, &((const struct entry *)b)->rotated);
}

/* Fills in an entry. Returns whether it is a rotated file. */
static bool read_entry(
	const struct recorder_path *path, int directory, const char *name, struct entry *ret)
{
	struct stat status;

	if (!recorder_path_is_rotated(path, name, &ret->rotated) ||
		fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
		!S_ISREG(status.st_mode))
		return false;
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	ret->size = (uint64_t)status.st_size;
	return true;
}

static int listing_read(struct listing *listing, const struct recorder_path *path)
{
	const struct dirent *item;
	struct entry entry;
	int r = 0;

	listing->directory = opendir(path->directory);
	if (!listing->directory)
		return -errno;
	while (r >= 0 && (item = readdir(listing->directory)))
		if (read_entry(path, dirfd(listing->directory), item->d_name, &entry))
			r = array_add(listing, entry);
	if (listing->count)
		qsort(listing->items, listing->count, sizeof(*listing->items), compare_entries);
	return r;
}

static void complain(struct recorder_room *room, const char *what, const char *name, int r)
{
	if (log_limit_pass(&room->limit))
		log_warning("handler %s: %s: %s %s: %s", room->handler, room->path->path, what,
			name, strerror(-r));
}

/* Removes the oldest files while there are more than keep, or they have more than most_bytes. */
static void remove_oldest(
	struct recorder_room *room, const struct listing *listing, uint64_t most_bytes)
{
	size_t left = listing->count;

	for (size_t i = 0; i < listing->count; i++) {
		const struct entry *entry = &listing->items[i];

		if ((!room->keep || left <= room->keep) && room->rotated_bytes <= most_bytes)
			break;
		if (unlinkat(dirfd(listing->directory), entry->name, 0) < 0) {
			complain(room, "removing", entry->name, -errno);
			continue;
		}
		room->rotated_bytes -= entry->size;
		left--;
	}
}

void recorder_room_tidy(struct recorder_room *room, uint64_t current_bytes)
{
	CLEANUP(listing_clear) struct listing listing = {0};
	uint64_t most = !room->quota                  ? UINT64_MAX
			: room->quota > current_bytes ? room->quota - current_bytes
						      : 0;
	int r;

	if (!room->keep && !room->quota)
		return;
	r = listing_read(&listing, room->path);
	if (r < 0)
		complain(room, "reading", room->path->directory, r);
	room->rotated_bytes = 0;
	for (size_t i = 0; i < listing.count; i++)
		room->rotated_bytes += listing.items[i].size;
	if (listing.count)
		room->newest = listing.items[listing.count - 1].rotated;
	remove_oldest(room, &listing, most);
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
	return because(why, -EDQUOT, "its quota of %s is used up", format_size(room->quota, quota));
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
