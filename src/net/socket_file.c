#include "net/socket_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/users.h"
#include "service/path_fix.h"

#define STALE                                                                                     \
	"%s; it is a socket that nobody listens on: have its owner or root remove it, or choose " \
	"another path"

_Static_assert(SOCKET_FILE_PATH_MAX == sizeof(((struct sockaddr_un *)0)->sun_path), "see unix(7)");

DEFINE_CLEANUP(DIR *, closedir)

static int fill_address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	memcpy(ret->sun_path, path, strlen(path) + 1);
	return 0;
}

/* unlink(2): in a sticky directory, a file is removed by its owner and the directory's. */
static int check_removal(const char *path, const struct stat *file, char why[static WHY_MAX])
{
	char directory[SOCKET_FILE_PATH_MAX];
	const char *slash = strrchr(path, '/');
	uid_t user = geteuid();
	struct stat status;
	int r = 0;

	snprintf(directory, sizeof(directory), "%.*s", slash ? (int)(slash + 1 - path) : 1,
		slash ? path : ".");
	if (faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) < 0 ||
		stat(directory, &status) < 0)
		r = -errno;
	else if (status.st_mode & S_ISVTX && user && user != file->st_uid && user != status.st_uid)
		r = -EPERM;
	return r < 0 ? because(why, r, "%s: " STALE, path, strerror(-r)) : 0;
}

int socket_file_check(const char *path, char why[static WHY_MAX])
{
	AUTO_CLOSE int fd = -1;
	struct sockaddr_un address;
	struct stat status;
	int r = fill_address(path, &address);

	if (r >= 0 && lstat(path, &status) < 0)
		r = -errno;
	if (r < 0)
		return because(why, r, "%s: %s", path, strerror(-r));
	if (!S_ISSOCK(status.st_mode))
		return because(why, -EEXIST,
			"%s is there and is not a socket; remove it, or choose another path", path);
	/* Of another type, so that nobody is disturbed: not a daemon, nor systemd, which would
	 * start one. Where a socket is bound it fails with EPROTOTYPE. */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return because(why, -errno, "%s: %s", path, strerror(errno));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == ECONNREFUSED)
			return check_removal(path, &status, why);
		/* Of another user: nobody knows whether it is in use. */
		if (errno == EACCES || errno == EPERM)
			return because(why, -errno,
				"%s is a socket of another user's: %s; choose another path", path,
				strerror(errno));
	}
	return because(why, -EADDRINUSE, "%s is in use; is another mcastd running?", path);
}

int socket_file_check_new(const char *path, char why[static WHY_MAX])
{
	char directory[SOCKET_FILE_PATH_MAX + 1], fix[PATH_FIX_MAX];
	int r = socket_file_check(path, why);

	if (r != -ENOENT)
		return r;
	snprintf(directory, sizeof(directory), "%.*s/", (int)(strrchr(path, '/') - path), path);
	if (faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0)
		return 0;
	r = -errno;
	return because(
		why, r, "%s: %s%s", path, strerror(-r), path_fix(r, path, PATH_LISTENING, fix));
}

pid_t socket_file_owner(const char *path, int type)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	struct ucred owner = {0};
	socklen_t length = sizeof(owner);

	if (fd < 0 || fill_address(path, &address) < 0 ||
		connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &owner, &length) < 0)
		return 0;
	return owner.pid;
}

/* Removes the socket file of a daemon that was killed. */
static int remove_unused(const struct socket_file_options *options, char why[static WHY_MAX])
{
	int r = socket_file_check(options->path, why);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (unlink(options->path) < 0 && errno != ENOENT)
		return because(why, -errno, "%s: " STALE, options->path, strerror(errno));
	return 0;
}

static bool is_same(const struct socket_file *file, const struct stat *status)
{
	return status->st_dev == file->device && status->st_ino == file->inode;
}

/* Opens the file, so that it can be changed by descriptor: in a directory of somebody else's,
 * another file may stand there by now, or a link to one. */
static int open_file(const char *path, struct stat *ret)
{
	AUTO_CLOSE int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, ret) < 0)
		return -errno;
	return take_fd(fd);
}

static int set_permissions(int fd, const struct stat *status, mode_t mode, gid_t group)
{
	char opened[32];

	if (group != (gid_t)-1 && status->st_gid != group &&
		fchownat(fd, "", (uid_t)-1, group, AT_EMPTY_PATH) < 0)
		return -errno;
	if ((status->st_mode & 07777) == mode)
		return 0;
	/* fchmod(2) takes no such descriptor, and an older chmodat(2) no AT_EMPTY_PATH. */
	snprintf(opened, sizeof(opened), "/proc/self/fd/%d", fd);
	return chmod(opened, mode) < 0 ? -errno : 0;
}

int socket_file_permit(const struct socket_file *file, mode_t mode, gid_t group)
{
	struct stat status;
	AUTO_CLOSE int fd = open_file(file->path, &status);

	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? -ESTALE : fd;
	return is_same(file, &status) ? set_permissions(fd, &status, mode, group) : -ESTALE;
}

/* Notes which file was bound, and gives it the permissions that bind(2) could not: bits that the
 * umask has taken, and the group. */
static int finish_file(const struct socket_file_options *options, struct socket_file *ret)
{
	struct stat status;

	if (lstat(options->path, &status) < 0)
		return -errno;
	if (!S_ISSOCK(status.st_mode) || status.st_uid != geteuid() || status.st_nlink != 1)
		return -ESTALE;
	snprintf(ret->path, sizeof(ret->path), "%s", options->path);
	ret->device = status.st_dev;
	ret->inode = status.st_ino;
	return socket_file_permit(ret, options->mode, options->group);
}

/* The file gets the mode of the socket, so that it never permits more than it should (bind(2) of
 * unix(7)); nobody can connect before listen(2). */
int socket_file_bind(const struct socket_file_options *options, struct socket_file *ret,
	char why[static WHY_MAX])
{
	int r = remove_unused(options, why);
	struct socket_file file = {0};
	struct sockaddr_un address;
	char fix[PATH_FIX_MAX];
	AUTO_CLOSE int fd = -1;

	if (r < 0)
		return r;
	r = fill_address(options->path, &address);
	fd = socket(AF_UNIX, options->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (r >= 0 && (fd < 0 || fchmod(fd, options->mode) < 0 ||
			      bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0))
		r = -errno;
	if (r >= 0)
		r = finish_file(options, &file);
	if (r >= 0 && listen(fd, options->backlog) < 0)
		r = -errno;
	if (r < 0)
		socket_file_remove(&file);
	if (r == -ESTALE)
		return because(why, r, "%s: somebody replaced it while it was made", options->path);
	if (r < 0)
		return because(why, r, "%s: %s%s", options->path, strerror(-r),
			r == -EMFILE ? "; raise the limit on open files (LimitNOFILE=, ulimit -n)"
				     : path_fix(r, options->path, PATH_LISTENING, fix));
	*ret = file;
	return take_fd(fd);
}

int socket_file_path(int fd, char ret[static SOCKET_FILE_PATH_MAX])
{
	struct sockaddr_un address = {0};
	socklen_t length = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0 ||
		address.sun_family != AF_UNIX || *address.sun_path != '/')
		return -ENOENT;
	snprintf(ret, SOCKET_FILE_PATH_MAX, "%.*s", SOCKET_FILE_PATH_MAX - 1, address.sun_path);
	return 0;
}

/* listen(2) again, as it notes which process listens (SO_PEERCRED). */
int socket_file_adopt(int fd, const struct socket_file_options *options, struct socket_file *ret)
{
	char path[SOCKET_FILE_PATH_MAX];
	struct socket_file file = {0};
	int r = socket_file_path(fd, path);

	if (r >= 0 && strcmp(path, options->path))
		r = -ESTALE;
	r = r < 0 ? r : finish_file(options, &file);
	if (r >= 0 && listen(fd, options->backlog) < 0)
		r = -errno;
	if (r >= 0)
		*ret = file;
	return r;
}

void socket_file_remove_of(int fd)
{
	char path[SOCKET_FILE_PATH_MAX];
	struct stat status;

	if (socket_file_path(fd, path) >= 0 && lstat(path, &status) == 0 &&
		S_ISSOCK(status.st_mode) && status.st_uid == geteuid())
		unlink(path);
}

/* Whether nothing is bound to it: a socket of another type that is bound, listening or not yet, is
 * refused with EPROTOTYPE (unix_find_bsd() in net/unix/af_unix.c). By its descriptor, as another
 * file may have the name by now. */
static bool is_dead(int file)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", file);
	return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 &&
	       errno == ECONNREFUSED;
}

static void remove_dead(int directory, const char *name)
{
	AUTO_CLOSE int fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat status, named;

	if (fd < 0 || fstat(fd, &status) < 0 || !S_ISSOCK(status.st_mode) ||
		status.st_uid != geteuid() || !is_dead(fd))
		return;
	if (fstatat(directory, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
		named.st_dev == status.st_dev && named.st_ino == status.st_ino)
		unlinkat(directory, name, 0);
}

void socket_file_sweep(const char *directory)
{
	CLEANUP(closedirp) DIR *names = opendir(directory);
	struct dirent *entry;

	while (names && (entry = readdir(names)))
		remove_dead(dirfd(names), entry->d_name);
}

bool socket_file_is_there(const struct socket_file *file)
{
	struct stat status;

	return file->inode && lstat(file->path, &status) == 0 && is_same(file, &status);
}

void socket_file_remove(const struct socket_file *file)
{
	if (socket_file_is_there(file))
		unlink(file->path);
}

/* Tries it with a file in memory: the rules are the same, those of a sandbox included. */
int socket_file_check_group(gid_t group, char why[static WHY_MAX])
{
	AUTO_CLOSE int fd = memfd_create("group", MFD_CLOEXEC);
	char name[ACCOUNT_NAME_MAX];
	int r;

	if (fd >= 0 && fchown(fd, (uid_t)-1, group) == 0)
		return 0;
	r = -errno;
	name_group(group, name);
	return because(why, r,
		"socket_group: the daemon may not give a file to the group %s: %s; the service "
		"needs the drop-in socket-group.conf (systemd/examples), [Service] "
		"SupplementaryGroups=%s SystemCallFilter=@chown",
		name, strerror(-r), name);
}
