#include "groups/dead_sockets.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "groups/group.h"
#include "groups/groups.h"
#include "groups/socket_kind.h"
#include "net/socket_file.h"

/* Whether a group has this socket. */
static bool is_wanted(const struct groups *groups, const char *file)
{
	size_t length = strlen(file), tail = strlen(stream_kind.suffix);
	char name[NAME_MAX + 1];
	const struct group *group;

	if (length > tail && !strcmp(file + length - tail, stream_kind.suffix))
		length -= tail;
	snprintf(name, sizeof(name), "%.*s", (int)length, file);
	group = groups_find(groups, name);
	return group && group->socket;
}

static bool is_dead(const char *path, uint64_t started_ns)
{
	struct stat before, after;
	char why[WHY_MAX];

	return lstat(path, &before) == 0 && S_ISSOCK(before.st_mode) &&
	       before.st_uid == geteuid() && timespec_ns(&before.st_ctim) < started_ns &&
	       socket_file_check(path, why) == 0 && lstat(path, &after) == 0 &&
	       after.st_ino == before.st_ino && after.st_dev == before.st_dev;
}

void dead_sockets_remove(
	const struct groups *groups, const char *run_directory, uint64_t started_ns)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *directory;

	snprintf(path, sizeof(path), "%s/groups", run_directory);
	directory = opendir(path);
	while (directory && (entry = readdir(directory))) {
		if (snprintf(path, sizeof(path), "%s/groups/%s", run_directory, entry->d_name) >=
				(int)sizeof(path) ||
			entry->d_type != DT_SOCK || is_wanted(groups, entry->d_name))
			continue;
		if (is_dead(path, started_ns))
			unlink(path);
	}
	if (directory)
		closedir(directory);
}
