#include "daemon/only_root.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

static int check_directories(const char *path, char why[static WHY_MAX]);

/* A name in a directory that is checked already: what stands there stays, as only root can replace
 * it. */
static int check_name(const char *path, char why[static WHY_MAX])
{
	AUTO_FREE char *target = NULL;
	struct stat status;

	if (lstat(path, &status) < 0)
		return because(why, -errno, "%s: %s", path, strerror(errno));
	if (status.st_uid != 0)
		return because(why, -EPERM,
			"%s belongs to user %u, who could replace it: let it belong to root", path,
			(unsigned)status.st_uid);
	if (S_ISLNK(status.st_mode)) {
		target = realpath(path, NULL);
		return target ? check_directories(target, why)
			      : because(why, -errno, "%s: %s", path, strerror(errno));
	}
	if (!S_ISDIR(status.st_mode))
		return because(why, -ENOTDIR, "%s is not a directory", path);
	/* In a sticky one nobody can replace what belongs to root (unlink(2)). The bit of the group
	 * stands for all that an access control list names, too (acl(5)). */
	if (!(status.st_mode & S_ISVTX) && status.st_mode & (S_IWGRP | S_IWOTH))
		return because(why, -EPERM,
			"%s (mode %04o) lets others than root replace what is in it: chmod go-w it",
			path, (unsigned)status.st_mode & 07777);
	return 0;
}

/* From the root down, so that each name is looked up in directories that are checked. */
static int check_directories(const char *path, char why[static WHY_MAX])
{
	size_t length = strlen(path);
	char prefix[PATH_MAX];
	int r;

	if (*path != '/' || length >= sizeof(prefix))
		return because(why, -EINVAL, "%s is not an absolute path", path);
	r = check_name("/", why);
	for (size_t end = 1; r >= 0 && end < length; end++) {
		end += strcspn(path + end, "/");
		memcpy(prefix, path, end);
		prefix[end] = '\0';
		r = check_name(prefix, why);
	}
	return r;
}

int only_root_changes(const char *directory, char why[static WHY_MAX])
{
	return check_directories(directory, why);
}
